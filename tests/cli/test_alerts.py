"""The sensor `alerts`: what happens is told once, in the log and to a real webhook, and nothing stops it."""

from __future__ import annotations

import json
import logging
import shutil
import smtplib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from receivers import Hook, webhook

from gtl_core.files import write_json
from gtl_core.homes import Homes
from gtl_core.registry.history import append, confirm
from gtl_core.registry.tracking import TrackingStore, open_store
from pipelines import alerts as alerting
from pipelines.alerts import Bookmark, tend
from pipelines.defs.alerts import alerts
from pipelines.instance import open_instance

MODEL = "gtl-digits-classifier"


@pytest.fixture
def instance(homes: Homes) -> Iterator[dg.DagsterInstance]:
    with open_instance(homes) as opened:
        yield opened


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A webhook that alerts go to, and no e-mail."""
    for variable in ("GTL_ALERT_EMAIL", "GTL_SMTP"):
        monkeypatch.delenv(variable, raising=False)
    with webhook() as found:
        monkeypatch.setenv("GTL_ALERT_WEBHOOK", found.address)
        monkeypatch.setenv("GTL_DAGSTER_URL", "https://dagster.example")
        yield found


@pytest.fixture
def tick(instance: dg.DagsterInstance, homes: Homes, hook: Hook) -> Callable[[], list[dict[str, Any]]]:
    """Lets the sensor look once; gives what the webhook got in that tick. The first look is made already."""
    state = {"cursor": None}

    def look() -> list[dict[str, Any]]:
        before = len(hook.calls)
        state["cursor"] = tend(instance, homes, state["cursor"], logging.getLogger("alerts"))
        return hook.calls[before:]

    assert look() == []
    return look


@pytest.fixture
def store(homes: Homes, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """The project's MLflow store, with a model."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    homes.mlruns.mkdir()
    shutil.copy(empty_store, homes.mlruns / "mlflow.db")
    opened = open_store(homes)
    opened.client.create_registered_model(MODEL)
    return opened


def run(instance: dg.DagsterInstance, *, fails: bool = False, warns: str = "") -> None:
    """A run of the experiment `digits` with one check."""

    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(["digits"]),
        check_specs=[dg.AssetCheckSpec("near_duplicates", asset="stage")],
    )
    def stage() -> dg.MaterializeResult:
        if fails:
            raise ValueError("no room\nat https://user:password@store.example/x?token=1")
        result = dg.AssetCheckResult(
            check_name="near_duplicates", passed=not warns, severity=dg.AssetCheckSeverity.WARN, description=warns
        )
        return dg.MaterializeResult(check_results=[result])

    job = dg.define_asset_job("run_experiment", [stage])
    job = dg.Definitions(assets=[stage], jobs=[job]).resolve_job_def("run_experiment")
    job.execute_in_process(
        instance=instance, partition_key="digits", raise_on_error=False, tags={"dagster/max_retries": "0"}
    )


def drift(homes: Homes, at: str, action: str, experiment: str | None = "digits") -> None:
    """A drift report."""
    report = {"experiment": experiment, "action": action, "at": at, "sentence": "The images are darker."}
    write_json(homes.artifacts / (experiment or ".drift/set") / "drift" / at / "drift.json", report)


def decide(store: TrackingStore, action: str, version: str = "1", **more: Any) -> None:
    """An entry of the model's history."""
    confirm(store, append(store, MODEL, action=action, version=version, by="Ann", reason="better", **more))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets the sensor's clock run ahead."""

    def ahead(by: timedelta) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + by

        monkeypatch.setattr(alerting, "datetime", Clock)

    return ahead


def test_a_failed_run_is_told_once_with_its_error_in_one_line(
    instance: dg.DagsterInstance, tick: Callable[[], list[dict[str, Any]]]
) -> None:
    run(instance, fails=True)
    (told,) = tick()
    assert (told["kind"], told["experiment"], told["title"]) == ("failure", "digits", "digits failed")
    assert told["text"].startswith("stage: no room at https://store.example/x. Run ")
    assert "gtl resume digits" in told["text"]
    assert told["link"].startswith("https://dagster.example/runs/")
    assert datetime.fromisoformat(told["at"]) <= datetime.now(UTC)
    assert tick() == []


def test_a_warning_is_told_again_only_when_it_says_something_else(
    instance: dg.DagsterInstance, tick: Callable[[], list[dict[str, Any]]]
) -> None:
    run(instance, warns="3 near duplicates")
    (told,) = tick()
    assert (told["kind"], told["text"]) == ("failed_checks", "near_duplicates: 3 near duplicates")
    run(instance, warns="3 near duplicates")
    assert tick() == []
    run(instance, warns="4 near duplicates")
    assert [one["text"] for one in tick()] == ["near_duplicates: 4 near duplicates"]
    run(instance)
    run(instance, warns="4 near duplicates")
    assert len(tick()) == 1


def test_what_lies_in_the_past_when_the_sensor_begins_is_no_news(
    instance: dg.DagsterInstance, homes: Homes, hook: Hook, store: TrackingStore
) -> None:
    run(instance, fails=True)
    drift(homes, "20260301T030000Z", "review")
    decide(store, "rolled_back", alias="champion")
    log = logging.getLogger("alerts")
    cursor = tend(instance, homes, None, log)
    assert tend(instance, homes, cursor, log) == cursor
    assert hook.calls == []


