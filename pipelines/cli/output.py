"""What the commands print: tables and facts for people, JSON for programs, both on standard output."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output instead of tables.")]
"""Type of the `--json` option, the same for every command that prints a table."""


def say(text: str = "") -> None:
    """Prints a line of result on standard output."""
    typer.echo(text)


def note(text: str) -> None:
    """Prints a line about the work, not a result, on standard error."""
    typer.echo(text, err=True)


def show_json(value: Any) -> None:
    """Prints one JSON value.

    Args:
        value: JSON-able, where paths, NumPy scalars and tuples may stand too; NaN and infinities become null, because
            JSON has no word for them.
    """
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", empty: str = "") -> None:
    """Prints a table: framed on a terminal, elsewhere as aligned columns that are never cut.

    Args:
        columns: headings.
        rows: one value a column each; see `cell` for how values are written.
        title: a line above the table.
        empty: a line printed instead of the table when there are no rows.
    """
    if not rows and empty:
        say(empty)
        return
    texts = [[cell(value) for value in row] for row in rows]
    numeric = [
        bool(rows) and all(isinstance(row[i], (int, float)) and not isinstance(row[i], bool) for row in rows)
        for i in range(len(columns))
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title or None, title_justify="left")
        for name, right in zip(columns, numeric, strict=True):
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for texts_of_row in texts:
            table.add_row(*texts_of_row)
        Console(markup=False, highlight=False).print(table)
        return
    if title:
        say(title)
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for line in (columns, *texts):
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        say("  ".join(padded).rstrip())


def show_facts(facts: Mapping[str, Any], *, title: str = "") -> None:
    """Prints names and their values, one a line."""
    if title:
        say(title)
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        say(f"{name.ljust(width)}  {cell(value)}")


def cell(value: Any) -> str:
    """A value as people read it: `-` for nothing, yes and no, fractions with three digits behind the point."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(cell, value)) or "-"
    return str(value)


def _plain(value: Any) -> Any:
    """`value` in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
