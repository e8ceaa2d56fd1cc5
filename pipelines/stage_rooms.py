"""Which code makes each stage: the rooms of `gtl_core` whose change makes the stage anew."""

from __future__ import annotations

from collections.abc import Mapping

from gtl_core.store import code_version

ROOMS: Mapping[str, tuple[str, ...]] = {
    "data_validation": ("data/image_set", "validation"),
    "draws": ("data/draws",),
    "source_gan": ("config/descriptions", "data/image_set", "networks", "training", "transfer"),
    "source_classifier": ("data/image_set", "networks", "training"),
    "source_dagan": ("data/image_set", "networks", "training", "transfer"),
    "transferred_gan": ("config/descriptions", "data/image_set", "networks", "training", "transfer"),
    "synthetic_images": (
        "data/image_set",
        "networks",
        "training",
        "metrics/neighbours",
        "synthesis/filtering",
        "synthesis/sampling",
        "synthesis/selection",
        "synthesis/synthetic_set",
        "validation",
    ),
    "pilot": (
        "data/image_set",
        "networks",
        "training",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/counted_scores",
        "evaluation/judging",
        "evaluation/pilot",
        "evaluation/scores",
        "evaluation/statistics",
        "evaluation/usefulness",
    ),
    "usefulness": (
        "data/image_set",
        "networks",
        "training",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/judging",
        "evaluation/scores",
        "evaluation/usefulness",
    ),
    "domain_gap": (
        "data/image_set",
        "networks",
        "training",
        "metrics/divergence",
        "metrics/features",
        "metrics/gap_measures",
        "metrics/kernel",
        "metrics/light",
        "metrics/relatedness",
        "metrics/transferability",
    ),
    "synthetic_quality": (
        "data/image_set",
        "networks",
        "training",
        "metrics/distribution",
        "metrics/features",
        "metrics/frechet",
        "metrics/kernel",
        "metrics/manifold",
        "metrics/memorisation",
        "metrics/neighbours",
        "metrics/quality",
        "metrics/screening",
        "metrics/shares",
        "metrics/sliced_wasserstein",
        "metrics/trajectory",
        "metrics/yardstick",
    ),
    "evaluation": (
        "data/image_set",
        "networks",
        "training",
        "synthesis/synthetic_set",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/counted_scores",
        "evaluation/forest",
        "evaluation/held_out",
        "evaluation/judging",
        "evaluation/scorecard",
        "evaluation/scores",
        "evaluation/statistics",
        "evaluation/study",
        "evaluation/verdict",
    ),
    "registered_models": ("registry",),
    "report": ("evaluation/report", "evaluation/forest"),
}
"""The rooms of `gtl_core` whose code a stage calls: its code version is their hash."""


def stage_code_version(name: str) -> str:
    """The code version of a stage."""
    return code_version(*ROOMS[name])
