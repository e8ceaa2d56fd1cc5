"""Shares of classes or groups among real and synthetic images, as a table for the sections about them."""

from __future__ import annotations

from typing import Literal

from markupsafe import Markup

from gtl_core.evaluation.report.elements import details, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.words import DASH, number, percent


def share_table(inputs: Inputs, of: Literal["class", "group"]) -> Markup:
    """What share of the real and of the synthetic images each class or group is, where that was measured.

    `short of enough` is how many real images it lacks to a number from which its share is more than an anecdote.
    """
    try:
        strategies = inputs.quality["strategies"]
    except Missing:
        return Markup("")
    rows = [
        [
            name,
            label,
            percent(share.get("real")),
            percent(share.get("synthetic")),
            number(share["shortfall"]) if share.get("shortfall") else DASH,
        ]
        for label in inputs.judged_first(strategies)
        for name, share in ((strategies[label].get("shares") or {}).get(of) or {}).items()
    ]
    if not rows:
        return Markup("")
    title = "Shares of the classes" if of == "class" else "Shares of the groups"
    columns = [of, "strategy", "of the real images", "of the synthetic images", "real images short of enough"]
    return details(title, table(title, columns, rows, numeric=(2, 3, 4)))
