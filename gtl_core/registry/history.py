"""The history of a registered model: an append-only record of every decision and alias move, chained by hashes.

It is kept where the model is, as tags of the registered model: one `gtl.history.000001` for each entry, and
`gtl.history.head`, which says up to where the moves that the entries tell of have been made. An entry is written
before its move, so that a killed process leaves a move that the next call can finish (see `promotion.py`), never one
without a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256
from gtl_core.registry.tracking import TrackingStore, pages

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

Alias = Literal["challenger", "champion"]
Action = Literal[
    "registered", "refused", "approved", "promoted", "rejected", "rolled_back", "unfrozen", "moved_outside"
]

PREFIX = "gtl.history."
HEAD = f"{PREFIX}head"
REASON_LIMIT = 1000
"""Characters of a reason: MLflow's database keeps 5,000 of a whole entry."""
_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Entry:
    """One decision about a model.

    Attributes:
        number: 1 for the first.
        at: when, UTC, ISO 8601 with seconds.
        model: the registered model.
        action: what was decided.
        alias: the alias that moved; None where none did.
        version: what the alias stands for since; where none moved, the version that it is about. None where an alias
            was taken away, or a whole model is meant.
        previous: what the alias stood for before; None where it was free or none moved.
        by: who decided: a person's name, or `gate`.
        reason: why.
        run: the MLflow run of the version that it is about.
        verdict: that version's verdict.
        forced: whether a refusal was overruled.
        details: further facts, small.
        before: hash of the entry before; empty for the first.
        hash: hash of all other fields.
    """

    number: int
    at: str
    model: str
    action: Action
    alias: Alias | None
    version: str | None
    previous: str | None
    by: str
    reason: str
    run: str | None = None
    verdict: str | None = None
    forced: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    before: str = ""
    hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry as a JSON object."""
        return asdict(self)

    def expected_hash(self) -> str:
        """The hash that an entry of this content has."""
        return canonical_sha256({name: value for name, value in asdict(self).items() if name != "hash"})


_FIELDS = {each.name for each in fields(Entry)}
_OPTIONAL = ("alias", "version", "previous", "run", "verdict")


@contextmanager
def locked(store: TrackingStore, model: str) -> Iterator[None]:
    """Keeps every other process from changing a model's history and aliases; may be nested.

    Raises:
        InputError: another process holds the model for longer than a minute.
    """
    from filelock import FileLock, Timeout

    store.locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(store.locks / f"{model}.lock", timeout=_WAIT_SECONDS, is_singleton=True):
            yield
    except Timeout:
        raise InputError(f"{model} is being changed by another process; try again when it has ended") from None


def entries(store: TrackingStore, model: str) -> list[Entry]:
    """The history of a model, oldest first. An entry that cannot be read is left out, and `verify` misses it.

    Raises:
        InputError: there is no such model.
    """
    return read_entries(registered_model(store, model).tags)


def read_entries(tags: Mapping[str, str]) -> list[Entry]:
    """The history in a registered model's tags, as `entries` gives it."""
    keys = sorted(key for key in tags if key.startswith(PREFIX) and key != HEAD)
    read = (_read(tags[key]) for key in keys)
    return sorted((entry for entry in read if entry), key=lambda entry: entry.number)


def registered_model(store: TrackingStore, model: str) -> RegisteredModel:
    """What MLflow knows of a model: its tags and its aliases, read at one moment.

    Raises:
        InputError: there is no such model.
    """
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(f"no registered model {model!r}; gtl models lists them") from None


def models(store: TrackingStore) -> list[str]:
    """Names of the registered models that have a history, sorted."""
    found = pages(store.client.search_registered_models)
    return sorted(model.name for model in found if any(key.startswith(PREFIX) for key in model.tags))


