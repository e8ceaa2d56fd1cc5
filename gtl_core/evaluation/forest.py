"""The forest plot of the arms: one picture that shows what each way of training is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gtl_core.evaluation.arms import PLAIN_ARMS
from gtl_core.evaluation.verdict import Verdict
from gtl_core.files import atomic_path

_NAMES = {
    "source_only": "Source classifier as it is",
    "real": "Labelled target images alone",
    "real_augmented": "Labelled target images, augmented",
    "real_oversampled": "Labelled target images and augmented copies",
    "source_finetuned": "Source classifier, fine-tuned",
    "feature_extraction": "Source classifier's features, new head",
    "last_stage": "Source classifier, last stage fine-tuned",
    "discriminative_rates": "Source classifier, fine-tuned by stage",
    "joint": "Source and target together",
    "self_trained": "Source classifier, self-trained on the target",
    "info_max": "Source classifier, sure and even on the target",
    "dann": "Source and target features made alike (DANN)",
    "adda": "Source classifier, encoder of the target (ADDA)",
    "scratch_gan": "Augmented + images of a GAN without the source",
    "transferred_gan": "Augmented + GAN images",
    "two_stage": "GAN images first, then target images",
    "best_plus_gan": "Best without a GAN + GAN images",
    "filtered_plus_gan": "Best without a GAN + selected images",
    "adapted": "Classifier that learned beside the GAN",
    "synthetic_only": "GAN images alone",
}
_REACH = 15.0
"""Points below the best arm without a GAN that the picture shows."""
_PLAIN, _GAN, _INK, _QUIET = "#33658a", "#c8553d", "#222222", "#777777"


def arm_title(arm: str) -> str:
    """An arm's name in words, such as `GAN images alone (freeze_d)`."""
    kind, _, strategy = arm.partition("/")
    return f"{_NAMES[kind]} ({strategy})" if strategy else _NAMES[kind]


def draw_forest(rows: Sequence[Mapping[str, Any]], verdict: Verdict, path: Path) -> None:
    """Draws every arm's score with its interval, the best on top, as a PNG.

    Args:
        rows: of `arms.json`.
        verdict: named in the heading.
        path: the PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    ordered = sorted(rows, key=lambda row: row["mean"])
    figure = Figure(figsize=(9.0, 2.55 + 0.42 * len(rows)), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    baseline = next(row for row in rows if row["arm"] == verdict.baseline_arm)
    high = min(100.0, max(100 * row["high"] for row in rows) + 1)
    # One arm far below would press all others together, so it becomes an arrow at the edge.
    low = max(0.0, min(100 * row["low"] for row in rows) - 1, 100 * baseline["low"] - _REACH)
    for position, row in enumerate(ordered):
        colour = _PLAIN if row["arm"] in PLAIN_ARMS else _GAN
        judged = row["arm"] in (verdict.arm, verdict.baseline_arm)
        axes.plot([100 * row["low"], 100 * row["high"]], [position] * 2, color=colour, lw=4 if judged else 2, zorder=2)
        if 100 * row["mean"] < low:
            axes.plot(low + 0.01 * (high - low), position, "<", color=colour, ms=8, zorder=3)
        else:
            axes.plot(100 * row["mean"], position, "o", color=colour, ms=9 if judged else 6, zorder=3)
        axes.text(
            1.02,
            position,
            f"{100 * row['mean']:.1f} %",
            transform=axes.get_yaxis_transform(),
            va="center",
            color=_INK,
            weight="bold" if judged else "normal",
        )
    axes.axvline(100 * baseline["mean"], color=_PLAIN, lw=1, ls="--", zorder=1)
    axes.set_yticks(range(len(ordered)), [arm_title(row["arm"]) for row in ordered])
    for tick, row in zip(axes.get_yticklabels(), ordered, strict=True):
        tick.set_fontweight("bold" if row["arm"] in (verdict.arm, verdict.baseline_arm) else "normal")
    axes.set_xlim(low, high)
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlabel(f"{verdict.metric.replace('_', ' ')} on the {verdict.test_images} test images, in percent")
    axes.grid(axis="x", color="#dddddd", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    legend = [
        Line2D([], [], color=_PLAIN, marker="o", lw=3, label="without a GAN"),
        Line2D([], [], color=_GAN, marker="o", lw=3, label="with GAN images"),
        Line2D([], [], color=_PLAIN, ls="--", lw=1, label="the best without a GAN by validation"),
    ]
    figure.legend(handles=legend, loc="lower left", ncols=3, frameon=False, bbox_to_anchor=(0.01, 0.005))
    figure.text(0.02, 0.985, _heading(verdict), va="top", size=14, weight="bold", color=_INK)
    note = (
        f"Dot: mean of {verdict.draws} draws. Bar: where the true score lies with 95 % confidence.\n"
        f"Bold: the two that are compared, chosen by {verdict.chosen_by}."
    )
    inches = figure.get_figheight()
    figure.text(0.02, 1 - 0.42 / inches, note, va="top", size=9, color=_QUIET)
    figure.subplots_adjust(left=0.42, right=0.90, top=1 - 0.9 / inches, bottom=1.05 / inches)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _heading(verdict: Verdict) -> str:
    points = f"{100 * verdict.difference:+.1f} points ({100 * verdict.low:+.1f} to {100 * verdict.high:+.1f})".replace(
        "-", "−"
    )
    if verdict.label == "inconclusive":
        return f"It is not settled whether the GAN helps: {points}"
    return f"The GAN {verdict.label}: {points}"
