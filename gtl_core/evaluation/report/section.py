"""One section of the report, or the reason why it is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from gtl_core.errors import GtlError
from gtl_core.evaluation.report.elements import NOTHING
from gtl_core.evaluation.report.inputs import Inputs, Missing


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: heading.
        finding: what these data show, in a sentence; empty where there is nothing to add to the picture.
        html: the picture or table.
        meaning: how to read it, for somebody who does not know the field; it stands below the picture.
        more: further tables, for those who want them.
        numbers: everything that is shown, JSON-able.
        missing: why the part is not there; empty where it is.
    """

    title: str
    finding: str = ""
    html: Markup = NOTHING
    meaning: str = ""
    more: Markup = NOTHING
    numbers: Any = None
    missing: str = ""

    def to_json(self) -> Mapping[str, Any]:
        """The section as `report.json` has it."""
        if self.missing:
            return {"title": self.title, "missing": self.missing}
        return {"title": self.title, "finding": self.finding, "meaning": self.meaning, "numbers": self.numbers}


@dataclass(frozen=True)
class Builder:
    """How a section is made.

    Attributes:
        id: name in the page's links and in `report.json`.
        title: heading, also of a section that is missing.
        build: makes it, or raises `Missing`.
    """

    id: str
    title: str
    build: Callable[[Inputs], Section]

    def __call__(self, inputs: Inputs) -> Section:
        """The section; where its part is not there or cannot be read, why."""
        try:
            return self.build(inputs)
        except Missing as reason:
            return Section(self.title, missing=str(reason))
        # A damaged file of one stage must not take the rest of the report away.
        except (GtlError, OSError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            return Section(self.title, missing=f"it cannot be read: {_told(error)}")


def _told(error: Exception) -> str:
    """What went wrong, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
