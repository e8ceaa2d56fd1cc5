"""What has happened since the last look that a person should know, each thing told once.

The sensor `alerts` keeps a `Bookmark` as its cursor: how far each source was read, and what could not be delivered yet.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.event_api import EventLogCursor

from gtl_core.files import read_json
from gtl_core.homes import Homes
from pipelines.delivery import DAGSTER_URL, Alert, Handed, Way, ways
from pipelines.failures import failure_line, without_secrets

_GIVEN_UP_AFTER = timedelta(hours=24)
_SETTLED_AFTER = timedelta(seconds=60)
"""A challenger that is promoted automatically is so within seconds after it was registered."""
_RUNS_AT_ONCE = 100
_WAITING_AT_MOST = 500
_PARTITION = "dagster/partition"


@dataclass
class Waiting:
    """An alert that is still to be delivered in some ways."""

    alert: Alert
    ways: list[str]
    since: str


@dataclass
class Bookmark:
    """How far everything was read.

    Attributes:
        ended: for each kind of end of a run, Dagster's cursor of the last one that was read; None before the first.
        checks: what each check of each experiment that fails was told to say, so that it is told again only when it
            says something else.
        drift: the newest drift report that was read, by experiment; None before the first look.
        history: number of the newest entry that was read, by model; None before the first look.
        waiting: alerts that are still to be delivered.
    """

    ended: dict[str, str] | None = None
    checks: dict[str, str] = field(default_factory=dict)
    drift: dict[str, str] | None = None
    history: dict[str, int] | None = None
    waiting: list[Waiting] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> Bookmark:
        """The bookmark in a sensor's cursor; a new one where there is none or it cannot be read."""
        try:
            value = json.loads(cursor or "{}")
            waiting = [Waiting(Alert(**one["alert"]), one["ways"], one["since"]) for one in value.pop("waiting", [])]
            return cls(**value, waiting=waiting)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def write(self) -> str:
        """The bookmark as a cursor."""
        return json.dumps(asdict(self), ensure_ascii=False)


def tend(instance: dg.DagsterInstance, homes: Homes, cursor: str | None, log: logging.Logger) -> str:
    """Tells what is new to the log and in every configured way, and tries again what could not be delivered before.

    Nothing that is wrong with one source or one way keeps the others from their turn. The first look tells nothing:
    what lies in the past is no news.

    Args:
        instance: where runs are recorded.
        homes: where drift reports and the model history are.
        cursor: from the last call; None at first.
        log: takes every alert, and what could not be read or delivered.

    Returns:
        The cursor for the next call.
    """
    mark = Bookmark.read(cursor)
    now = datetime.now(UTC)
    found: list[Alert] = []
    for source in (_ends_of_runs, _drift, _history):
        try:
            for alert in source(instance, homes, mark, now):
                found.append(alert)  # noqa: PERF402 - what was found before a failure counts
        except Exception as error:  # noqa: BLE001 - the next source, and the next tick, must have their turn
            log.error(f"a source of alerts cannot be read now: {without_secrets(str(error) or type(error).__name__)}")
    for alert in found:
        log.warning(f"{alert.title}: {alert.text}")
    _deliver(mark, found, now, log)
    return mark.write()


def _deliver(mark: Bookmark, found: Sequence[Alert], now: datetime, log: logging.Logger) -> None:
    """Hands new and waiting alerts to each way, and keeps those that it did not take."""
    configured, problems = ways()
    for problem in problems:
        log.error(f"alerts stay in this log: {problem}")
    kinds = {type(way).__name__: way for way in configured}
    at = now.isoformat(timespec="seconds")
    mark.waiting += [Waiting(alert, list(kinds), at) for alert in found if kinds]
    for kind, way in kinds.items():
        due = [one for one in mark.waiting if kind in one.ways]
        for one in due[: _taken(way, [one.alert for one in due], log)]:
            one.ways.remove(kind)
    kept = [one for one in mark.waiting if one.ways and now - datetime.fromisoformat(one.since) < _GIVEN_UP_AFTER]
    dropped = sum(bool(one.ways) for one in mark.waiting) - len(kept[-_WAITING_AT_MOST:])
    if dropped:
        log.error(f"{_counted(dropped)} could not be delivered within a day, and stays in this log alone")
    mark.waiting = kept[-_WAITING_AT_MOST:]


