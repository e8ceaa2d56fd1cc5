"""The report in a real browser: it asks for nothing, fits a telephone, and is there in light, in dark and on paper."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from drift_run import drift_page
from report_run import finished_run

from gtl_core.evaluation.report.comparison import Run as ComparedRun
from gtl_core.evaluation.report.comparison import write_comparison
from gtl_core.evaluation.report.making import write_report
from gtl_core.files import read_json, write_json

HOSTILE = ("<script>window.broken = 1</script>", '"><img src=x onerror="window.broken = 2">', "{{ 7 * 7 }}")
PHONE, SCREEN = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


@dataclass
class Opened:
    """A page in the browser, and what it has said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    # Where an Ubuntu has no snaps, chromium is a script that only says so.
    if path is None or subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no chromium or google-chrome on the PATH that runs, to open the report in")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plain report, one with hostile names, one with hardly anything in it, a comparison, and a check for drift."""
    folder = tmp_path_factory.mktemp("reports")
    plain, hostile = finished_run(folder / "plain-run"), finished_run(folder / "hostile-run", HOSTILE)
    hostile.experiment = hostile.experiment.model_copy(update={"description": HOSTILE[0]})
    bare = finished_run(folder / "bare-run")
    bare.folders.clear()
    for name, run in (("plain", plain), ("hostile", hostile), ("bare", bare)):
        write_report(run.inputs(), folder / name)
    numbers = read_json(folder / "plain/report.json")
    write_json(folder / "other.json", numbers)
    write_comparison([ComparedRun("first", numbers), ComparedRun(HOSTILE[1], numbers)], folder / "compared")
    found = {name: folder / name / "report.html" for name in ("plain", "hostile", "bare")}
    checked = drift_page(folder / "drift-run", HOSTILE)
    return {**found, "compared": folder / "compared" / "comparison.html", "drift": checked}


def opened(browser: Any, file: Path, viewport: dict[str, int] = SCREEN, scheme: str = "light") -> Opened:
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    seen = Opened(page)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    return seen


NAMES = ("plain", "hostile", "bare", "compared", "drift")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_nothing_and_asks_for_nothing(browser: Any, pages: dict[str, Path], name: str) -> None:
    seen = opened(browser, pages[name])
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [pages[name].as_uri()]
    seen.page.close()


def test_the_policy_stops_what_a_page_could_try(browser: Any, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["plain"])
    refused = seen.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'allowed', error => String(error))")
    assert "allowed" not in refused
    assert any("Content Security Policy" in line for line in seen.said)
    seen.page.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_needs_no_sideways_scrolling(browser: Any, pages: dict[str, Path], name: str, scheme: str) -> None:
    seen = opened(browser, pages[name], PHONE, scheme)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    seen.page.close()


def test_letters_keep_their_size_on_a_telephone(browser: Any, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["plain"], PHONE)
    heights = seen.page.evaluate(
        "[...document.querySelectorAll('svg text')].map(text => text.getBoundingClientRect().height).filter(h => h > 0)"
    )
    assert len(heights) > 50
    assert min(heights) > 11
    seen.page.close()


