"""Schedules: a clock for each experiment that has one in its file, and starts that are spread by jitter."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from gtl_core.config import Experiment
from gtl_core.errors import InputError
from pipelines.defs.jobs import run_experiment

_FIELDS = "five fields, such as 0 3 * * 1 for every Monday at three"
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_TICKS = 100
"""Enough for the pauses of all that repeats within a week, a month or a year."""


def schedule_name(experiment: str) -> str:
    """Name of an experiment's schedule; Dagster takes no hyphen."""
    return f"{experiment.replace('-', '_')}_schedule"


def schedule_of(experiment: Experiment) -> dg.ScheduleDefinition | None:
    """The schedule that an experiment's file asks for; None where it asks for none.

    Raises:
        InputError: the cron expression is none, or Dagster would run it at other times than it says.
    """
    if experiment.schedule is None:
        return None
    clock, name = experiment.schedule, experiment.name

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time.astimezone(UTC)
        if not clock.jitter:
            return waits(context.instance, name) or _request(name, at)
        late = delay(name, at, clock.jitter)
        seconds = int(late.total_seconds())
        return dg.SkipReason(f"starts at {_text(at + late)}, {seconds} s after this tick (schedule.jitter)")

    every = f"{clock.cron} ({clock.timezone})" + (f", up to {clock.jitter} s late" if clock.jitter else "")
    try:
        with warnings.catch_warnings():
            # Dagster only warns of steps beyond the range of a field, and then runs more often than asked for.
            warnings.filterwarnings("error", message="Found a cron schedule with an interval greater")
            return dg.ScheduleDefinition(
                name=schedule_name(name),
                cron_schedule=clock.cron,
                execution_timezone=clock.timezone,
                job=run_experiment,
                execution_fn=tick,
                default_status=dg.DefaultScheduleStatus.RUNNING if clock.enabled else dg.DefaultScheduleStatus.STOPPED,
                description=f"Runs {name}: {every}.",
                tags={"experiment": name},
            )
    except (dg.DagsterInvalidDefinitionError, UserWarning):
        raise InputError(f"{name}: schedule.cron: {clock.cron!r} is no cron expression; give {_FIELDS}") from None


def schedules(experiments: Iterable[Experiment]) -> tuple[list[dg.ScheduleDefinition], list[str]]:
    """The schedules of all experiments that have one.

    Returns:
        The schedules, and a line for each that is left out.
    """
    made: dict[str, dg.ScheduleDefinition] = {}
    left_out = []
    for experiment in experiments:
        try:
            schedule = schedule_of(experiment)
        except InputError as error:
            left_out.append(f"{error}; its schedule is left out")
            continue
        if schedule and schedule.name in made:
            left_out.append(f"{experiment.name}: another experiment's schedule is called {schedule.name}; rename one")
        elif schedule:
            made[schedule.name] = schedule
    return list(made.values()), left_out


def freshness(experiments: Iterable[Experiment]) -> dg.FreshnessPolicy | None:
    """How old the newest result may be: that of the experiment which runs most often; None where none has a schedule.

    Dagster looks at the newest materialisation of an asset in whatever partition, so a policy cannot tell experiments
    apart. It warns half a period after a start that has brought nothing, and fails when the next one has not either.
    """
    windows = []
    for experiment in experiments:
        clock = experiment.schedule
        with suppress(InputError):
            if clock is not None and clock.enabled and schedule_of(experiment):
                windows.append((_longest_pause(clock.cron, clock.timezone), timedelta(seconds=clock.jitter)))
    if not windows:
        return None
    pause, jitter = min(windows)
    return dg.FreshnessPolicy.time_window(fail_window=2 * pause + jitter, warn_window=1.5 * pause + jitter)


def _longest_pause(cron: str, timezone: str) -> timedelta:
    """The longest time between two ticks that follow each other."""
    ticks = list(itertools.islice(cron_string_iterator(_ANY_TIME.timestamp(), cron, timezone), _TICKS))
    return max(later - earlier for earlier, later in itertools.pairwise(tick.astimezone(UTC) for tick in ticks))


def delay(name: str, at: datetime, jitter: int) -> timedelta:
    """How much later than a tick a run starts: whole seconds from 0 to `jitter`, the same whenever it is asked."""
    digest = hashlib.sha256(f"{name}/{_text(at)}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (jitter + 1))


def delayed_start(experiment: Experiment, after: datetime, until: datetime) -> dg.RunRequest | None:
    """The start of an experiment with jitter that falls due in a span of time.

    Of several, such as after days without a daemon, the last: one run makes up for them all.

    Args:
        experiment: any experiment.
        after: the beginning of the span, itself not in it.
        until: its end.

    Raises:
        InputError: as `schedule_of`.
    """
    clock = experiment.schedule
    if clock is None or not clock.jitter or schedule_of(experiment) is None:
        return None
    ticks = reverse_cron_string_iterator(until.timestamp(), clock.cron, clock.timezone)
    earliest = after - timedelta(seconds=clock.jitter)
    starts = [
        (at + delay(experiment.name, at, clock.jitter), at)
        for at in itertools.takewhile(lambda at: at >= earliest, (tick.astimezone(UTC) for tick in ticks))
    ]
    due = max((start for start in starts if after < start[0] <= until), default=None)
    return _request(experiment.name, due[1]) if due else None


def waits(instance: dg.DagsterInstance, name: str) -> dg.SkipReason | None:
    """Why a start is not needed: a run of the experiment waits still, and a queue that no run empties must not grow."""
    statuses, tags = [dg.DagsterRunStatus.QUEUED], {"dagster/partition": name}
    queued = instance.get_runs(dg.RunsFilter(job_name=run_experiment.name, statuses=statuses, tags=tags), limit=1)
    return dg.SkipReason(f"run {queued[0].run_id[:8]} of {name} waits in the queue already") if queued else None


def switched_on(instance: dg.DagsterInstance, experiment: Experiment) -> bool:
    """Whether an experiment's schedule runs: as somebody has switched it in Dagster, else as its file says."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    switched = {state.status for state in states if state.name == schedule_name(experiment.name)}
    switched.discard(InstigatorStatus.DECLARED_IN_CODE)
    if switched:
        return InstigatorStatus.RUNNING in switched
    return experiment.schedule is not None and experiment.schedule.enabled


def _request(name: str, at: datetime) -> dg.RunRequest:
    """The run of a tick; its key keeps it from being started twice."""
    return dg.RunRequest(run_key=f"{name}/{_text(at)}", partition_key=name)


def _text(at: datetime) -> str:
    """A moment in UTC to the second, such as `2026-03-02T03:00:00Z`."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
