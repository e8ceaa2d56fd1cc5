"""The gate on Dagster's pages: a check for each kind of rule, and a table of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pytest

from gtl_core.config import PromotionConfig
from gtl_core.registry.gate import decide
from gtl_core.registry.rules import Rule
from pipelines.definitions import defs
from pipelines.gating import gate_results, gate_specs, rules_table
from pipelines.partitions import EXPERIMENTS
from pipelines.reporting import table

LOADS = (
    Rule("classifier_loads", True, None, None, "challenger c/2 loads and predicts in a fresh process"),
    Rule("generator_loads", True, None, None, "challenger g/2 loads and predicts in a fresh process"),
)
SLOW = Rule("latency_ms", False, 31.0, 20.0, "latency_ms 31 where at most 20 is asked for: 11 too much")


def gate(*rules: Rule, new: list[int], old: list[int] | None) -> dict[str, Any]:
    """A gate's result on four images of one class, as `registration.json` has it."""
    labels = np.zeros(4, np.int64)
    sure = np.eye(2)
    predictions = (sure[new], sure[old] if old is not None else None)
    return decide(*predictions, "", (*LOADS, *rules), labels, np.full(4, ""), PromotionConfig()).to_json()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def materialised(gate: dict[str, Any], instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks of an asset with the gate's, as Dagster keeps them."""

    @dg.asset(partitions_def=EXPERIMENTS, check_specs=gate_specs("judged"))
    def judged() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            metadata={"gate rules": rules_table(gate["rules"])}, check_results=gate_results(gate)
        )

    partition = EXPERIMENTS.get_partition_keys()[0]
    result = dg.materialize([judged], instance=instance, partition_key=partition)
    assert result.success
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_the_registered_models_carry_the_gates_checks_and_none_blocks() -> None:
    asset = defs().resolve_asset_graph().get(dg.AssetKey("registered_models")).assets_def
    assert {spec.name: spec.blocking for spec in asset.check_specs} == {
        "gate_gain": False,
        "gate_limits": False,
        "gate_fresh_process": False,
    }
    assert all(spec.description for spec in asset.check_specs)


def test_a_model_that_passes_passes_all_checks(instance: dg.DagsterInstance) -> None:
    checks = materialised(gate(new=[0, 0, 0, 0], old=[0, 0, 0, 1]), instance)
    assert {name: check.passed for name, check in checks.items()} == {
        "gate_gain": True,
        "gate_limits": True,
        "gate_fresh_process": True,
    }
    assert checks["gate_gain"].metadata["gain"].value == pytest.approx(0.25)
    assert checks["gate_limits"].description == "no limit is set"


def test_a_refused_model_fails_the_check_of_the_rule_that_it_breaks_and_warns(instance: dg.DagsterInstance) -> None:
    checks = materialised(gate(SLOW, new=[0, 0, 1, 1], old=[0, 0, 0, 1]), instance)
    assert {name: check.passed for name, check in checks.items()} == {
        "gate_gain": False,
        "gate_limits": False,
        "gate_fresh_process": True,
    }
    limits = checks["gate_limits"]
    assert limits.severity == dg.AssetCheckSeverity.WARN
    assert limits.description == SLOW.sentence
    assert limits.metadata["latency_ms"].value == 31.0
    (row,) = limits.metadata["rules"].records
    assert (row.data["rule"], row.data["passed"], row.data["value"], row.data["limit"]) == (
        "latency_ms",
        False,
        "31",
        "20",
    )


def test_a_first_model_has_a_gain_without_a_number(instance: dg.DagsterInstance) -> None:
    checks = materialised(gate(new=[0, 0, 0, 0], old=None), instance)
    assert checks["gate_gain"].passed
    assert "gain" not in checks["gate_gain"].metadata
    assert "no champion yet" in checks["gate_gain"].description


def test_the_table_holds_every_rule_in_words() -> None:
    shown = rules_table(gate(SLOW, new=[0, 0, 0, 0], old=None)["rules"])
    assert type(shown) is type(table([{"a": 1}]))
    assert [row.data["rule"] for row in shown.records] == ["classifier_loads", "generator_loads", "latency_ms", "gain"]
    assert shown.records[0].data["value"] == "–"
