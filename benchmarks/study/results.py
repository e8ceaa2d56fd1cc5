"""What the study has measured so far: `results.json`, a flat list of rows, and what rows cannot hold beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gtl_core.files import read_json, write_json

ROWS = "results.json"
RECORDS = "results_cases.json"

Row = dict[str, Any]
"""`case, arm, strategy, labelled_per_class, pool, mean, low, high, draws, seconds, published`."""
Record = dict[str, Any]
"""`evaluation, chosen, chosen_by, verdict, left_out, differences, test_images, shared_seconds, measured` of a case."""

UNTRAINED = ("source_only", "adapted")
"""The arms whose classifiers are there before the evaluation: the source's, and one that a strategy has trained."""


@dataclass
class Results:
    """Rows and records of the cases that have been run, now or earlier.

    Attributes:
        rows: one an arm.
        records: one a case.
    """

    rows: list[Row] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Reads what `save` wrote; a file that is not there yet is empty."""
        rows, records = folder / ROWS, folder / RECORDS
        return cls(read_json(rows) if rows.is_file() else [], read_json(records) if records.is_file() else {})

    def of(self, case: str) -> list[Row]:
        """The rows of a case, in the order of its arms."""
        return [row for row in self.rows if row["case"] == case]

    def put(self, case: str, rows: Sequence[Row], record: Record) -> None:
        """Replaces the rows and the record of a case, and leaves those of all others."""
        self.rows = [row for row in self.rows if row["case"] != case] + list(rows)
        self.records[case] = record

    def save(self, folder: Path, order: Sequence[str]) -> None:
        """Writes both files, with the rows in the order of the named cases; cases that are not named come last."""
        rank = {case: index for index, case in enumerate(order)}
        self.rows.sort(key=lambda row: rank.get(row["case"], len(rank)))
        write_json(folder / ROWS, self.rows)
        write_json(folder / RECORDS, self.records)


def full_name(row: Row) -> str:
    """An arm's whole name, such as `best_plus_gan/translate`."""
    return f"{row['arm']}/{row['strategy']}" if row["strategy"] else str(row["arm"])


def resolved(arm: str, record: Record, names: Sequence[str]) -> str:
    """The whole name of the arm that a goal speaks of.

    Args:
        arm: as in `Goal.arm`.
        record: of the case, which says what was chosen.
        names: whole names of the case's arms.
    """
    chosen = record["chosen"]
    named = {"best arm": chosen["best"], "best GAN arm": chosen["gan"]}
    if arm in named:
        return str(named[arm])
    return arm if arm in names or "/" in arm else f"{arm}/{chosen['gan'].split('/')[1]}"
