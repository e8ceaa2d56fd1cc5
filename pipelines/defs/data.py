"""Assets of the data: the two image sets, their validation, and the few-shot draws."""

from typing import Any

import dagster as dg

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.store import Stage
from gtl_core.validation.report import CHECKS, Finding
from pipelines.assets import OWNERS, asset_options
from pipelines.observation import COMMITTED
from pipelines.partitions import EXPERIMENTS
from pipelines.reporting import Reporter, outcome, table
from pipelines.runs import running

_RULES = {check.name: check.meaning for check in CHECKS}
_ROWS_SHOWN = 20

committed_data = dg.AssetSpec(
    COMMITTED,
    description="The versions of an experiment's image sets in data.dvc, as the sensor new_data observes them.",
    partitions_def=EXPERIMENTS,
    owners=OWNERS,
    group_name="data",
    kinds={"dvc"},
)


def _describe(images: ImageSet) -> dg.MaterializeResult:
    """Version, size and classes of an image set as Dagster shows them."""
    counts = images.manifest.groupby(["label", "split"], observed=True).size().unstack(fill_value=0)
    names = {UNLABELLED: "no label", **dict(enumerate(images.classes))}
    rows = [
        {"class": names[int(label)], **{split or "all": int(n) for split, n in row.items()}}
        for label, row in counts.iterrows()
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(images.version),
        metadata={
            "dataset": images.name,
            "images": len(images),
            "classes": len(images.classes),
            "pixels": f"{images.size}×{images.size}×{images.channels}",
            "images per class": table(rows),
            "reused": True,
            "seconds": 0.0,
        },
    )


@dg.asset(**asset_options("data", {"dvc"}, deps=[committed_data]))
def source_images(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """The big related set, as it lies in `data/` and as DVC versions it."""
    with running(context, reporter) as chain:
        return _describe(chain.sets[0])


@dg.asset(**asset_options("data", {"dvc"}, deps=[committed_data]))
def target_images(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """The small set that counts, as it lies in `data/` and as DVC versions it."""
    with running(context, reporter) as chain:
        return _describe(chain.sets[1])


@dg.asset(
    **asset_options("data", {"greatexpectations"}, "data_validation", ["source_images", "target_images"]),
    check_specs=[
        dg.AssetCheckSpec(
            check,
            asset="data_validation",
            blocking=severity == "critical",
            description=meaning,
            partitions_def=EXPERIMENTS,
        )
        for check, severity, meaning in CHECKS
    ],
)
def data_validation(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """Expectations on both sets, duplicates, and leakage; what is critical blocks all that follows."""
    with running(context, reporter) as chain:
        stage = chain.data_validation()
        report = chain.validation_report()
        checks = [
            dg.AssetCheckResult(
                check_name=finding.check,
                passed=finding.passed,
                severity=dg.AssetCheckSeverity.ERROR if finding.severity == "critical" else dg.AssetCheckSeverity.WARN,
                description=finding.summary,
                metadata={
                    "rule": _RULES[finding.check],
                    "failing rows": len(finding.failing),
                    **_failing(finding, stage),
                },
            )
            for finding in report.findings
        ]
        return outcome([stage], {"failing rows": len(report.quarantine)}, checks)


def _failing(finding: Finding, stage: Stage) -> dict[str, Any]:
    """The first rows that a check has found, and the file that lists all; nothing where it found none."""
    if finding.failing.empty:
        return {}
    rows = finding.failing.head(_ROWS_SHOWN).astype(str).to_dict("records")
    return {"quarantine": dg.MetadataValue.path(str(stage.path / "quarantine.csv")), "first failing": table(rows)}


@dg.asset(**asset_options("data", {"pandas"}, "draws", ["data_validation"]))
def draws(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """The few-shot draws: which target images are labelled, unlabelled, for validation and for test."""
    with running(context, reporter) as chain:
        chain.require_valid()
        stage = chain.draws()
        rows = [
            {
                "draw": index,
                "labelled": len(draw.labelled),
                "unlabelled": len(draw.unlabelled),
                "validation": len(draw.validation),
                "test": len(draw.test),
            }
            for index, draw in enumerate(chain.load_draws())
        ]
        return outcome([stage], {"draws": table(rows)})