def test_drift_is_told_where_something_is_to_be_done(homes: Homes, tick: Callable[[], list[dict[str, Any]]]) -> None:
    drift(homes, "20260301T030000Z", "none")
    drift(homes, "20260302T030000Z", "review")
    drift(homes, "20260302T040000Z", "review", experiment=None)
    (told,) = tick()
    assert (told["kind"], told["experiment"], told["at"]) == ("drift", "digits", "20260302T030000Z")
    assert told["text"] == "The images are darker. Look at the page and decide."
    assert told["link"].endswith("/digits/drift/20260302T030000Z/drift.html")
    drift(homes, "20260303T030000Z", "retrain")
    assert [one["text"] for one in tick()] == ["The images are darker. It is retrained."]


def test_decisions_about_models_are_told(store: TrackingStore, tick: Callable[[], list[dict[str, Any]]]) -> None:
    decide(store, "promoted", alias="champion")
    decide(store, "rolled_back", "1", alias="champion", previous="2")
    decide(store, "moved_outside", "3", alias="champion", previous="1")
    decide(store, "unfrozen")
    decide(store, "promoted", alias="champion", details={"follows": "hash of the classifier's entry"})
    promoted, back, outside = tick()
    assert (promoted["kind"], promoted["model"], promoted["experiment"]) == ("promoted", MODEL, "digits")
    assert promoted["title"] == f"{MODEL} version 1 was promoted"
    assert back["text"] == "by Ann instead of version 2: better"
    assert (outside["kind"], outside["title"]) == ("moved_outside", f"{MODEL}: champion was moved outside GTL")
    assert outside["link"] == f"https://dagster.example/assets/model_history/{MODEL}"
    assert tick() == []


def test_a_challenger_that_waits_is_told_and_one_that_was_promoted_at_once_is_not(
    store: TrackingStore, tick: Callable[[], list[dict[str, Any]]], later: Callable[[timedelta], None]
) -> None:
    decide(store, "registered", "1", alias="challenger")
    assert tick() == []  # it may be promoted in the next second
    decide(store, "promoted", "1", alias="champion")
    assert [one["kind"] for one in tick()] == ["promoted"]
    decide(store, "registered", "2", alias="challenger")
    assert tick() == []
    later(timedelta(minutes=2))
    (told,) = tick()
    assert (told["kind"], told["title"]) == ("waiting", f"{MODEL} version 2 waits for approval")
    assert f"gtl promote {MODEL} 2 --by NAME" in told["text"]
    assert tick() == []


def test_what_could_not_be_delivered_is_tried_again_for_a_day(
    homes: Homes,
    hook: Hook,
    tick: Callable[[], list[dict[str, Any]]],
    later: Callable[[timedelta], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook.status = 503
    drift(homes, "20260301T030000Z", "review")
    drift(homes, "20260302T030000Z", "review")
    assert tick() == []
    assert "it answers 503; 2 alerts to be tried again" in caplog.text
    hook.status = 200
    later(timedelta(hours=23))
    assert [one["at"] for one in tick()] == ["20260301T030000Z", "20260302T030000Z"]
    assert tick() == []
    hook.status = 503
    drift(homes, "20260303T030000Z", "review")
    assert tick() == []
    later(timedelta(hours=48))
    assert tick() == []
    assert "1 alert could not be delivered within a day" in caplog.text
    hook.status = 200
    assert tick() == []


def test_every_alert_is_in_the_log_also_where_nothing_is_configured_or_wrongly(
    homes: Homes,
    tick: Callable[[], list[dict[str, Any]]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GTL_ALERT_WEBHOOK")
    drift(homes, "20260301T030000Z", "review")
    assert tick() == []
    assert "digits: the incoming images have drifted: The images are darker." in caplog.text
    monkeypatch.setenv("GTL_ALERT_WEBHOOK", "nonsense")
    drift(homes, "20260302T030000Z", "review")
    assert tick() == []
    assert "GTL_ALERT_WEBHOOK is no address" in caplog.text


def test_a_way_that_breaks_down_keeps_no_other_way_from_its_turn(
    hook: Hook,
    instance: dg.DagsterInstance,
    tick: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setenv("GTL_SMTP", "smtp://127.0.0.1")
    monkeypatch.setenv("GTL_ALERT_EMAIL", "ada@example.org")
    monkeypatch.setattr(smtplib.SMTP, "__init__", breaks)
    run(instance, fails=True)
    assert [one["kind"] for one in tick()] == ["failure"]
    assert tick() == []
    assert "it fails (nobody foresaw this); 1 alert to be tried again" in caplog.text


def test_a_source_that_cannot_be_read_keeps_nothing_else_from_being_told(
    homes: Homes,
    hook: Hook,
    instance: dg.DagsterInstance,
    tick: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    broken = homes.artifacts / "digits" / "drift" / "20260301T030000Z" / "drift.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    run(instance, fails=True)
    drift(homes, "20260302T030000Z", "review")
    assert [one["kind"] for one in tick()] == ["failure"]
    assert caplog.text.count("a source of alerts cannot be read now") == 2
    assert [one["kind"] for one in tick()] == ["drift"]


def test_the_sensor_keeps_its_place_in_its_cursor_and_survives_a_broken_one(
    homes: Homes, instance: dg.DagsterInstance, hook: Hook
) -> None:
    first = alerts(dg.build_sensor_context(instance=instance))
    run(instance, fails=True)
    second = alerts(dg.build_sensor_context(instance=instance, cursor=first.cursor))
    assert [call["kind"] for call in hook.calls] == ["failure"]
    assert "nothing is left to be told" in str(second.skip_reason)
    for cursor in ("{", "[]", '{"ended": 1, "more": 2}', '{"waiting": [{}]}'):
        assert Bookmark.read(cursor) == Bookmark()
        assert json.loads(alerts(dg.build_sensor_context(instance=instance, cursor=cursor)).cursor)["ended"]
    assert len(hook.calls) == 1
