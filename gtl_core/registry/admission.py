"""What follows from the gate's answer about a new version: refused, challenger, or champion at once."""

from __future__ import annotations

from typing import Literal

from gtl_core.errors import GateRefused
from gtl_core.registry.approval import AGAINST
from gtl_core.registry.gate import GateResult
from gtl_core.registry.history import Entry, entries
from gtl_core.registry.pairs import Pair
from gtl_core.registry.promotion import GATE, nominate, promote, refuse
from gtl_core.registry.standing import standing
from gtl_core.registry.tracking import TrackingStore
from gtl_core.registry.unfinished import is_followed


def admit(
    store: TrackingStore,
    pair: Pair,
    result: GateResult,
    champion: str | None,
    approval: Literal["automatic", "manual"],
    decided: Entry | None = None,
) -> str:
    """Follows the gate's answer, each step on record.

    Args:
        store: the MLflow store.
        pair: the new version.
        result: what the gate found.
        champion: the version that the gate compared it with; None where there was no champion.
        approval: who lets it through. The first champion needs nobody's word.
        decided: the entry about this answer that an earlier call had written before it was killed.

    Returns:
        What the version waits for as challenger; empty where it was refused, became champion, or was decided about by
        somebody since.
    """
    said = "; ".join(result.reasons)
    if decided is None:
        details = {AGAINST: champion, "score": result.challenger_score, "champion_score": result.champion_score}
        if result.passed:
            nominate(store, pair, reason=said, details=details)
        else:
            broken = [rule.name for rule in result.rules if not rule.passed]
            refuse(store, pair, by=GATE, reason=said, details={**details, "rules": broken})
    if not result.passed or (decided and is_followed(store, decided)):
        return ""
    if approval == "manual" and champion is not None:
        return f"it waits for approval: gtl promote {pair.model} {pair.version} --by NAME --reason TEXT"
    frozen = standing(entries(store, pair.model)).frozen
    if frozen:
        return (
            f"it waits as challenger, because {frozen.by} rolled {pair.model} back at {frozen.at} ({frozen.reason}): "
            f"gtl promote {pair.model} {pair.version} makes it champion, gtl unfreeze {pair.model} lets later ones pass"
        )
    try:
        promote(store, pair, expected=champion, by=GATE, reason=said)
    except GateRefused as overtaken:
        return f"it waits as challenger: {overtaken}"
    return ""