def test_no_drawing_leaves_the_page(browser: Any, pages: dict[str, Path]) -> None:
    for name, viewport in product(("plain", "drift"), (PHONE, SCREEN)):
        seen = opened(browser, pages[name], viewport)
        ends = seen.page.evaluate(
            "[...document.querySelectorAll('main svg text, main svg .sign')].map(part => part.getBoundingClientRect())"
            ".filter(box => box.width > 0).map(box => [box.left, box.right])"
        )
        assert min(left for left, _ in ends) >= 0
        assert max(right for _, right in ends) <= viewport["width"]
        seen.page.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_a_name_and_every_heading_its_place(browser: Any, pages: dict[str, Path], name: str) -> None:
    seen = opened(browser, pages[name])
    page = seen.page
    unnamed = """[...document.querySelectorAll('svg')].filter(svg => !svg.parentElement.closest('svg'))
        .filter(svg => !svg.closest('[aria-hidden=true]'))
        .filter(svg => svg.getAttribute('role') !== 'img' || !(svg.ariaLabel || svg.querySelector('title, desc')))"""
    assert page.evaluate(f"{unnamed}.length") == 0
    assert page.evaluate("[...document.images].every(image => image.alt && image.naturalWidth > 0)")
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(title => Number(title.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.evaluate("[...document.querySelectorAll('th')].every(cell => cell.scope)")
    page.close()


def test_the_keyboard_skips_to_the_report_and_follows_the_contents(browser: Any, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["plain"])
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the report"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    targets = seen.page.evaluate("[...document.querySelectorAll('nav a')].map(link => link.hash.slice(1))")
    assert seen.page.evaluate("names => names.every(name => document.getElementById(name))", targets)
    seen.page.close()


def test_a_check_for_drift_shows_what_changed_and_the_images_that_show_it(browser: Any, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages["drift"])
    page = seen.page
    assert page.locator(".light").inner_text() == "Drifted"
    assert "Contrast fell from" in page.locator("#result .lead").inner_text()
    assert page.locator("#properties svg.histogram").count() == 4
    shown = page.evaluate("[...document.images].map(image => image.alt)")
    assert [text.partition(": ")[2] for text in shown] == [
        "now, most unlike what was before",
        "before, the nearest to each of these",
        "before, at random",
        "taken for new ones most surely",
        "taken for old ones most surely",
    ]
    assert page.get_by_text("drift.json beside it holds every number").count() == 1
    page.close()


def test_hostile_names_do_nothing(browser: Any, pages: dict[str, Path]) -> None:
    for name in ("hostile", "compared", "drift"):
        seen = opened(browser, pages[name])
        assert seen.page.evaluate("window.broken === undefined")
        assert seen.page.evaluate("document.scripts.length") == 0
        assert seen.page.evaluate("[...document.images].every(image => image.src.startsWith('data:'))")
        seen.page.close()
    seen = opened(browser, pages["hostile"])
    assert seen.page.get_by_role("heading", level=1).inner_text() == HOSTILE[0]
    assert seen.page.get_by_text("{{ 7 * 7 }}").count() > 0
    seen.page.close()


def contrast(page: Any, selector: str) -> float:
    """The least contrast of any text that a selector finds with the page behind it, by WCAG's formula."""
    found: float = page.evaluate(
        """selector => {
        const numbers = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
        const light = colour => numbers(colour).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
        const paper = light(getComputedStyle(document.body).backgroundColor)
        return Math.min(...[...document.querySelectorAll(selector)].map(part => {
            const style = getComputedStyle(part)
            const ink = light(part.closest('svg') ? style.fill : style.color)
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
        }))
    }""",
        selector,
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_the_page(browser: Any, pages: dict[str, Path], scheme: str) -> None:
    for name in ("plain", "drift"):
        seen = opened(browser, pages[name], scheme=scheme)
        texts = "h1, h2, h3, p, li, dt, dd *, figcaption, caption, summary, a:not(.skip), .rows th, .rows td, "
        texts += ".scroll th, .good, .bad, .light, svg text"
        assert contrast(seen.page, texts) >= 4.5
        assert contrast(seen.page, ".sign path") >= 3.0
        seen.page.close()


def test_dark_is_dark_and_paper_is_light(browser: Any, pages: dict[str, Path]) -> None:
    brightness = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    light, dark = (opened(browser, pages["plain"], scheme=scheme) for scheme in ("light", "dark"))
    assert light.page.evaluate(brightness) > 240
    assert dark.page.evaluate(brightness) < 40
    dark.page.emulate_media(media="print", color_scheme="dark")
    assert dark.page.evaluate(brightness) > 240
    assert not dark.page.get_by_role("navigation").is_visible()
    paper = dark.page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    for seen in (light, dark):
        seen.page.close()
