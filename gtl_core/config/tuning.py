"""What `gtl tune` may change of an experiment: ranges by key path, and values put in their places."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag, field_validator, model_validator

from gtl_core.config.base import Strict

Scalar = bool | int | float | str
"""A value that a key of an experiment file may have."""


class Span(Strict):
    """All numbers between two; whole numbers where both ends are whole."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether each factor between two numbers is as likely as any other, as for learning rates."""

    @model_validator(mode="after")
    def _not_empty(self) -> Span:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, and {self.low} is not below {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"with log: true low must be above 0, got {self.low}")
        return self

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """The least and the greatest value."""
        return (self.low, self.high)

    def __contains__(self, value: object) -> bool:
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        kind = int if whole else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high


class Choices(Strict):
    """A few values, none nearer to another."""

    values: tuple[Scalar, ...]

    @field_validator("values", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _something_to_choose(self) -> Choices:
        if len(self.values) < 2:
            raise ValueError(f"name two choices or more, or there is nothing to try, got {list(self.values)}")
        if len({(type(value), value) for value in self.values}) < len(self.values):
            raise ValueError("each choice may stand once")
        return self

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """All of them."""
        return self.values

    def __contains__(self, value: object) -> bool:
        return value in self.values


def _as_section(value: Any) -> Any:
    """`[a, b]` stands for `{values: [a, b]}`."""
    return {"values": value} if isinstance(value, list) else value


def _kind(value: Any) -> str:
    return "values" if isinstance(value, Choices) or (isinstance(value, dict) and "values" in value) else "span"


Range = Annotated[
    Annotated[Span, Tag("span")] | Annotated[Choices, Tag("values")], Discriminator(_kind), BeforeValidator(_as_section)
]
TUNABLE = ("gan", "transfer", "synthesis", "classifier")
"""Sections that say how is learned. What is learned from, and how it is judged, is no setting to win by."""


def _tunable(ranges: dict[str, Any]) -> dict[str, Any]:
    for path in ranges:
        if path.split(".")[0] not in TUNABLE:
            raise ValueError(f"{path}: only what stands below {', '.join(TUNABLE)} can be tuned")
        if path == "transfer.pilot":
            raise ValueError(f"{path}: trials have no pilots, so there is nothing to try")
    return ranges


Ranges = Annotated[dict[str, Range], AfterValidator(_tunable)]
"""By key path, such as `transfer.steps` or `transfer.strategies.finetune.lecam`."""


def with_values(content: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an experiment file with other values at some key paths.

    Args:
        content: of the file; it stays as it is.
        values: by key path. Sections that the file leaves out are added. Below `transfer.strategies` stands a
            strategy's name, or its alias.

    Raises:
        ValueError: a path leads through what is no section, or names a strategy that is not in the list.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    for path, value in values.items():
        *sections, key = path.split(".")
        place: Any = changed
        for depth, name in enumerate(sections):
            place = _entered(place, name, ".".join(sections[: depth + 1]))
        if not isinstance(place, dict):
            raise ValueError(f"{path}: {'.'.join(sections)} is no section")
        place[key] = value
    return changed


def _entered(place: Any, name: str, path: str) -> Any:
    """What lies below a name: a section, a list of strategies, or one of these as a section of its own."""
    if isinstance(place, list):
        for index, strategy in enumerate(place):
            if isinstance(strategy, str):
                strategy = {"name": strategy}
            if name == (strategy.get("alias") or strategy.get("name")):
                place[index] = strategy
                return strategy
        raise ValueError(f"{path}: there is no strategy of that name in the list")
    if not isinstance(place, dict):
        raise ValueError(f"{path}: nothing can stand below {place!r}")
    return place.setdefault(name, {})


def value_at(content: Mapping[str, Any], path: str) -> Any:
    """The value at a key path of a whole experiment's content; None where there is none."""
    place: Any = content
    for name in path.split("."):
        if isinstance(place, list):
            place = next((each for each in place if name == (each.get("alias") or each["name"])), None)
        else:
            place = place.get(name) if isinstance(place, Mapping) else None
    return place
