"""Every move of an alias by GTL: nomination, promotion, rejection, rollback, each written down before it is made.

A classifier and the generator of the same run are a pair: decisions are about the classifier, and its generator follows
in the same step, with an entry in its own history. Each step holds the model's lock, finishes what a killed process
left, records what was moved outside, and checks that the champion still is the one that the decision was made against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gtl_core.errors import GateRefused, InputError
from gtl_core.registry.history import (
    Action,
    Alias,
    Entry,
    append,
    confirm,
    head,
    locked,
    read_entries,
    registered_model,
)
from gtl_core.registry.pairs import Pair, find_pair, require_files, require_weights
from gtl_core.registry.standing import Standing, aliases, standing, unexplained, worded
from gtl_core.registry.tracking import TrackingStore

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

GATE = "gate"
"""Who decides where no person does."""
OUTSIDE = "outside"
"""Who moved an alias that GTL did not move: MLflow does not say."""
_GENERATOR = "generator"
"""Detail of a classifier's entry: name and version of the generator that follows."""
_OBJECTION_LIMIT = 500
"""Characters kept of each objection that was overruled: an entry has little room."""
_FOLLOWS = "follows"
"""Detail of a generator's entry: the hash of its classifier's entry."""
_CLASSIFIER = "classifier"
"""Detail of a generator's entry: the classifier that it follows."""


def nominate(store: TrackingStore, pair: Pair, *, reason: str, details: Mapping[str, Any]) -> Entry:
    """Makes a new version that has passed the gate the challenger."""
    with _changing(store, pair.model) as now:
        return _decide(store, pair, "registered", alias="challenger", now=now, by=GATE, reason=reason, details=details)


def refuse(store: TrackingStore, pair: Pair, *, by: str, reason: str, details: Mapping[str, Any]) -> Entry:
    """Records that a version was refused, by the gate or when a person approved of it; no alias moves."""
    with _changing(store, pair.model) as now:
        return _decide(store, pair, "refused", alias=None, now=now, by=by, reason=reason, details=details)


def approve(store: TrackingStore, pair: Pair, *, by: str, reason: str, overruled: Sequence[str]) -> Entry:
    """Records that a person approved of a version, against what it was; `promote` makes it the champion."""
    with _changing(store, pair.model) as now:
        forced, details = bool(overruled), {"overruled": [text[:_OBJECTION_LIMIT] for text in overruled]}
        return _decide(
            store, pair, "approved", alias=None, now=now, by=by, reason=reason, forced=forced, details=details
        )


def promote(
    store: TrackingStore, pair: Pair, *, expected: str | None, by: str, reason: str, forced: bool = False
) -> Entry:
    """Makes a version the champion; it is no challenger any more.

    Args:
        store: the MLflow store.
        pair: the version.
        expected: the champion that the decision was made against.
        by: who decided.
        reason: why.
        forced: whether a refusal was overruled.

    Raises:
        GateRefused: another version has become champion since.
        InputError: it is the champion already, or its weights were collected.
    """
    with _changing(store, pair.model) as now:
        now.require_champion(expected, f"{pair.model} version {pair.version} was not promoted")
        if now.aliases.get("champion") == pair.version:
            raise InputError(f"{pair.model} version {pair.version} is the champion already")
        require_weights(store, pair)
        return _decide(store, pair, "promoted", alias="champion", now=now, by=by, reason=reason, forced=forced)


def reject(store: TrackingStore, pair: Pair, *, by: str, reason: str) -> Entry:
    """Takes the alias of a waiting challenger away.

    Raises:
        InputError: that version is not waiting.
    """
    with _changing(store, pair.model) as now:
        waiting = now.aliases.get("challenger")
        if waiting != pair.version:
            raise InputError(f"{pair.model} version {pair.version} is not waiting as challenger, {worded(waiting)} is")
        return _decide(store, pair, "rejected", alias="challenger", now=now, by=by, reason=reason, taken=True)


