"""The three validations: of one set, of a source and a target together, and of synthetic images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.validation.expectations import manifest_findings
from gtl_core.validation.leakage import between_sets, between_splits, unique_rows, within_splits
from gtl_core.validation.report import CHECKS, COPIES, Check, Finding, ValidationReport, failing_rows

_CHECK = {check.name: check for check in CHECKS}


def validate_set(images: ImageSet, expected_classes: Sequence[str] | None = None) -> ValidationReport:
    """Validates one set: all of `CHECKS` but those that need a source and a target.

    Images without label are checked like others, as far as no label is needed for it. Where the training part has no
    labelled image at all, its classes are not asked for.

    Args:
        images: the set.
        expected_classes: names of classes that must have images, beside those that the set names.
    """
    within, between = within_splits(images), between_splits(images)
    duplicates = [
        Finding.of(_CHECK["exact_duplicates"], failing_rows(within.exact)),
        Finding.of(
            _CHECK["near_duplicates"], failing_rows(unique_rows([*within.sure, *within.likely, *between.likely]))
        ),
        Finding.of(
            _CHECK["split_leakage"], failing_rows(unique_rows([*between.exact, *between.sure, *between.grouped]))
        ),
    ]
    return ValidationReport((*manifest_findings(images, expected_classes), *duplicates))


def validate_experiment(source: ImageSet, target: ImageSet, labelled: bool = True) -> ValidationReport:
    """Validates the source and the target of an experiment, and what they share: all of `CHECKS`.

    Where all classes of the target are among the source's, the others of the source count as missing from the target.
    Sets of different classes are taken as they are.

    Args:
        source: the source.
        target: the target.
        labelled: whether labels of the target may be looked at outside its test part. Where not, no finding depends on
            them.
    """
    target = target if labelled else _labelled_in_test_alone(target)
    subset = set(target.classes) <= set(source.classes)
    reports = [validate_set(source), validate_set(target, source.classes if subset else None)]
    overlap = between_sets(source, target)
    extra = {
        "source_labels": _without_label(source),
        "near_duplicates": failing_rows(overlap.likely),
        "source_target_overlap": failing_rows(unique_rows([*overlap.exact, *overlap.sure])),
    }
    return ValidationReport(tuple(_merged(check, reports, extra.get(check.name)) for check in CHECKS))


def validate_synthetic(
    synthetic: ImageSet, labelled: ImageSet, labelled_indices: NDArray[np.int64]
) -> ValidationReport:
    """Validates synthetic images as one set, and looks for copies of the labelled images.

    Args:
        synthetic: the synthetic images.
        labelled: the target.
        labelled_indices: rows of the target that the generator may have learnt by heart, int64.
    """
    copies = between_sets(synthetic, labelled, labelled_indices)
    rows = unique_rows([*copies.exact, *copies.sure, *copies.likely])
    return ValidationReport((*validate_set(synthetic).findings, Finding.of(COPIES, failing_rows(rows))))


def _without_label(images: ImageSet) -> pd.DataFrame:
    """The rows that have no label, as failing ones."""
    rows = np.flatnonzero(images.labels == UNLABELLED)
    found = images.manifest[["split", "source_file"]].iloc[rows].astype(str).itertuples(index=False)
    return failing_rows(
        (images.name, row, split, file, "it has no label")
        for row, (split, file) in zip(rows.tolist(), found, strict=True)
    )


def _labelled_in_test_alone(images: ImageSet) -> ImageSet:
    """The set as it looks to whom labels are shown in its test part alone."""
    labels = images.manifest["label"].where(images.manifest["split"] == "test", UNLABELLED)
    return replace(images, manifest=images.manifest.assign(label=labels))


def _merged(check: Check, reports: Sequence[ValidationReport], extra: pd.DataFrame | None) -> Finding:
    """One finding from those of several sets."""
    tables = [finding.failing for report in reports for finding in report.findings if finding.check == check.name]
    tables += [] if extra is None else [extra]
    return Finding.of(check, pd.concat([failing_rows([]), *tables], ignore_index=True))
