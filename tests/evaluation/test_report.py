"""The report: everything that was measured is on it, what is missing is told, and no name on it can do anything."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_run import STRATEGIES, Run, finished_run

from gtl_core.evaluation.report.charts.confusion import most_confused
from gtl_core.evaluation.report.charts.marks import Mark
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.contents import SECTIONS
from gtl_core.evaluation.report.elements import element, table
from gtl_core.evaluation.report.making import write_report
from gtl_core.evaluation.report.pictures import strip
from gtl_core.evaluation.report.scales import decades, logarithmic, straight
from gtl_core.evaluation.report.words import number, p_value, percent, points
from gtl_core.files import read_json, write_json

HOSTILE = ("<script>alert(1)</script>", 'x" onload="alert(2)', "</style><b>&amp;")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "run")


def made(run: Run, folder: Path) -> tuple[str, Any]:
    """The page and its numbers."""
    write_report(run.inputs(), folder)
    page = (folder / "report.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    return page, read_json(folder / "report.json")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the texts of some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_a_finished_run_has_every_section_in_the_order_of_the_contents(run: Run, tmp_path: Path) -> None:
    page, numbers = made(run, tmp_path)
    assert [name for name, section in numbers["sections"].items() if "missing" in section] == []
    sections = [attributes["id"] for attributes in Elements(page).all("section")]
    assert sections == [builder.id for builder in SECTIONS]
    assert all(section["meaning"] for name, section in numbers["sections"].items() if name != "limits")


def test_the_verdict_comes_first_with_its_interval(run: Run, tmp_path: Path) -> None:
    page, numbers = made(run, tmp_path)
    assert "The GAN helps: +2.1 points" in page
    assert "+2.1 points, 95 % interval +0.9 to +3.2" in page
    assert page.index("The GAN helps") < page.index("Every way of training</h2>")
    assert numbers["sections"]["verdict"]["numbers"] == read_json(run.folders["evaluation"] / "verdict.json")


def test_a_difference_below_zero_has_a_true_minus_sign(run: Run, tmp_path: Path) -> None:
    path = run.folders["evaluation"] / "verdict.json"
    verdict = read_json(path) | {"label": "harms", "difference": -0.021, "low": -0.032, "high": -0.009}
    write_json(path, verdict)
    page, _ = made(run, tmp_path)
    assert "The GAN harms: −2.1 points" in page
    assert "−3.2 to −0.9" in page


def test_the_numbers_are_those_of_the_stages(run: Run, tmp_path: Path) -> None:
    _, numbers = made(run, tmp_path)
    sections = numbers["sections"]
    arms = read_json(run.folders["evaluation"] / "arms.json")
    quality = read_json(run.folders["quality"] / "quality.json")
    assert sections["arms"]["numbers"]["arms"] == arms
    assert sections["confusion"]["numbers"]["joint"] == next(row for row in arms if row["arm"] == "joint")["confusion"]
    assert sections["gap"]["numbers"] == read_json(run.folders["gap"] / "gap.json")
    assert sections["budgets"]["numbers"] == read_json(run.folders["budgets"] / "budgets.json")
    assert sections["neighbours"]["numbers"]["finetune"] == quality["strategies"]["finetune"]["memorisation"]
    assert numbers["experiment"]["target"]["labelled_per_class"] == 5


def test_the_calibration_error_has_no_interval_and_the_page_says_why(run: Run, tmp_path: Path) -> None:
    page, _ = made(run, tmp_path / "report")
    score = run.inputs().arms[0]["scores"]["ece"]
    assert f">{number(score['mean'])}</td>" in page
    assert f"{number(score['mean'])} ({number(score['low'])} to {number(score['high'])})</td>" in page  # Brier's
    assert "The calibration error has none: with few test images it comes out too large" in page


def test_classes_keep_their_order_although_json_sorts_their_names(run: Run, tmp_path: Path) -> None:
    page, numbers = made(run, tmp_path)
    assert numbers["sections"]["confusion"]["numbers"]["classes"] == ["nut", "bolt", "ring"]
    assert "commonest mistake is nut taken for bolt (17" in page
    assert numbers["sections"]["examples"]["numbers"]["classes_shown"] == ["nut", "bolt", "ring"]


def test_the_same_run_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    assert made(run, tmp_path / "one") == made(run, tmp_path / "two")
    assert (tmp_path / "one/report.html").read_bytes() == (tmp_path / "two/report.html").read_bytes()


@pytest.mark.parametrize(
    ("part", "lost", "reason"),
    [
        ("quality", {"neighbours", "distances", "likeness", "trajectory", "walk", "embedding"}, "synthetic_quality"),
        ("gap", {"gap"}, "domain_gap"),
        ("validation", {"data"}, "data_validation"),
        ("budgets", {"budgets"}, "gtl study budgets"),
        ("draws", set(), ""),
        ("target", {"confusion"}, "order the classes stand"),
    ],
)
def test_a_part_that_is_not_there_is_told_and_the_rest_is_made(
    run: Run, tmp_path: Path, part: Any, lost: set[str], reason: str
) -> None:
    del run.folders[part]
    page, numbers = made(run, tmp_path)
    missing = {name: section["missing"] for name, section in numbers["sections"].items() if "missing" in section}
    assert lost <= set(missing) <= lost | {"examples"}
    assert all(reason in missing[name] for name in lost)
    assert all(missing[name] in page for name in lost)


def test_a_measurement_that_says_what_it_lacks_is_taken_at_its_word(run: Run, tmp_path: Path) -> None:
    folder = run.folders["quality"]
    quality = read_json(folder / "quality.json")
    for strategy in quality["strategies"].values():
        strategy["trajectory"] = []
    quality["missing"] = {"freeze_d: trajectory": "its training kept no milestones"}
    write_json(folder / "quality.json", quality)
    _, numbers = made(run, tmp_path)
    assert numbers["sections"]["trajectory"]["missing"] == "its training kept no milestones"
    assert any("its training kept no milestones" in line for line in numbers["sections"]["limits"]["numbers"])


def test_images_that_a_filter_left_out_are_counted_with_their_reasons(run: Run, tmp_path: Path) -> None:
    selection = {"kept": 90, "dropped": {"disagrees": 8, "sparse": 0, "copy": 2}}
    write_json(tmp_path / "synthetic" / "card.json", {"filter": selection})
    run.synthetic = {"freeze_d": [tmp_path / "synthetic"]}
    page, _ = made(run, tmp_path)
    told = "kept 90 of 100 images in the first draw; 8 look like another class and 2 lie too near a training image."
    assert told in page


def test_damaged_files_take_only_their_own_sections_away(run: Run, tmp_path: Path) -> None:
    (run.folders["quality"] / "quality.npz").write_bytes(b"PK no archive")
    (run.folders["gap"] / "gap.json").write_text("{")
    arms = read_json(run.folders["evaluation"] / "arms.json")
    for row in arms:
        del row["reliability"]
    write_json(run.folders["evaluation"] / "arms.json", arms)
    page, numbers = made(run, tmp_path)
    missing = {name for name, section in numbers["sections"].items() if "missing" in section}
    assert missing == {"examples", "distances", "walk", "embedding", "gap", "calibration"}
    assert "cannot be read" in numbers["sections"]["gap"]["missing"]
    assert "Every way of training</h2>" in page


def test_pickled_arrays_are_not_loaded(run: Run, tmp_path: Path) -> None:
    with (run.folders["quality"] / "quality.npz").open("wb") as stream:
        np.savez(stream, **{"walk/freeze_d": np.array([{"a": 1}], dtype=object)})
    _, numbers = made(run, tmp_path)
    assert "allow_pickle" in numbers["sections"]["walk"]["missing"]


def test_without_any_evaluation_there_is_still_a_page(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.folders.pop("evaluation"))
    page, numbers = made(run, tmp_path)
    assert "gtl run" in numbers["sections"]["verdict"]["missing"]
    assert "missing" not in numbers["sections"]["data"]
    assert "Not in this report" in page


def test_names_of_classes_are_text_and_nothing_else(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", HOSTILE)
    page, numbers = made(run, tmp_path)
    elements = Elements(page)
    assert not elements.all("script")
    assert not elements.all("b")
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert len(elements.all("style")) == 1
    assert list(numbers["sections"]["classes"]["numbers"]["joint"]) == sorted(HOSTILE)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_policy_allows_nothing_but_the_page_itself(run: Run, tmp_path: Path) -> None:
    page, _ = made(run, tmp_path)
    elements = Elements(page)
    policy = next(meta["content"] for meta in elements.all("meta") if meta.get("http-equiv"))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "style" not in {name for _, attributes in elements.found for name in attributes}
    links = [a[key] or "" for _, a in elements.found for key in ("src", "href") if key in a]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in style[1]
    assert "url(" not in style[1]


def test_every_picture_says_what_it_is(run: Run, tmp_path: Path) -> None:
    page, _ = made(run, tmp_path)
    elements = Elements(page)
    pictures = elements.all("img")
    assert len(pictures) > 20
    assert all(picture["alt"] for picture in pictures)
    named = {attributes["id"] for tag, attributes in elements.found if tag in ("title", "desc") and "id" in attributes}
    for drawing in [svg for svg in elements.all("svg") if svg.get("role") == "img"]:
        assert drawing.get("aria-label") or set((drawing["aria-labelledby"] or "").split()) <= named
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_page_of_many_large_colour_images_stays_small(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(40)]
    run = finished_run(tmp_path / "run", names)
    path = run.folders["quality"] / "quality.npz"
    rng = np.random.default_rng(0)
    with np.load(path, allow_pickle=False) as content:
        arrays = dict(content)
    for label in STRATEGIES:
        arrays[f"examples/{label}"] = rng.integers(0, 256, (40, 3, 5, 3, 64, 64), np.uint8)
        arrays[f"neighbours/{label}"] = rng.integers(0, 256, (8, 3, 3, 64, 64), np.uint8)
        arrays[f"walk/{label}"] = rng.integers(0, 256, (5, 8, 3, 64, 64), np.uint8)
    with path.open("wb") as stream:
        np.savez(stream, **arrays)
    page, numbers = made(run, tmp_path)
    assert len(page.encode()) < 8_000_000
    assert [name for name, section in numbers["sections"].items() if "missing" in section] == []
    assert len(numbers["sections"]["examples"]["numbers"]["classes_shown"]) < len(names)


def test_no_test_image_is_shown(run: Run, tmp_path: Path) -> None:
    target = run.folders["target"]
    blank = np.load(target / "images.npy", allow_pickle=False)
    before, _ = made(run, tmp_path / "before")
    blank[run.inputs().draws[0].test] = 255
    np.save(target / "images.npy", blank, allow_pickle=False)
    after, _ = made(run, tmp_path / "after")
    assert before == after


def test_a_picture_holds_the_pixels_of_its_images() -> None:
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16), np.uint8)
    source = re.search(r'src="data:image/png;base64,([^"]+)"', strip(images, "three"))
    assert source
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source[1]))))
    for index in range(3):
        cell = shown[:, index * 17 : index * 17 + 16]
        np.testing.assert_array_equal(cell[..., :3], images[index].transpose(1, 2, 0))
        assert (cell[..., 3] == 255).all()
    assert (shown[:, 16, 3] == 0).all()


def test_ticks_are_round_and_inside_their_axis() -> None:
    axis = straight([0.0, 10.0], count=5)
    assert axis.ticks == (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    assert axis.low < 0 < 10 < axis.high
    assert straight([91.0, 99.9], ceiling=100.0).high == 100.0
    assert straight([-0.2, 0.2], count=4).labels == ("−0.2", "−0.1", "0.0", "0.1", "0.2")
    assert straight([3.0, 3.0]).low < 3.0 < straight([3.0, 3.0]).high
    assert straight([float("nan")]).ticks


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors() -> None:
    axis = logarithmic([1.0, 10.0, 100.0])
    steps = np.diff([axis.share(value) for value in (1.0, 10.0, 100.0)])
    assert steps[0] == pytest.approx(steps[1])


def test_an_axis_of_decades_marks_the_powers_of_ten_among_its_values() -> None:
    axis = decades([0.9, 750.0])
    assert axis.labels == ("1", "10", "100")
    assert axis.share(0.9) > 0.0
    assert axis.share(750.0) < 1.0
    assert axis.share(100.0) - axis.share(10.0) == pytest.approx(axis.share(10.0) - axis.share(1.0))


def test_a_row_draws_its_value_where_the_axis_has_it() -> None:
    axis = straight([0.0, 100.0], floor=0.0, ceiling=100.0)
    chart = row_chart("c", ("n", "v"), [Row("a", "25", [Mark(25.0, "plain", 20.0, 30.0)])], axis)
    assert 'x="25.00%"' in chart
    assert 'x1="20.00%" x2="30.00%"' in chart
    beyond = row_chart("c", ("n", "v"), [Row("a", "−5", [Mark(-5.0, "plain", -6.0, -4.0)])], axis)
    assert "M-3 0L7 -6V6Z" in beyond


def test_the_pairs_that_are_confused_most_come_first() -> None:
    counts = np.array([[90, 10, 0], [0, 50, 50], [2, 0, 98]])
    assert most_confused("abc", counts) == [
        ("b", "c", pytest.approx(0.5)),
        ("a", "b", pytest.approx(0.1)),
        ("c", "a", pytest.approx(0.02)),
    ]
    assert most_confused("ab", np.array([[3, 0], [0, 0]])) == []


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    inner = element("b", "<i>")
    assert element("p", inner, title='"<') == '<p title="&#34;&lt;"><b>&lt;i&gt;</b></p>'
    assert "<b>&lt;i&gt;</b>" in table("c", ["x"], [[inner]])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (percent(0.9534), "95.3 %"),
        (percent(None), "–"),
        (percent(float("nan")), "–"),
        (points(-0.004), "−0.4"),
        (points(0.021), "+2.1"),
        (number(1234), "1,234"),
        (number(-0.5), "−0.5"),
        (number(0.000012), "1.2e−05"),
        (p_value(0.0002), "below 0.001"),
        (p_value(0.25), "0.250"),
    ],
)
def test_numbers_are_written_as_people_read_them(told: str, expected: str) -> None:
    assert told == expected


def test_numbers_that_are_none_are_null_in_the_json(run: Run, tmp_path: Path) -> None:
    path = run.folders["quality"] / "quality.json"
    quality = read_json(path)
    quality["strategies"]["finetune"]["memorisation"]["c_t"] = float("nan")
    path.write_text(json.dumps(quality))
    made(run, tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["sections"]["neighbours"]["numbers"]["finetune"]["c_t"] is None
