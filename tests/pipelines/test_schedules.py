"""Schedules: the clock in an experiment's file, its time zone, its jitter, and what is wrong in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

from gtl_core.config import Experiment, load_experiment
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from pipelines.checkup import check_up
from pipelines.cli.main import invoke
from pipelines.definitions import defs
from pipelines.defs.schedules import delayed_starts
from pipelines.partitions import experiment_names, read_experiments
from pipelines.schedules import delay, delayed_start, freshness, schedule_of, schedules, switched_on

ROOT = Path(__file__).resolve().parents[2]
HOUR = timedelta(hours=1)


def experiment(schedule: Any, name: str = "demo") -> Experiment:
    return Experiment.model_validate(
        {
            "name": name,
            "source": {"dataset": "source"},
            "target": {"dataset": "target", "labelled_per_class": 1},
            "image": {"size": 16, "channels": 1},
            "transfer": {"strategies": ["finetune"]},
            "schedule": schedule,
        }
    )


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def evaluate(schedule: dg.ScheduleDefinition, at: datetime, instance: dg.DagsterInstance) -> Any:
    """What Dagster makes of a tick: run requests whose tags are complete, or a reason."""
    repository = defs().get_repository_def()
    return schedule.evaluate_tick(
        dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository)
    )


def test_a_tick_asks_for_the_whole_chain_of_its_experiment(instance: dg.DagsterInstance) -> None:
    schedule = schedule_of(experiment("0 3 * * 1"))
    assert schedule is not None
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == ("demo_schedule", "0 3 * * 1", "UTC")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "run_experiment"
    (request,) = evaluate(schedule, datetime(2026, 3, 2, 3, tzinfo=UTC), instance).run_requests
    assert request.run_key == "demo/2026-03-02T03:00:00Z"
    assert request.tags["dagster/partition"] == "demo"


def test_a_schedule_keeps_its_time_zone_in_summer_and_its_runs_are_told_apart_in_utc(
    instance: dg.DagsterInstance,
) -> None:
    schedule = schedule_of(experiment({"cron": "0 3 * * *", "timezone": "Europe/Berlin"}))
    assert schedule is not None
    assert schedule.execution_timezone == "Europe/Berlin"
    berlin = datetime.fromisoformat("2026-07-01T03:00:00+02:00")
    assert evaluate(schedule, berlin, instance).run_requests[0].run_key == "demo/2026-07-01T01:00:00Z"


def test_an_experiment_without_a_clock_has_no_schedule_and_one_switched_off_is_stopped() -> None:
    assert schedule_of(experiment(None)) is None
    stopped = schedule_of(experiment({"cron": "0 3 * * *", "enabled": False}))
    assert stopped is not None
    assert stopped.default_status is dg.DefaultScheduleStatus.STOPPED


@pytest.mark.parametrize("cron", ["", "every monday", "99 3 * * *", "0 0 3 * * 1", "0 3 31 2 *", "*/90 * * * *"])
def test_a_cron_expression_that_is_none_is_one_clear_line(cron: str) -> None:
    with pytest.raises(InputError) as error:
        schedule_of(experiment(cron))
    assert str(error.value).startswith(f"demo: schedule.cron: {cron!r} is no cron expression; give five fields")


@pytest.mark.parametrize("zone", ["Europe/Berlinn", "", "../../etc/passwd"])
def test_an_unknown_time_zone_is_refused_with_the_file(zone: str, tmp_path: Path) -> None:
    text = experiment(None).model_dump_json(exclude={"schedule"})
    file = tmp_path / "demo.yaml"
    file.write_text(text.removesuffix("}") + f', "schedule": {{"cron": "0 3 * * *", "timezone": "{zone}"}}}}')
    with pytest.raises(InputError, match=r"schedule\.timezone: no such time zone"):
        load_experiment(file)


def test_one_bad_schedule_leaves_the_others_as_they_are() -> None:
    asked = [experiment("nonsense", "bad"), experiment("0 3 * * *", "a-b"), experiment("0 4 * * *", "a_b")]
    made, left_out = schedules(asked)
    assert [schedule.name for schedule in made] == ["a_b_schedule"]
    assert [line.split(":")[0] for line in left_out] == ["bad", "a_b"]


def test_files_that_cannot_be_read_are_told_and_the_others_are_read(tmp_path: Path) -> None:
    homes = Homes(tmp_path, *(tmp_path / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    homes.experiments.mkdir()
    good = experiment("0 3 * * *").model_dump_json()
    for name, text in {"demo": good, "half": "name: [", "other": good, "binary": "\x00\x80", "No Name": good}.items():
        (homes.experiments / f"{name}.yaml").write_text(text, encoding="latin-1")
    assert experiment_names(homes) == ["binary", "demo", "half", "other"]
    read, unreadable = read_experiments(homes)
    assert [each.name for each in read] == ["demo"]
    assert set(unreadable) == {"binary", "half", "other"}
    assert not any("\n" in reason for reason in unreadable.values())


def test_jitter_is_the_same_whenever_it_is_asked_and_spreads_over_its_whole_range() -> None:
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    assert delay("demo", at, 600) == delay("demo", at, 600)
    assert delay("demo", at, 600) != delay("other", at, 600) != delay("demo", at + HOUR, 600)
    seconds = [delay("demo", at + index * HOUR, 9).seconds for index in range(300)]
    assert set(seconds) == set(range(10))
    assert delay("demo", at, 0) == timedelta(0)


def test_a_whole_day_of_jitter_is_told_as_such(instance: dg.DagsterInstance) -> None:
    day = 24 * HOUR
    schedule = schedule_of(experiment({"cron": "0 3 * * *", "jitter": int(day.total_seconds())}))
    assert schedule is not None
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    seconds = int(delay("demo", at, int(day.total_seconds())).total_seconds())
    assert f", {seconds} s after this tick" in evaluate(schedule, at, instance).skip_message


def test_a_schedule_with_jitter_starts_nothing_at_its_tick_and_says_when_it_will(
    instance: dg.DagsterInstance,
) -> None:
    jittered = experiment({"cron": "0 3 * * *", "jitter": 1800})
    schedule, at = schedule_of(jittered), datetime(2026, 3, 2, 3, tzinfo=UTC)
    assert schedule is not None
    told = evaluate(schedule, at, instance)
    due = at + delay("demo", at, 1800)
    assert not told.run_requests
    assert f"{due:%H:%M:%S}" in told.skip_message
    assert delayed_start(jittered, at - HOUR, due - timedelta(seconds=1)) is None
    request = delayed_start(jittered, due - timedelta(seconds=30), due)
    assert request is not None
    assert request.run_key == "demo/2026-03-02T03:00:00Z"
    assert delayed_start(jittered, due, due + HOUR) is None


def test_after_days_without_a_daemon_one_start_makes_up_for_all() -> None:
    jittered = experiment({"cron": "0 3 * * *", "jitter": 1800})
    monday = datetime(2026, 3, 2, 12, tzinfo=UTC)
    request = delayed_start(jittered, monday, monday + timedelta(days=4))
    assert request is not None
    assert request.run_key == "demo/2026-03-06T03:00:00Z"


def test_a_jitter_longer_than_the_time_between_ticks_starts_each_of_them_once() -> None:
    jittered = experiment({"cron": "0 * * * *", "jitter": 7200})
    start = datetime(2026, 3, 2, tzinfo=UTC)
    half_minutes = [start + timedelta(seconds=30 * index) for index in range(24 * 120 + 1)]
    requests = [delayed_start(jittered, *span) for span in itertools.pairwise(half_minutes)]
    keys = [request.run_key for request in requests if request]
    assert len(keys) == len(set(keys))
    assert 22 <= len(keys) <= 26


@pytest.mark.parametrize(
    ("cron", "hours"), [("0 3 * * *", 24), ("0 3 * * 1", 7 * 24), ("0 3 * * 1-5", 3 * 24), ("*/15 * * * *", 0.25)]
)
def test_results_are_stale_when_two_starts_have_brought_nothing(cron: str, hours: float) -> None:
    policy = freshness([experiment({"cron": cron, "jitter": 60})])
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    late = timedelta(seconds=60)
    assert policy.fail_window.to_timedelta() == 2 * hours * HOUR + late
    assert policy.warn_window is not None
    assert policy.warn_window.to_timedelta() == 1.5 * hours * HOUR + late


def test_freshness_is_that_of_the_experiment_that_runs_most_often_of_those_that_run() -> None:
    weekly, hourly = experiment("0 3 * * 1"), {"cron": "0 * * * *", "enabled": False}
    policy = freshness([weekly, experiment("0 3 * * *"), experiment(hourly), experiment("no cron"), experiment(None)])
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.fail_window.to_timedelta() == 48 * HOUR
    assert freshness([experiment(None), experiment(hourly)]) is None


@pytest.fixture
def every_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project whose experiment has a jitter, so that some tick of the last minutes is always due."""
    homes = Homes(tmp_path, *(tmp_path / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    homes.experiments.mkdir()
    for variable, value in homes.environment().items():
        monkeypatch.setenv(variable, value)
    for name, cron in {"demo": "* * * * *", "demo_unlabelled": "nonsense"}.items():
        text = experiment({"cron": cron, "jitter": 30}, name).model_dump_json()
        (homes.experiments / f"{name}.yaml").write_text(text)
    return homes


def test_the_sensor_starts_what_is_due_and_nothing_at_its_first_look(
    every_minute: Homes, instance: dg.DagsterInstance
) -> None:
    first = delayed_starts(dg.build_sensor_context(instance))
    assert isinstance(first, dg.SensorResult)
    assert not first.run_requests
    five_minutes_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    later = delayed_starts(dg.build_sensor_context(instance, cursor=five_minutes_ago))
    assert isinstance(later, dg.SensorResult)
    assert [request.partition_key for request in later.run_requests or []] == ["demo"]


def test_the_command_and_the_check_up_tell_of_a_bad_cron_expression_in_one_line(
    every_minute: Homes, capfd: pytest.CaptureFixture[str]
) -> None:
    (every_minute.root / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    assert invoke(["run", "demo_unlabelled"]) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(told) == 1
    assert told[0].startswith("gtl: demo_unlabelled: schedule.cron: 'nonsense' is no cron expression; give five fields")
    (look,) = [check for check in check_up(every_minute) if check.name == "experiments"]
    assert look.state == "failed"
    assert "demo_unlabelled: schedule.cron: 'nonsense'" in look.message


def test_a_schedule_that_was_stopped_on_the_page_starts_nothing_any_more(
    every_minute: Homes, instance: dg.DagsterInstance
) -> None:
    jittered = read_experiments(every_minute)[0][0]
    schedule = schedule_of(jittered)
    assert schedule is not None
    assert switched_on(instance, jittered)
    instance.add_instigator_state(_switched(schedule, InstigatorStatus.STOPPED))
    assert not switched_on(instance, jittered)
    five_minutes_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    told = delayed_starts(dg.build_sensor_context(instance, cursor=five_minutes_ago))
    assert isinstance(told, dg.SensorResult)
    assert not told.run_requests
    instance.update_instigator_state(_switched(schedule, InstigatorStatus.RUNNING))
    assert switched_on(instance, jittered)


def _switched(schedule: dg.ScheduleDefinition, status: InstigatorStatus) -> InstigatorState:
    """What Dagster's page stores when somebody switches a schedule."""
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="pipelines.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule.name)
    data = ScheduleInstigatorData(schedule.cron_schedule)
    return InstigatorState(origin, InstigatorType.SCHEDULE, status, data)
