"""The Great Expectations suites over a manifest and over its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

from gtl_core.data.image_set import MANIFEST_COLUMNS, UNLABELLED, ImageSet
from gtl_core.validation.report import CHECKS, Finding, failing_rows

_CHECKED = ("schema", "ranges", "classes", "sizes", "blank_images", "class_balance")

_BLANK = 1 / 255
"""Standard deviation, in the range 0..1, of an image that varies by one grey level."""

_SMALLEST_SHARE = 0.1
"""Share of the largest class's images that the smallest should have."""


def manifest_findings(images: ImageSet, expected_classes: Sequence[str] | None = None) -> list[Finding]:
    """Checks a manifest: schema, ranges, classes, sizes, blank images and class balance.

    Args:
        images: the set.
        expected_classes: names of classes that must have images, beside those that the set names.
    """
    missing = [column for column in MANIFEST_COLUMNS if column not in images.manifest]
    if missing:
        reason = f"the manifest lacks {', '.join(missing)}, without which it cannot be checked"
        failing = failing_rows([(images.name, -1, "", "", reason)])
        return [Finding.of(check, failing) for check in CHECKS if check.name in _CHECKED]
    # Read when the package is imported: nothing is to be told to its makers.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    rows = _row_table(images)
    classes = _class_table(images, expected_classes or ())
    failed: dict[str, list[tuple[str, int, str, str, str]]] = {name: [] for name in _CHECKED}
    for check, reason, row, value in _unmet([(rows, _row_suite(images)), (classes, _class_suite(images))]):
        if row is None:
            failed[check].append((images.name, -1, "", "", f"{reason} ({value})" if value else reason))
        elif check in ("classes", "class_balance"):
            name = classes["name"].iloc[row]
            failed[check].append((images.name, -1, "", "", f"class {name}: {reason}"))
        else:
            of_row = rows.iloc[row]
            failed[check].append(
                (images.name, row, str(of_row["split"]), str(of_row["source_file"]), f"{reason} ({value})")
            )
    return [Finding.of(check, failing_rows(failed[check.name])) for check in CHECKS if check.name in _CHECKED]


def _row_table(images: ImageSet) -> pd.DataFrame:
    """The manifest with the number of each row, and what expectations need that is derived from several columns."""
    rows = images.manifest.reset_index(drop=True)
    sides = rows[["width", "height"]]
    return rows.assign(
        row=range(len(rows)),
        test_label=rows["label"].where(rows["split"] == "test"),
        enlarged=images.size / sides.min(axis=1),
        aspect=sides.max(axis=1) / sides.min(axis=1),
    )


def _class_table(images: ImageSet, expected_classes: Sequence[str]) -> pd.DataFrame:
    """A row a class: its name, how many images it has in all, to train on and to test on, and its share of the largest.

    Only labelled images are counted. Images without a split are there to train on. How many of the set's own classes
    there are to train on is left open where none of them is labelled. The share of a class without images is left open
    too, so that the class fails as missing and not as rare.
    """
    manifest = images.manifest
    names = [*images.classes, *(name for name in expected_classes if name not in images.classes)]
    counts = pd.crosstab(manifest["label"], manifest["split"]).reindex(range(len(names)), fill_value=0)
    total = counts.sum(axis=1)
    train = counts[[part for part in ("train", "") if part in counts]].sum(axis=1)
    to_train_on = manifest["split"].isin(("train", ""))
    if to_train_on.any() and not train.any():
        train = train.where(train.index >= len(images.classes))
    return pd.DataFrame(
        {
            "row": range(len(names)),
            "name": names,
            "images": total,
            "train": train,
            "test": counts.get("test", 0),
            "share": total.where(total > 0) / total.max(),
        }
    ).reset_index(drop=True)


