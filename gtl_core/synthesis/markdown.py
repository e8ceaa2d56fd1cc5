"""Markdown of cards: front matter, tables, and names of users that stay names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML block at the head of a card in the layout of Hugging Face."""
    import yaml

    return f"---\n{yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=1000)}---\n"


def plain(text: object) -> str:
    """A text in one line that Markdown shows as it is, and that is no HTML."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", " ".join(str(text).split()))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; cells are shown as they are."""
    lines = [columns, ["---"] * len(columns), *([plain(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def bullets(sentences: Sequence[str]) -> str:
    """A list; sentences are shown as they are."""
    return "".join(f"- {plain(sentence)}\n" for sentence in sentences)


def datasets_table(datasets: Sequence[Mapping[str, Any]]) -> str:
    """The sets of real images of a lineage record."""
    columns = ("role", "name", "images", "version")
    rows = [[*(data[column] for column in columns), data.get("licence") or "not stated"] for data in datasets]
    return table([*columns, "licence"], rows)
