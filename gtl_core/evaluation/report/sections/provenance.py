"""Where everything comes from: data versions, stages with their keys, code, seed and registered models."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import DASH, number


def build(inputs: Inputs) -> Section:
    """Tables of facts; hashes in full, so that they can be compared."""
    known = inputs.provenance
    if not known:
        raise Missing("nothing was told of where these files come from")
    facts = [(name, str(value)) for name, value in known.get("facts", {}).items() if value not in (None, "")]
    parts = [table("This run", ["what", "value"], [[name, _hash(value)] for name, value in facts])]
    if known.get("datasets"):
        rows = [
            [row["role"], row["name"], f"{row['images']:,}", _hash(str(row["version"]))] for row in known["datasets"]
        ]
        parts.append(table("Image sets", ["role", "name", "images", "version"], rows, numeric=(2,)))
    if known.get("models"):
        rows = [
            [row["name"], str(row["version"]), row.get("alias") or DASH, row.get("gate") or DASH]
            for row in known["models"]
        ]
        parts.append(table("Registered models", ["model", "version", "alias", "gate"], rows))
    more = []
    stages = known.get("stages") or []
    if stages:
        rows = [
            [row["name"], f"{number(row['seconds'])} s", _hash(row["key"]), _hash(row["version"])] for row in stages
        ]
        columns = ["stage", "made in", "key: made from", "version: what was made"]
        more.append(details("Every stage", table("Stages", columns, rows, numeric=(1,))))
    settings = [[name, value] for name, value in flattened(inputs.experiment.model_dump(mode="json"))]
    more.append(details("Every setting", table("The experiment", ["setting", "value"], settings)))
    meaning = (
        "Equal keys mean equal data, settings and code. gtl lineage MODEL --verify hashes every file again and says "
        "whether it is still the one that was used."
    )
    return Section("Where it all comes from", "", joined(parts), meaning, joined(more), dict(known))


def flattened(settings: object, prefix: str = "") -> list[tuple[str, str]]:
    """Names and values of nested settings: `target.dataset`.

    What is not set is left out. A list of strategies has a line for each by its name, whatever its place.
    """
    if settings is None:
        return []
    if isinstance(settings, dict):
        return [
            pair
            for name, value in settings.items()
            for pair in flattened(value, f"{prefix}.{name}" if prefix else name)
        ]
    if isinstance(settings, (list, tuple)) and any(isinstance(item, dict) for item in settings):
        return [(f"{prefix}.{item.get('alias') or item['name']}", _in_a_line(item)) for item in settings]
    return [(prefix, _told(settings))]


def _in_a_line(settings: Mapping[str, object]) -> str:
    """What is set of a strategy beside its name."""
    told = [f"{name} {_told(value)}" for name, value in settings.items() if name != "alias" and value is not None]
    return ", ".join(told)


def _told(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_told, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _hash(text: str) -> Markup:
    return element("code", text)