def append(
    store: TrackingStore,
    model: str,
    *,
    action: Action,
    by: str,
    reason: str,
    alias: Alias | None = None,
    version: str | None = None,
    previous: str | None = None,
    run: str | None = None,
    verdict: str | None = None,
    forced: bool = False,
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """Writes the next entry, which may tell of a move that is still to be made; see `confirm`.

    Args:
        store: the MLflow store.
        model: the registered model.
        action: what was decided.
        by: who decided.
        reason: why; cut where it is too long.
        alias: the alias that moves, if one does.
        version: what it is to stand for, or the version that the decision is about.
        previous: what it stands for still.
        run: the version's MLflow run.
        verdict: the version's verdict.
        forced: whether a refusal was overruled.
        details: further facts, small.

    Raises:
        InputError: there is no such model.
    """
    with locked(store, model):
        tags = registered_model(store, model).tags
        known = read_entries(tags)
        # What the head has counted stays counted, so that a removed tail leaves a gap for ever.
        number = max(known[-1].number if known else 0, head(tags)[0]) + 1
        draft = Entry(
            number=number,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            model=model,
            action=action,
            alias=alias,
            version=version,
            previous=previous,
            by=by,
            reason=reason if len(reason) <= REASON_LIMIT else f"{reason[: REASON_LIMIT - 1]}…",
            run=run,
            verdict=verdict,
            forced=forced,
            details=dict(details or {}),
            before=known[-1].hash if known else "",
        )
        entry = Entry(**{**asdict(draft), "hash": draft.expected_hash()})
        text = json.dumps(entry.to_json(), sort_keys=True, ensure_ascii=False)
        store.client.set_registered_model_tag(model, f"{PREFIX}{number:06}", text)
        return entry


def confirm(store: TrackingStore, entry: Entry) -> None:
    """Notes that the move that an entry tells of has been made."""
    text = json.dumps({"number": entry.number, "hash": entry.hash})
    store.client.set_registered_model_tag(entry.model, HEAD, text)


def head(tags: Mapping[str, str]) -> tuple[int, str]:
    """Number and hash of the last entry whose move has been made; 0 and empty before the first."""
    try:
        value = json.loads(tags.get(HEAD, "{}"))
        return int(value.get("number", 0)), str(value.get("hash", ""))
    except (ValueError, TypeError, AttributeError):
        return 0, ""


def verify(history: Sequence[Entry], noted: Mapping[int, str] | None = None) -> list[str]:
    """What shows that a history is not as it was written.

    Args:
        history: from `entries`.
        noted: hashes of entries, by number, that were noted elsewhere, such as the head. They alone can tell that the
            newest entries are gone, or that a history was written anew from some entry on.

    Returns:
        One sentence a problem; nothing where the chain is whole.
    """
    problems = []
    number, before = 0, ""
    for entry in history:
        if entry.number != number + 1:
            problems.append(_gap(number + 1, entry.number - 1))
        elif entry.before != before:
            problems.append(f"entry {entry.number} does not follow from the entry before it: one of them was changed")
        if entry.hash != entry.expected_hash():
            problems.append(f"entry {entry.number} was changed after it had been written")
        number, before = entry.number, entry.hash
    by_number = {entry.number: entry for entry in history}
    newest = max(noted or {}, default=0)
    if newest > number:
        problems.append(f"{_gap(number + 1, newest)}: the end of the history was cut off")
    for at, noted_hash in sorted((noted or {}).items()):
        if at in by_number and by_number[at].hash != noted_hash:
            problems.append(f"entry {at} is not the one whose hash was noted when it was written")
    return problems


def _gap(first: int, last: int) -> str:
    """Says which entries are missing."""
    if last < first:
        return f"entry {first} or the one before it is there twice"
    return (
        f"entry {first} is missing or cannot be read"
        if first == last
        else f"entries {first} to {last} are missing or cannot be read"
    )


def _read(text: str) -> Entry | None:
    """An entry from its tag, or None where somebody has spoilt it."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or set(value) != _FIELDS:
        return None
    kinds = {"number": int, "forced": bool, "details": dict} | dict.fromkeys(_OPTIONAL, (str, NoneType))
    fits = all(isinstance(each, kinds.get(name, str)) for name, each in value.items())
    return Entry(**value) if fits else None