def _row_suite(images: ImageSet) -> list[Any]:
    e = _expectations()

    most = len(images.classes) - 1
    return [
        e.ExpectTableRowCountToEqual(
            value=len(images.images), meta=_meta("schema", "the manifest has not a row for each image")
        ),
        *(
            e.ExpectColumnValuesToNotBeNull(column=column, meta=_meta("schema", f"{column} is missing"))
            for column in MANIFEST_COLUMNS
            if column != "group"
        ),
        e.ExpectColumnValuesToMatchRegex(
            column="sha256", regex="^[0-9a-f]{64}$", meta=_meta("schema", "sha256 is not a SHA-256")
        ),
        e.ExpectColumnValuesToBeInSet(
            column="split", value_set=["train", "val", "test", ""], meta=_meta("schema", "split is not known")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="label",
            min_value=UNLABELLED,
            max_value=most,
            meta=_meta("ranges", f"label is not within 0 to {most}, nor {UNLABELLED} for none"),
        ),
        e.ExpectColumnValuesToBeBetween(
            column="test_label", min_value=0, meta=_meta("ranges", "an image of the test part has no label")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="mean", min_value=0, max_value=1, meta=_meta("ranges", "mean is not within 0 to 1")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="std", min_value=0, max_value=0.5, meta=_meta("ranges", "std is not within 0 to 0.5")
        ),
        *(
            e.ExpectColumnValuesToBeBetween(
                column=column, min_value=1, meta=_meta("ranges", f"{column} is less than 1 pixel")
            )
            for column in ("width", "height")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="enlarged", max_value=2, meta=_meta("sizes", "the original is smaller than half the stored image")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="aspect", max_value=2, meta=_meta("sizes", "one side is more than twice the other")
        ),
        e.ExpectColumnValuesToBeBetween(
            column="std", min_value=_BLANK, meta=_meta("blank_images", "blank: its pixels hardly differ, std")
        ),
    ]


def _class_suite(images: ImageSet) -> list[Any]:
    e = _expectations()

    parts = {"train": "no image to train on"}
    if (images.manifest["split"] == "test").any():
        parts["test"] = "no image in the test part"
    return [
        e.ExpectTableRowCountToBeBetween(min_value=2, meta=_meta("classes", "there is one class only")),
        *(
            e.ExpectColumnValuesToBeBetween(column=column, min_value=1, meta=_meta("classes", reason))
            for column, reason in parts.items()
        ),
        e.ExpectColumnValuesToBeBetween(
            column="share",
            min_value=_SMALLEST_SHARE,
            meta=_meta("class_balance", f"it has less than {_SMALLEST_SHARE:.0%} of the images of the largest class"),
        ),
    ]


def _unmet(suites: Sequence[tuple[pd.DataFrame, list[Any]]]) -> list[tuple[str, str, int | None, str]]:
    """What tables do not meet: check, reason, row (None for the table as a whole) and the value found.

    Args:
        suites: tables that have a column `row`, each with its expectations.

    Raises:
        RuntimeError: an expectation could not be computed.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    unmet: list[tuple[str, str, int | None, str]] = []
    for number, (table, expectations) in enumerate(suites):
        asset = context.data_sources.add_pandas(f"pandas-{number}").add_dataframe_asset("table")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
        outcome = batch.validate(
            gx.ExpectationSuite(name=f"suite-{number}", expectations=expectations),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
        )
        for result in outcome.results:
            if result.success:
                continue
            expectation: Any = result.expectation_config
            check, reason = expectation.meta["check"], expectation.meta["reason"]
            found = result.result.get("unexpected_index_list")
            if found:
                column = expectation.kwargs["column"]
                unmet += [(check, reason, int(item["row"]), _text(item.get(column))) for item in found]
            elif "observed_value" in result.result:
                unmet.append((check, reason, None, _text(result.result["observed_value"])))
            else:
                raise RuntimeError(f"the expectation of {check} could not be computed: {result.exception_info}")
    return sorted(unmet, key=lambda item: (item[0], -1 if item[2] is None else item[2], item[1]))


def _expectations() -> Any:
    """The module of all expectations, untyped because its names are not exported as mypy wants it."""
    from great_expectations import expectations

    return expectations


def _meta(check: str, reason: str) -> dict[str, str]:
    """What an expectation carries along: the check that it belongs to, and what it means that it is not met."""
    return {"check": check, "reason": reason}


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
