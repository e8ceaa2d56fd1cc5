"""`gtl promote`, `reject`, `rollback`, `unfreeze` and `history`: who decides which model is in use, and the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

if TYPE_CHECKING:
    from gtl_core.homes import Homes
    from gtl_core.registry.history import Entry
    from gtl_core.registry.tracking import TrackingStore

Model = Annotated[str, typer.Argument(help="A registered classifier, as gtl models lists it.", metavar="MODEL")]
Version = Annotated[str, typer.Argument(help="Its version, a number.", metavar="VERSION")]
By = Annotated[str, typer.Option("--by", help="Who decides: a name that stays in the history.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Why: a line that stays in the history.", metavar="TEXT")]


def promote(
    model: Model,
    version: Version,
    by: By,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Promote in spite of what speaks against it; this is recorded.")
    ] = False,
    json_: Json = False,
) -> None:
    """Approve of a version: make it the champion, and its generator with it.

    Refused with exit code 4 where the gate refused it, somebody rejected it, another version has become champion or
    challenger since it was judged, or its data are no longer the ones in data/. The same can be done on the MLflow page
    with the version's tags gtl.approval=approved and gtl.approved_by=NAME.
    """
    from gtl_core.registry.approval import approve_version

    def make(homes: Homes, store: TrackingStore) -> Entry:
        return approve_version(homes, store, model, version, by=by, reason=reason, force=force)

    _decide(model, make, json_)


def reject(model: Model, version: Version, by: By, reason: Reason, json_: Json = False) -> None:
    """Say no to a waiting challenger: it stays registered, and waits no longer."""
    from gtl_core.registry.approval import signed
    from gtl_core.registry.pairs import find_pair
    from gtl_core.registry.promotion import reject as refuse

    def make(_homes: Homes, store: TrackingStore) -> Entry:
        who, why = signed(by, reason)
        return refuse(store, find_pair(store, model, version), by=who, reason=why)

    _decide(model, make, json_)


def rollback(
    model: Model,
    by: By,
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option("--to", help="A version that was champion; else the champion before.", metavar="VERSION"),
    ] = None,
    json_: Json = False,
) -> None:
    """Make an earlier champion the champion again, at once.

    After that no version is promoted automatically until gtl unfreeze MODEL: what passes the gate waits as challenger.
    """
    from gtl_core.registry.approval import signed
    from gtl_core.registry.promotion import rollback as roll

    def make(_homes: Homes, store: TrackingStore) -> Entry:
        who, why = signed(by, reason)
        return roll(store, model, to, by=who, reason=why)

    _decide(model, make, json_)


def unfreeze(model: Model, by: By, reason: Reason, json_: Json = False) -> None:
    """Let versions that pass the gate be promoted automatically again, after a rollback.

    A challenger that has been waiting goes on waiting: gtl promote makes it champion.
    """
    from gtl_core.registry.approval import signed
    from gtl_core.registry.promotion import unfreeze as thaw

    def make(_homes: Homes, store: TrackingStore) -> Entry:
        who, why = signed(by, reason)
        return thaw(store, model, by=who, reason=why)

    _decide(model, make, json_)


def history(
    model: Annotated[str, typer.Argument(help="A registered model, as gtl models lists it.", metavar="MODEL")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Look for tampering; exit 3 where there is any, with what was found.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show every decision about a model: who, when, why, from which version to which.

    Each entry holds the hash of the one before it. --verify computes all of them again, and compares with what Dagster
    was told and with the aliases as they are: an entry that was changed or removed is named.
    """
    from gtl_core.errors import DataFailure
    from gtl_core.homes import Homes
    from gtl_core.registry.history import entries
    from gtl_core.registry.standing import problems, standing
    from pipelines.promotions import model_store, noted

    homes = Homes.locate()
    store = model_store(homes)
    known = entries(store, model)
    found = problems(store, model, noted(homes, model)) if verify else []
    frozen = standing(known).frozen
    if json_:
        value = {"model": model, "frozen": frozen is not None, "entries": [entry.to_json() for entry in known]}
        show_json(value | ({"problems": found} if verify else {}))
    else:
        rows = [
            [entry.number, entry.at, entry.action.replace("_", " "), _move(entry), entry.by, entry.forced, entry.reason]
            for entry in known
        ]
        columns = ["no", "at", "action", "version", "by", "forced", "reason"]
        show_table(columns, rows, empty=f"{model} has no history yet")
        if frozen:
            say(f"frozen: nothing is promoted automatically until gtl unfreeze {model}")
        if verify and not found:
            say(f"verified: {len(known)} entries, as they were written")
    if found:
        raise DataFailure(f"the history of {model} is not as it was written: {'; '.join(found)}")


def _move(entry: Entry) -> str:
    """Which alias went from where to where, or the version that the entry is about."""
    if entry.alias is None:
        return entry.version or ""
    return f"{entry.alias} {entry.previous or 'none'} → {entry.version or 'none'}"


def _decide(model: str, make: Callable[[Homes, TrackingStore], Entry], json_: bool) -> None:
    """Lets a decision be made, shows it, and tells Dagster of it and of a refusal."""
    from gtl_core.errors import GateRefused
    from gtl_core.homes import Homes
    from pipelines.promotions import model_store, sentence

    homes = Homes.locate()
    store = model_store(homes)
    try:
        entry = make(homes, store)
    except GateRefused:
        _tell(homes, store, model)
        raise
    if json_:
        show_json(entry.to_json())
    else:
        say(f"{entry.model}: {sentence(entry)}")
    _tell(homes, store, model)


def _tell(homes: Homes, store: TrackingStore, model: str) -> None:
    """Tells Dagster what is new in the history; where it cannot be told now, the decision stands all the same."""
    from gtl_core.errors import GtlError
    from pipelines.instance import open_instance
    from pipelines.promotions import tell

    try:
        with open_instance(homes) as instance:
            tell(instance, store, model)
    except GtlError as error:
        note(f"gtl: Dagster was not told yet ({error}); its sensor approvals will do it")
