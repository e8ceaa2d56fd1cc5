"""What benchmarks have measured that is no arm of a study: `docs/measures.json`, which `docs/results.md` shows."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.study.machine import describe_machine
from benchmarks.study.report import table
from gtl_core.files import read_json, write_json

FILE = "measures.json"
DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True)
class Measure:
    """One number.

    Attributes:
        what: the thing measured, in words.
        value: of it.
        low: lower end of its 95 % interval; None where it has none.
        high: upper end.
        unit: such as `dB`, `%` or `points`.
        n: how many images, sounds or draws it was measured on.
        goal: what it shall reach, in words; empty where there is no goal.
    """

    what: str
    value: float
    low: float | None
    high: float | None
    unit: str
    n: int
    goal: str = ""


def record(
    topic: str, measures: Sequence[Measure], *, protocol: str, command: str, folder: Path = DOCS, today: str = ""
) -> None:
    """Writes what was measured of a topic in place of what stood there; other topics stay.

    Args:
        topic: heading in the report, such as `image completion`.
        measures: the numbers.
        protocol: what a reader must know to compare them: data, sizes, what the interval is over.
        command: that measures them.
        folder: where the file is.
        today: ISO date to stand in the report; today by default.
    """
    topics = load(folder)
    topics[topic] = {
        "protocol": protocol,
        "command": command,
        "date": today or date.today().isoformat(),
        "machine": describe_machine(),
        "measures": [asdict(measure) for measure in measures],
    }
    write_json(folder / FILE, topics)


def options(about: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark of real images has, with the first line of its docstring as help."""
    beside = Path(os.environ.get("GTL_SHARED_DATA", DOCS.parent.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=beside, help="folder with mnist/ and usps.npz")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show(measures: Sequence[Measure], *, as_json: bool) -> None:
    """Prints numbers as lines, or as one JSON list."""
    if as_json:
        print(json.dumps([asdict(measure) for measure in measures]))
        return
    for row in measures:
        print("  ".join(filter(None, (row.what, f"{_short(row.value)} {row.unit}", _interval(row)))))


def load(folder: Path = DOCS) -> dict[str, Any]:
    """What was recorded, by topic; empty where nothing was."""
    return read_json(folder / FILE) if (folder / FILE).is_file() else {}


def section(topics: dict[str, Any]) -> str:
    """The part of `results.md` that shows it, in Markdown; empty where nothing was recorded."""
    if not topics:
        return ""
    parts = ["\n## Beyond classifiers"]
    for topic, entry in topics.items():
        rows = [Measure(**measure) for measure in entry["measures"]]
        parts += [
            f"### {topic[0].upper()}{topic[1:]}",
            entry["protocol"],
            f"`{entry['command']}`, {entry['date']}, {entry['machine']}.",
            table(("what", "value", "95 % interval", "n", "goal"), [_cells(row) for row in rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _cells(row: Measure) -> list[str]:
    return [row.what, f"{_short(row.value)} {row.unit}", _interval(row) or "–", f"{row.n:,}", row.goal or "–"]


def _interval(row: Measure) -> str:
    return "" if row.low is None or row.high is None else f"{_short(row.low)} to {_short(row.high)}"


def _short(value: float) -> str:
    """Three digits, and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