def rollback(store: TrackingStore, model: str, to: str | None, *, by: str, reason: str) -> Entry:
    """Makes an earlier champion the champion again, and stops automatic promotion until `unfreeze`.

    Args:
        store: the MLflow store.
        model: the classifier.
        to: a version that was champion; None for the champion before the present one.
        by: who decided.
        reason: why.

    Raises:
        GateRefused: the champion was changed by somebody else at the same moment.
        InputError: there is nothing to go back to, that version never was champion, or its files are gone.
    """
    expected = aliases(store, model).get("champion")
    with _changing(store, model) as now:
        now.require_leader()
        now.require_champion(expected, f"{model} was not rolled back")
        target = to or now.champion_before()
        if target is None:
            only = f"version {expected} is the only champion" if expected else "there was no champion"
            raise InputError(f"{model} has nothing to go back to: {only} that its history knows")
        if target == expected:
            raise InputError(f"{model} version {target} is the champion already")
        past = {entry.version for entry in now.history if entry.alias == "champion" and entry.version}
        if target not in past:
            known = (
                ", ".join(f"version {each}" for each in sorted(past - {expected or ""}, key=int)) or "no other version"
            )
            raise InputError(f"{model} version {target} was never champion, {known} was; gtl promote makes it one")
        pair = find_pair(store, model, target)
        require_files(store, pair)
        return _decide(store, pair, "rolled_back", alias="champion", now=now, by=by, reason=reason)


def unfreeze(store: TrackingStore, model: str, *, by: str, reason: str) -> Entry:
    """Lets versions that pass the gate be promoted automatically again.

    Raises:
        InputError: there is no such model, or it is not frozen.
    """
    registered_model(store, model)  # before its lock makes a file
    with _changing(store, model) as now:
        now.require_leader()
        frozen = now.standing.frozen
        if frozen is None:
            raise InputError(f"{model} is not frozen: no rollback stops its automatic promotion")
        follower = {key: value for key, value in frozen.details.items() if key == _GENERATOR}
        entry = append(store, model, action="unfrozen", by=by, reason=reason, details=follower)
        _carry_out(store, entry, now.aliases)
        return entry


def settle(store: TrackingStore, model: str) -> list[Entry]:
    """Finishes the move that a killed process left, and records moves that were made outside GTL.

    Returns:
        The entries that were added.
    """
    with locked(store, model):
        return _settle(store, model)[1]


def is_settled(found: RegisteredModel) -> bool:
    """Whether `settle` would find nothing to do, as far as one look tells."""
    history = read_entries(found.tags)
    held = {alias: str(version) for alias, version in found.aliases.items()}
    return not unexplained(held, history) and (not history or history[-1].number <= head(found.tags)[0])


def followers(history: Sequence[Entry]) -> list[str]:
    """The generators that follow the classifier of a history."""
    return sorted({entry.details[_GENERATOR][0] for entry in history if _GENERATOR in entry.details})


@dataclass(frozen=True)
class _Now:
    """A model at the moment of a decision, under its lock."""

    model: str
    aliases: Mapping[str, str]
    history: list[Entry]
    standing: Standing
    made: int
    """Number of the last entry whose move has been made."""

    def require_champion(self, expected: str | None, refusal: str) -> None:
        champion = self.aliases.get("champion")
        if champion == expected:
            return
        since = self.standing.since
        who = f" ({since.action.replace('_', ' ')} by {since.by} at {since.at}: {since.reason})" if since else ""
        raise GateRefused(
            f"{refusal}: in the meantime {worded(champion)} {'became champion' if champion else 'is champion any more'}"
            f"{who}; the decision was made against {worded(expected)}"
        )

    def require_leader(self) -> None:
        led_by = {entry.details[_CLASSIFIER] for entry in self.history if _CLASSIFIER in entry.details}
        if led_by:
            raise InputError(f"{self.model} follows its classifier: name {' or '.join(sorted(led_by))}")

    def champion_before(self) -> str | None:
        present = self.aliases.get("champion")
        return next((each for each in reversed(self.standing.champions) if each != present), None)


@contextmanager
def _changing(store: TrackingStore, model: str) -> Iterator[_Now]:
    """Holds the model's lock and says how it stands, after whatever was unfinished or moved outside is settled."""
    with locked(store, model):
        yield _settle(store, model)[0]


def _look(store: TrackingStore, model: str) -> _Now:
    """How a model stands, in one query."""
    found = registered_model(store, model)
    history = read_entries(found.tags)
    held = {alias: str(version) for alias, version in found.aliases.items()}
    return _Now(model, held, history, standing(history), head(found.tags)[0])


