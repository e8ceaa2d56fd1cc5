"""Promotion from MLflow and from Dagster's page: the sensor `approvals` and the jobs, on real instances of both."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gtl_core.homes import Homes
from gtl_core.registry.approval import GATE_TAG
from gtl_core.registry.history import entries
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote
from gtl_core.registry.standing import aliases, problems
from gtl_core.registry.tracking import TrackingStore
from pipelines.defs.promotion import approvals
from pipelines.defs.promotion import promote as promote_job
from pipelines.defs.promotion import rollback as rollback_job
from pipelines.promotions import APPROVAL, APPROVAL_REASON, APPROVAL_RESULT, APPROVED_BY, tend, witness
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

CLASSIFIER, GENERATOR = "gtl-scans-classifier", "gtl-scans-generator"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance, in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def waiting(store: TrackingStore, homes: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """A model with a champion, version 1, and a challenger, version 2; this process is pointed to its project."""
    for variable, value in homes.environment().items():
        monkeypatch.setenv(variable, value)
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    for number, against in (("1", None), ("2", "1")):
        (tmp_path / number).mkdir()
        register_version(store, homes, tmp_path / number, scans_experiment(), kinds=("classifier", "generator"))
        store.client.set_model_version_tag(CLASSIFIER, number, GATE_TAG, '{"passed": true, "reasons": []}')
        pair = find_pair(store, CLASSIFIER, number)
        nominate(store, pair, reason="a gain of 0.05", details={"against": against})
        if against is None:
            promote(store, pair, expected=None, by="gate", reason="a gain of 0.05")
    return store


def tag(store: TrackingStore, version: str, **values: str) -> None:
    for key, value in values.items():
        store.client.set_model_version_tag(CLASSIFIER, version, key.replace("gtl_", "gtl."), value)


def tags(store: TrackingStore, version: str) -> dict[str, str]:
    return dict(store.client.get_model_version(CLASSIFIER, version).tags)


def tick(instance: dg.DagsterInstance) -> str:
    """One tick of the sensor, and what it says it did."""
    with dg.build_sensor_context(instance=instance) as context:
        (skipped,) = [approvals(context)]
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message)


def test_a_project_without_models_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: Any):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("GTL_MLRUNS", str(tmp_path / "mlruns"))
    assert tick(instance) == "no models yet"
    assert not (tmp_path / "mlruns").exists()


def test_an_approval_by_tags_promotes_once_and_dagster_witnesses_it(waiting: TrackingStore, instance: Any):
    assert tick(instance) == "nothing to do"
    tag(waiting, "2", gtl_approval="approved", gtl_approved_by="Ada", gtl_approval_reason="sharp")
    assert tick(instance).startswith(f"{CLASSIFIER} version 2: promoted at ")
    assert aliases(waiting, CLASSIFIER) == aliases(waiting, GENERATOR) == {"champion": "2"}
    assert tags(waiting, "2")[APPROVAL] == "promoted"
    last = entries(waiting, CLASSIFIER)[-1]
    assert (last.action, last.by, last.reason) == ("promoted", "Ada", "sharp")
    assert tick(instance) == "nothing to do"
    assert entries(waiting, CLASSIFIER)[-1] == last
    for model in (CLASSIFIER, GENERATOR):
        told = witness(instance, model)
        assert told == {entry.number: entry.hash for entry in entries(waiting, model)}
        assert problems(waiting, model, told) == []


def test_an_approval_without_a_name_waits_for_it_and_one_that_is_overtaken_is_answered(
    waiting: TrackingStore, instance: Any
):
    tag(waiting, "2", gtl_approval="approved")
    assert tick(instance) == f"{CLASSIFIER} version 2 waits until the tag {APPROVED_BY} names who approves"
    assert tick(instance) == "nothing to do"
    assert tags(waiting, "2")[APPROVAL_RESULT].startswith("waits until the tag")
    waiting.client.set_model_version_tag(CLASSIFIER, "2", GATE_TAG, '{"passed": false, "reasons": ["too slow"]}')
    tag(waiting, "2", gtl_approved_by="Ada")
    assert "the gate refused it: too slow" in tick(instance)
    found = tags(waiting, "2")
    assert (found[APPROVAL], APPROVAL_REASON in found) == ("refused", False)
    assert "too slow" in found[APPROVAL_RESULT]
    assert aliases(waiting, CLASSIFIER) == {"champion": "1", "challenger": "2"}
    assert entries(waiting, CLASSIFIER)[-1].action == "refused"
    assert tick(instance) == "nothing to do"


def test_an_alias_that_was_moved_in_mlflow_is_recorded_as_that(waiting: TrackingStore, instance: Any):
    waiting.client.set_registered_model_alias(CLASSIFIER, "champion", "2")
    assert tick(instance) == "champion was moved from version 1 to version 2 outside GTL"
    last = entries(waiting, CLASSIFIER)[-1]
    assert (last.action, last.previous, last.version, last.by) == ("moved_outside", "1", "2", "outside")
    assert tick(instance) == "nothing to do"


def test_what_is_wrong_with_one_model_keeps_no_other_from_its_turn(waiting: TrackingStore, homes: Homes, instance: Any):
    waiting.client.create_registered_model("foreign")
    waiting.client.create_model_version("foreign", homes.root.as_uri(), tags={APPROVAL: "approved", APPROVED_BY: "Eve"})
    waiting.client.set_registered_model_tag("foreign", "gtl.history.000001", "no JSON")
    tag(waiting, "2", gtl_approval="approved", gtl_approved_by="Ada")
    waiting.client.set_model_version_tag(CLASSIFIER, "2", GATE_TAG, "no JSON")
    waiting.client.delete_registered_model_alias(CLASSIFIER, "challenger")
    done = tend(homes, instance, logging.getLogger("test"))
    assert "challenger was moved from version 2 to no version outside GTL" in done
    assert "foreign version 1: " in done
    assert f"{CLASSIFIER} version 2 is not promoted: what the gate found of it cannot be read" in done
    assert waiting.client.get_model_version("foreign", "1").tags[APPROVAL] == "refused"
    assert "champion" not in aliases(waiting, "foreign")


def test_the_jobs_of_dagsters_page_promote_and_roll_back(waiting: TrackingStore, instance: Any):
    def run(job: dg.JobDefinition, op: str, **config: Any) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            instance=instance, run_config={"ops": {op: {"config": config}}}, raise_on_error=False
        )

    who = {"model": CLASSIFIER, "by": "Ada", "reason": "looks right"}
    assert run(promote_job, "promote_version", version="2", **who).success
    assert aliases(waiting, CLASSIFIER) == {"champion": "2"}
    refused = run(promote_job, "promote_version", version="1", **who)
    assert not refused.success
    (failure,) = [event for event in refused.all_events if event.is_step_failure]
    assert "the champion has changed since it was registered" in str(failure.step_failure_data.user_failure_data)
    assert run(rollback_job, "roll_back", **who).success
    assert aliases(waiting, CLASSIFIER) == aliases(waiting, GENERATOR) == {"champion": "1"}
    assert witness(instance, CLASSIFIER) == {entry.number: entry.hash for entry in entries(waiting, CLASSIFIER)}
