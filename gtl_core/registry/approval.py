"""Approval by a person: whether what they approve of still is what was judged, and the promotion that follows."""

from __future__ import annotations

import json

from gtl_core.errors import GateRefused, InputError
from gtl_core.homes import Homes
from gtl_core.registry.history import REASON_LIMIT, Entry, entries, locked
from gtl_core.registry.lineage import read_lineage
from gtl_core.registry.pairs import Pair, find_pair, require_files
from gtl_core.registry.promotion import approve, promote, refuse
from gtl_core.registry.standing import aliases, worded
from gtl_core.registry.tracking import TrackingStore

GATE_TAG = "gtl.gate"
"""Tag of a version with what the gate found, as JSON."""
AGAINST = "against"
"""Detail of the entry that a registration writes: the champion that the gate compared with; None where there was none.
"""
_NAME_LIMIT = 200


def signed(by: str, reason: str) -> tuple[str, str]:
    """Who decides and why, in one line each.

    Raises:
        InputError: one of them is empty or too long.
    """
    by, reason = " ".join(by.split()), " ".join(reason.split())
    if not by:
        raise InputError("nobody is named: say with --by who decides")
    if not reason:
        raise InputError("no reason is given: say with --reason why")
    if not (by + reason).isprintable():
        raise InputError("a name and a reason are words: leave out control characters")
    if len(by) > _NAME_LIMIT or len(reason) > REASON_LIMIT:
        raise InputError(f"a name may have {_NAME_LIMIT} characters and a reason {REASON_LIMIT}; give shorter ones")
    return by, reason


def approve_version(
    homes: Homes, store: TrackingStore, model: str, version: str, *, by: str, reason: str, force: bool
) -> Entry:
    """Makes a version champion because a person says so.

    Args:
        homes: the project's homes, for today's data.
        store: the MLflow store.
        model: the classifier; its generator follows.
        version: its version.
        by: who approves.
        reason: why.
        force: approve in spite of what `objections` finds; the entries say so and name it.

    Returns:
        The entry of the promotion.

    Raises:
        GateRefused: there are objections, or another version became champion at the same moment.
        InputError: there is no such version, its files are gone, it is the champion, or nobody or nothing is named.
    """
    by, reason = signed(by, reason)
    pair = find_pair(store, model, version)
    champion = aliases(store, model).get("champion")
    if champion == pair.version:
        raise InputError(f"{model} version {pair.version} is the champion already")
    require_files(store, pair)
    against = objections(homes, store, pair)
    with locked(store, model):
        if against and not force:
            told = "; ".join(against)
            refuse(store, pair, by=by, reason=f"approval refused: {told}", details={"approval": reason})
            raise GateRefused(f"{model} version {version} is not promoted: {told}; --force overrules, on record")
        approve(store, pair, by=by, reason=reason, overruled=against)
        return promote(store, pair, expected=champion, by=by, reason=reason, forced=bool(against))


def objections(homes: Homes, store: TrackingStore, pair: Pair) -> list[str]:
    """What speaks against promoting a version now, a sentence each.

    Raises:
        InputError: its lineage record is gone or was changed.
    """
    return [*_of_the_gate(store, pair), *_of_the_history(store, pair), *_of_the_data(homes, pair)]


def _of_the_gate(store: TrackingStore, pair: Pair) -> list[str]:
    """Whether the gate let the version pass."""
    found = store.client.get_model_version(pair.model, pair.version).tags.get(GATE_TAG)
    if found is None:
        return ["the gate has never judged it"]
    try:
        result = json.loads(found)
        return [] if result["passed"] else [f"the gate refused it: {'; '.join(result['reasons'])}"]
    except (ValueError, KeyError, TypeError):
        return ["what the gate found of it cannot be read"]


def _of_the_history(store: TrackingStore, pair: Pair) -> list[str]:
    """Whether the version was rejected or has been overtaken since it was judged."""
    history = entries(store, pair.model)
    now = aliases(store, pair.model)
    champion, challenger = now.get("champion"), now.get("challenger")
    said = []
    rejected = [entry for entry in history if entry.action == "rejected" and entry.previous == pair.version]
    if rejected:
        said.append(f"{rejected[-1].by} rejected it at {rejected[-1].at}: {rejected[-1].reason}")
    judged = [entry for entry in history if entry.version == pair.version and AGAINST in entry.details]
    against = judged[-1].details[AGAINST] if judged else None
    overtaken = champion != against if judged else champion is not None and int(champion) > int(pair.version)
    if overtaken:
        compared = f"it was judged against {worded(against)}" if judged else "it is older"
        said.append(f"the champion has changed since it was registered: {worded(champion)} is now, and {compared}")
    if challenger is not None and int(challenger) > int(pair.version):
        said.append(f"version {challenger} is a newer challenger")
    return said


def _of_the_data(homes: Homes, pair: Pair) -> list[str]:
    """Whether the image sets still are the ones that the version was made from."""
    from gtl_core.data.catalog import find

    said = []
    for dataset in read_lineage(homes, f"{pair.model}/{pair.version}")["datasets"]:
        try:
            now = find(homes.data, dataset["name"]).version
        except InputError:
            said.append(f"its data set {dataset['name']} is not there any more")
            continue
        if now != dataset["version"]:
            said.append(f"the data set {dataset['name']} has changed since: run the experiment again")
    return said
