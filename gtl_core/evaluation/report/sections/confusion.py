"""Confusion matrices of the two arms that are compared."""

from __future__ import annotations

import numpy as np

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.confusion import MOST_CLASSES, confusion_table, most_confused
from gtl_core.evaluation.report.elements import element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import percent


def build(inputs: Inputs) -> Section:
    """The best arm without a GAN beside the judged one."""
    compared = inputs.compared
    if any("confusion" not in row for row in compared):
        raise Missing("this evaluation was made before confusion matrices were kept; gtl run makes it anew")
    classes = inputs.classes
    matrices = {row["arm"]: np.array(row["confusion"], np.int64) for row in compared}
    worst = most_confused(classes, matrices[compared[0]["arm"]], most=1)
    if len(classes) <= MOST_CLASSES:
        tables = joined(confusion_table(arm_title(arm), classes, counts) for arm, counts in matrices.items())
    else:
        tables = joined(
            table(
                f"Most confused by: {arm_title(arm)}",
                ["true class", "taken for", "share of its images"],
                [[true, taken, percent(share)] for true, taken, share in most_confused(classes, counts, most=12)],
                numeric=(2,),
            )
            for arm, counts in matrices.items()
        )
    finding = "No image was taken for another class."
    if worst:
        true, taken, share = worst[0]
        finding = f"Without a GAN the commonest mistake is {true} taken for {taken} ({percent(share)} of its images)."
    meaning = (
        "A row is what the images of one class were taken for, in percent of them, over all draws. A good classifier "
        "is dark along the diagonal; everything beside it is a mistake."
    )
    return Section(
        "What is taken for what",
        finding,
        element("figure", element("div", tables, class_="pair")),
        meaning,
        numbers={"classes": list(classes), **{arm: counts.tolist() for arm, counts in matrices.items()}},
    )