def _taken(way: Way, alerts: Sequence[Alert], log: logging.Logger) -> int:
    """How many alerts, from the first on, a way took."""
    try:
        handed = way.send(alerts) if alerts else Handed(0)
    except Exception as error:  # noqa: BLE001 - the other ways, and the place of all in the cursor, must not be lost
        handed = Handed(0, f"it fails ({without_secrets(str(error) or type(error).__name__)})")
    if handed.problem:
        left = len(alerts) - handed.taken
        log.error(f"{way.name}: {handed.problem}{f'; {_counted(left)} to be tried again' if left else ''}")
    return handed.taken


def _counted(count: int) -> str:
    return f"{count} {'alert' if count == 1 else 'alerts'}"


def _ends_of_runs(instance: dg.DagsterInstance, homes: Homes, mark: Bookmark, _now: datetime) -> Iterator[Alert]:
    """Runs that failed, and checks that failed in runs that ended."""
    kinds = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)
    if mark.ended is None:
        mark.ended = {kind.value: instance.fetch_run_status_changes(kind, limit=1).cursor for kind in kinds}
        return
    for kind in kinds:
        page = instance.fetch_run_status_changes(
            kind, limit=_RUNS_AT_ONCE, cursor=mark.ended.get(kind.value), ascending=True
        )
        for record in page.records:
            # Before it is looked into, so that one that is spoilt is met once only.
            mark.ended[kind.value] = EventLogCursor.from_storage_id(record.storage_id).to_string()
            run = instance.get_run_by_id(record.event_log_entry.run_id)
            if run:
                at = _iso(record.timestamp)
                if kind is dg.DagsterEventType.RUN_FAILURE:
                    yield _failure(instance, homes, run, at)
                yield from _failed_checks(instance, run, mark, at)


def _failure(instance: dg.DagsterInstance, homes: Homes, run: dg.DagsterRun, at: str) -> Alert:
    """A run that failed, with the error's one line and where all of it is."""
    name = run.tags.get(_PARTITION)
    again = " Dagster starts it again." if run.tags.get("dagster/will_retry") == "true" else ""
    resume = f" gtl resume {name} goes on when that is mended." if name and not again else ""
    return Alert(
        kind="failure",
        experiment=name,
        model=None,
        title=f"{name or run.job_name} failed",
        text=f"{failure_line(instance, run.run_id)}. Run {run.run_id}; what it wrote is in "
        f"{homes.dagster / 'storage' / run.run_id}.{again}{resume}",
        link=_page(f"runs/{run.run_id}"),
        at=at,
    )


def _failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun, mark: Bookmark, at: str) -> Iterator[Alert]:
    """Checks that failed in a run, unless the same was told of the experiment's run before."""
    name = run.tags.get(_PARTITION)
    told = []
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event else None
        if check is None:
            continue
        key = f"{name}/{check.asset_key.to_user_string()}/{check.check_name}"
        if check.passed:
            mark.checks.pop(key, None)
            continue
        says = without_secrets(check.description or "it failed")
        if mark.checks.get(key) != says:
            mark.checks[key] = says
            told.append(f"{check.check_name}{' (blocking)' if check.blocking else ''}: {says}")
    if told:
        yield Alert(
            kind="failed_checks",
            experiment=name,
            model=None,
            title=f"{name or run.job_name}: {len(told)} {'check' if len(told) == 1 else 'checks'} failed",
            text="; ".join(told),
            link=_page(f"runs/{run.run_id}"),
            at=at,
        )