def _settle(store: TrackingStore, model: str) -> tuple[_Now, list[Entry]]:
    """What `settle` does, under the lock: how the model stands after it, and the entries that were added."""
    now = _look(store, model)
    last = now.history[-1] if now.history else None
    if last and last.number > now.made and last.hash == last.expected_hash():
        _carry_out(store, last, now.aliases)
        now = _look(store, model)
    # A history begins with a decision, and not with a look.
    added = _notice(store, now) if now.history else []
    return _look(store, model) if added else now, added


def _decide(
    store: TrackingStore,
    pair: Pair,
    action: Action,
    *,
    alias: Alias | None,
    now: _Now,
    by: str,
    reason: str,
    taken: bool = False,
    forced: bool = False,
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """Writes an entry about a pair and makes the move that it tells of: to the pair, or away from it."""
    if not now.history:
        _notice(store, now)
    follower = {_GENERATOR: list(pair.generator)} if pair.generator and action != "approved" else {}
    entry = append(
        store,
        pair.model,
        action=action,
        alias=alias,
        version=None if taken else pair.version,
        previous=now.aliases.get(alias) if alias else None,
        by=by,
        reason=reason,
        run=pair.run,
        verdict=pair.verdict,
        forced=forced,
        details={**(details or {}), **follower},
    )
    _carry_out(store, entry, now.aliases)
    return entry


def _notice(store: TrackingStore, now: _Now) -> list[Entry]:
    """Records where aliases stand that the history does not explain; they stay where they are."""
    added = []
    for alias, was, held in unexplained(now.aliases, now.history):
        moved = f"{alias} was moved from {worded(was)} to {worded(held)} outside GTL"
        entry = append(
            store,
            now.model,
            action="moved_outside",
            alias=alias,
            version=held,
            previous=was,
            by=OUTSIDE,
            reason=moved if now.history else f"{alias} stood here when this history began",
        )
        confirm(store, entry)
        added.append(entry)
    return added


def _carry_out(store: TrackingStore, entry: Entry, held: Mapping[str, str]) -> None:
    """Makes the move that an entry tells of, and its generator's; doing it again changes nothing.

    Args:
        store: the MLflow store.
        entry: the newest of its model.
        held: the aliases of its model before the move.
    """
    if entry.alias and entry.action != "moved_outside":
        _set(store, entry.model, entry.alias, entry.version, held)
    if _GENERATOR in entry.details:
        _follow(store, entry, *entry.details[_GENERATOR])
    confirm(store, entry)


def _follow(store: TrackingStore, entry: Entry, generator: str, version: str) -> None:
    """Lets the generator follow its classifier, with an entry in its own history."""
    with locked(store, generator):
        try:
            now, _ = _settle(store, generator)
        except InputError:  # it was deleted since
            return
        if any(each.details.get(_FOLLOWS) == entry.hash for each in now.history):
            return
        if not now.history:
            _notice(store, now)
        alias = entry.alias
        if entry.version is None and alias and now.aliases.get(alias) != version:
            alias = None
        own = append(
            store,
            generator,
            action=entry.action,
            alias=alias,
            version=version if entry.version else None,
            previous=now.aliases.get(alias) if alias else None,
            by=entry.by,
            reason=entry.reason,
            run=entry.run,
            verdict=entry.verdict,
            forced=entry.forced,
            details={_CLASSIFIER: entry.model, _FOLLOWS: entry.hash},
        )
        _carry_out(store, own, now.aliases)


def _set(store: TrackingStore, model: str, alias: Alias, version: str | None, held: Mapping[str, str]) -> None:
    """Lets an alias stand for a version, or for none; who becomes champion is challenger no longer."""
    from mlflow.exceptions import MlflowException

    if version is not None:
        try:
            store.client.set_registered_model_alias(model, alias, version)
        except MlflowException as error:
            # A version that was deleted since can hold no alias; `settle` will say that the alias is elsewhere.
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    elif alias in held:
        store.client.delete_registered_model_alias(model, alias)
    if alias == "champion" and version is not None and held.get("challenger") == version:
        store.client.delete_registered_model_alias(model, "challenger")
