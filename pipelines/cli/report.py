"""`gtl report` and `gtl compare`: pages for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json

Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def report(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment that was run.", metavar="EXPERIMENT")],
    open_: Open = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Put the page there too, and its numbers beside it as .json."),
    ] = None,
    json_: Json = False,
) -> None:
    """Make the report of a run: the verdict and everything behind it, on one page that opens from disk.

    Nothing is trained or measured anew. What has not been measured is shown as missing, with the reason.
    """
    from gtl_core.evaluation.report.making import HTML, JSON
    from gtl_core.files import read_json
    from gtl_core.homes import Homes
    from pipelines.preflight import named_experiment
    from pipelines.report import make_report
    from pipelines.stages import Chain

    homes = Homes.locate()
    stage = make_report(Chain(named_experiment(experiment, homes), homes))
    page = _copied(stage.path / HTML, stage.path / JSON, out)
    sections = read_json(stage.path / JSON)["sections"]
    missing = {section["title"]: section["missing"] for section in sections.values() if "missing" in section}
    if json_:
        show_json({"report": str(page), "numbers": str(page.with_suffix(".json")), "missing": missing})
    else:
        say(f"report: {page}")
        for title, reason in missing.items():
            note(f"missing, {title}: {reason}")
    _open(page, open_)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Two to six of: the name of an experiment, or NAME@KEY for an earlier report of it.", metavar="RUN..."
        ),
    ],
    open_: Open = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Put the page there too, and its numbers beside it as .json."),
    ] = None,
    json_: Json = False,
) -> None:
    """Compare runs on one page: verdicts, ways of training on one scale, and what differs in the experiments."""
    from gtl_core.homes import Homes
    from pipelines.comparison import compare_runs

    homes = Homes.locate()
    folder, summary = compare_runs(runs, homes)
    page = _copied(folder / "comparison.html", folder / "comparison.json", out)
    if json_:
        show_json({"comparison": str(page), "numbers": str(page.with_suffix(".json")), **summary})
    else:
        for run, told in summary["verdicts"].items():
            say(f"{run}: {told}")
        if summary["caution"]:
            say(summary["caution"])
        say(f"comparison: {page}")
    _open(page, open_)


def _copied(page: Path, numbers: Path, out: Path | None) -> Path:
    """Puts a page and its numbers where they were asked for, and gives the page that is there."""
    if out is None:
        return page
    from gtl_core.errors import InputError
    from gtl_core.files import write_text

    if out.is_dir():
        raise InputError(f"{out} is a folder; name the file to write, such as {out / page.name}")
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: a page ends in .html, so that a browser knows it")
    write_text(out, page.read_text(encoding="utf-8"))
    write_text(out.with_suffix(".json"), numbers.read_text(encoding="utf-8"))
    return out


def _open(page: Path, wanted: bool) -> None:
    """Opens a page where that was asked for and there is a screen."""
    from pipelines.cli.browser import open_pages

    if wanted and not open_pages([page.resolve().as_uri()]):
        note("there is no screen to open it on; open the file in a browser")
