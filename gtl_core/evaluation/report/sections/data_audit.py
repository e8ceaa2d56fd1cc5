"""What the validation found in the data, and how many images stand in which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gtl_core.evaluation.report.elements import element, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import listed, name_of


def build(inputs: Inputs) -> Section:
    """Every check with its outcome, and the parts of the draws."""
    found = inputs.read("validation", "validation.json")
    findings: Sequence[Mapping[str, Any]] = found["findings"]
    failed = [finding for finding in findings if not finding["passed"]]
    rows = [[name_of(finding["check"]), _outcome(finding), finding["summary"]] for finding in findings]
    if failed:
        names = listed([name_of(finding["check"]) for finding in failed])
        finding = f"{len(failed)} of {len(findings)} checks found something: {names}."
    else:
        finding = f"All {len(findings)} checks passed."
    finding += _skipped(inputs)
    html = table("Checks of source and target", ["check", "outcome", "what it says"], rows)
    meaning = (
        "An image that stands in training and test alike makes every score too good, duplicates make few images look "
        "like many, blank ones teach nothing. What is critical stops a run before anything is trained."
    )
    return Section("Data audit", finding, html, meaning, _parts(inputs), found)


def _outcome(finding: Mapping[str, Any]) -> Markup:
    """The outcome of a check in a word, with the rows that failed."""
    if finding["passed"]:
        return element("span", "passed", class_="good")
    word = "critical" if finding["severity"] == "critical" else "warning"
    return element("span", f"{word}: {finding['failing_rows']:,} rows", class_="bad")


def _skipped(inputs: Inputs) -> str:
    """How many files could not be read when the target was imported."""
    try:
        skipped = inputs.target.card.get("skipped") or []
    except Missing:
        return ""
    count = len(skipped) if isinstance(skipped, (list, dict)) else int(skipped)
    return f" {count:,} files of the target could not be read when it was imported and were left out." if count else ""


def _parts(inputs: Inputs) -> Markup:
    """How many images each draw has in each part."""
    try:
        draws = inputs.draws
    except Missing:
        return Markup("")
    rows = [
        [
            f"draw\N{NO-BREAK SPACE}{index}",
            *(f"{len(part):,}" for part in (draw.labelled, draw.unlabelled, draw.validation, draw.test)),
        ]
        for index, draw in enumerate(draws)
    ]
    columns = ["", "labelled", "unlabelled", "validation", "test"]
    note = "The test part is the same in every draw; no image, and no group of images, stands in two parts."
    return table("Target images by part", columns, rows, numeric=range(1, 5)) + element("p", note, class_="note")
