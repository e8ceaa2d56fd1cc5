"""The gate as Dagster shows it: a table of its rules, and a check for each kind of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from gtl_core.registry.rules import KINDS, Kind
from pipelines.partitions import EXPERIMENTS
from pipelines.reporting import table

_MEANINGS: Mapping[Kind, str] = {
    "gain": "The new classifier is better than the champion on today's test images by promotion.min_gain at least, "
    "with the interval of promotion.interval where one is asked for.",
    "limits": "The new models keep the limits that promotion.limits and promotion.memorisation ask for.",
    "fresh_process": "The new models load and predict in a process that has nothing of this project.",
}


def gate_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The gate's checks of an asset. None blocks: a refused model stays challenger, and the rest of the run goes on."""
    return [
        dg.AssetCheckSpec(f"gate_{kind}", asset=asset, description=_MEANINGS[kind], partitions_def=EXPERIMENTS)
        for kind in KINDS
    ]


def gate_results(gate: Mapping[str, Any]) -> list[dg.AssetCheckResult]:
    """What the checks found, from `GateResult.to_json()`; the numbers stand alone too, where Dagster plots them."""
    results = []
    for kind, names in KINDS.items():
        rules = [rule for rule in gate["rules"] if rule["name"] in names]
        broken = [rule["sentence"] for rule in rules if not rule["passed"]]
        results.append(
            dg.AssetCheckResult(
                check_name=f"gate_{kind}",
                passed=not broken,
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(broken or [rule["sentence"] for rule in rules]) or "no limit is set",
                metadata={
                    **({"rules": rules_table(rules)} if rules else {}),
                    **{rule["name"]: rule["value"] for rule in rules if rule["value"] is not None},
                },
            )
        )
    return results


def rules_table(rules: list[Mapping[str, Any]]) -> Any:
    """Rules as a table on the asset's page."""
    return table(
        [
            {
                "rule": rule["name"],
                "passed": rule["passed"],
                "value": _number(rule["value"]),
                "limit": _number(rule["limit"]),
                "in words": rule["sentence"],
            }
            for rule in rules
        ]
    )


def _number(value: float | None) -> str:
    """A number for the table; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"
