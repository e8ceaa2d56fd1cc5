"""Makes the report of a run: `report.html` and `report.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.evaluation.report.contents import SECTIONS
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.page import Page, render
from gtl_core.files import write_json, write_text

HTML, JSON = "report.html", "report.json"


def write_report(inputs: Inputs, folder: Path) -> None:
    """Writes the page and its numbers into a folder.

    The same stages give the same bytes: nothing on the page depends on when or where it is made.

    Args:
        inputs: the run's stages; what is not there is shown as missing, with the reason.
        folder: where both files are put.
    """
    experiment = inputs.experiment
    sections = {builder.id: builder(inputs) for builder in SECTIONS}
    pair = f"{experiment.source.dataset} → {experiment.target.dataset}"
    count = experiment.target.labelled_per_class
    labels = f"{count} labelled images a class" if experiment.target.has_labels else "no labelled target image"
    title, subtitle = (experiment.description, f"{pair}, {labels}") if experiment.description else (pair, labels)
    page = Page(f"GTL report: {experiment.name}", title, subtitle, sections, JSON)
    write_text(folder / HTML, render(page))
    numbers = {
        "experiment": experiment.model_dump(mode="json"),
        "sections": {name: section.to_json() for name, section in sections.items()},
    }
    write_json(folder / JSON, plain(numbers))


def plain(value: Any) -> Any:
    """A value in JSON's own types; what is no number becomes null, for which JSON has a word."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
