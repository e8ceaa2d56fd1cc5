"""Short texts that say what the classes look like, by class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text, in one spelling of small and capital letters; a number is a word."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _named(value: Any) -> Any:
    """YAML reads a class that is called 7 as a number."""
    return {str(name): text for name, text in value.items()} if isinstance(value, Mapping) else value


def _told_apart(descriptions: dict[str, str]) -> dict[str, str]:
    """Refuses a text without words, and two that say the same."""
    said: dict[tuple[str, ...], str] = {}
    for name, text in descriptions.items():
        words = tuple(sorted(words_of(text)))
        if not words:
            raise ValueError(f"the text of class {name!r} has no word in it, got {text!r}")
        if words in said:
            raise ValueError(
                f"classes {said[words]!r} and {name!r} have the same words, and their order does not count: {text!r}; "
                "say what tells them apart"
            )
        said[words] = name
    return descriptions


Descriptions = Annotated[
    dict[str, Annotated[str, Field(max_length=1000)]], BeforeValidator(_named), AfterValidator(_told_apart)
]