def _drift(_instance: dg.DagsterInstance, homes: Homes, mark: Bookmark, _now: datetime) -> Iterator[Alert]:
    """Drift reports after which something is to be done."""
    from gtl_core.evaluation.report.drift import HTML, JSON
    from pipelines.drift import reports

    first, read = mark.drift is None, mark.drift or {}
    mark.drift = read
    for folder in reports(homes):
        experiment = folder.parents[1].name
        if folder.name <= read.get(experiment, ""):
            continue
        read[experiment] = folder.name  # before it is opened, so that one that is spoilt is met once only
        report = {} if first else read_json(folder / JSON)
        if report.get("action", "none") == "none":
            continue
        next_step = "It is retrained." if report["action"] == "retrain" else "Look at the page and decide."
        yield Alert(
            kind="drift",
            experiment=experiment,
            model=None,
            title=f"{experiment}: the incoming images have drifted",
            text=f"{report['sentence']} {next_step}",
            link=(folder / HTML).as_uri(),
            at=report["at"],
        )


def _history(_instance: dg.DagsterInstance, homes: Homes, mark: Bookmark, now: datetime) -> Iterator[Alert]:
    """Entries of the models' histories that somebody may have to answer."""
    from gtl_core.registry.history import entries, models
    from gtl_core.registry.tracking import has_store, open_store

    store = open_store(homes) if has_store(homes) else None
    histories = {model: entries(store, model) for model in models(store)} if store else {}
    if mark.history is None:
        mark.history = {model: history[-1].number for model, history in histories.items() if history}
        return
    read = mark.history
    for model, history in histories.items():
        for index, entry in enumerate(history):
            if entry.number <= read.get(model, 0):
                continue
            later = history[index + 1 :]
            settled = any(entry.version in (each.version, each.previous) for each in later)
            if _waits(entry) and not settled and now - datetime.fromisoformat(entry.at) < _SETTLED_AFTER:
                break
            read[model] = entry.number
            told = _TOLD.get(entry.action)
            # The generator follows its classifier, of which it is told.
            if told and "follows" not in entry.details and not (_waits(entry) and settled):
                yield told(entry)


def _waits(entry: Any) -> bool:
    """Whether an entry makes a version wait as challenger."""
    return entry.action == "registered" and entry.alias == "challenger"


def _about(entry: Any, kind: str, title: str, text: str) -> Alert:
    experiment = entry.model.removeprefix("gtl-").rpartition("-")[0] or None
    link = _page(f"assets/model_history/{entry.model}")
    return Alert(kind, experiment, entry.model, title, without_secrets(text), link, entry.at)


def _waiting(entry: Any) -> Alert:
    model, version = entry.model, entry.version
    text = (
        f"{entry.reason}; gtl promote {model} {version} --by NAME --reason TEXT makes it champion, gtl reject {model} "
        f"{version} --by NAME --reason TEXT does not"
    )
    return _about(entry, "waiting", f"{model} version {version} waits for approval", text)


def _moved(entry: Any) -> Alert:
    title = f"{entry.model}: {entry.alias} was moved outside GTL"
    return _about(entry, "moved_outside", title, f"{entry.reason}; gtl history {entry.model} tells all")


def _decided(entry: Any) -> Alert:
    went = "was promoted" if entry.action == "promoted" else "is champion again"
    instead = f" instead of version {entry.previous}" if entry.previous else ""
    forced = ", against the gate" if entry.forced else ""
    title = f"{entry.model} version {entry.version} {went}"
    return _about(entry, entry.action, title, f"by {entry.by}{instead}{forced}: {entry.reason}")


_TOLD: dict[str, Callable[[Any], Alert]] = {
    "registered": _waiting,
    "promoted": _decided,
    "rolled_back": _decided,
    "moved_outside": _moved,
}


def _page(path: str) -> str | None:
    """A page of Dagster, where its address is known."""
    address = os.environ.get(DAGSTER_URL)
    return f"{address.rstrip('/')}/{path}" if address else None


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
