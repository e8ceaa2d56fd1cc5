"""What is in the report: its sections, in the order in which they are read."""

from __future__ import annotations

from gtl_core.evaluation.report.section import Builder
from gtl_core.evaluation.report.sections import (
    arms,
    budgets,
    calibration,
    classes,
    confusion,
    data_audit,
    distances,
    embedding,
    examples,
    gap,
    groups,
    likeness,
    limits,
    neighbours,
    provenance,
    trajectory,
    verdict,
    walk,
)

SECTIONS: tuple[Builder, ...] = (
    Builder("verdict", "Verdict", verdict.build),
    Builder("arms", "Every way of training", arms.build),
    Builder("budgets", "With more or fewer labels", budgets.build),
    Builder("classes", "Class by class", classes.build),
    Builder("confusion", "What is taken for what", confusion.build),
    Builder("calibration", "Can its confidence be trusted?", calibration.build),
    Builder("examples", "Real and synthetic images", examples.build),
    Builder("neighbours", "Copies of training images?", neighbours.build),
    Builder("distances", "How near to what it has seen", distances.build),
    Builder("likeness", "How like the real ones", likeness.build),
    Builder("trajectory", "Over the training", trajectory.build),
    Builder("walk", "From the source to the target", walk.build),
    Builder("embedding", "Source, target and synthetic on one map", embedding.build),
    Builder("groups", "Groups", groups.build),
    Builder("data", "Data audit", data_audit.build),
    Builder("gap", "How far the source is from the target", gap.build),
    Builder("provenance", "Where it all comes from", provenance.build),
    Builder("limits", "What this report does not say", limits.build),
)
