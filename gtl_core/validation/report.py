"""Findings of a validation, its report, and the names of all checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from gtl_core.files import atomic_path, read_json, write_json

Severity = Literal["critical", "warning"]

FAILING_COLUMNS = ("set", "row", "split", "source_file", "reason")
"""Columns of a finding's failing rows; `row` is -1 where what fails is a class or the whole set."""


class Check(NamedTuple):
    """A check, known before it runs."""

    name: str
    severity: Severity
    meaning: str


CHECKS: tuple[Check, ...] = (
    Check("schema", "critical", "The manifest has every column, a row an image, and well-formed hashes and splits."),
    Check("ranges", "critical", "Labels, sizes and pixel statistics lie where they can lie."),
    Check("classes", "critical", "Every class has images to train on, if labelled, and to test on in a test part."),
    Check("sizes", "warning", "No image was enlarged more than twofold, or is more than twice as long as wide."),
    Check("blank_images", "critical", "No image is blank or of one colour."),
    Check("class_balance", "warning", "The smallest class has at least a tenth of the images of the largest."),
    Check("exact_duplicates", "warning", "No image comes twice within a split."),
    Check("near_duplicates", "warning", "No image looks like another one re-encoded, shifted by a pixel, or noisier."),
    Check("split_leakage", "critical", "No image and no group stands in two of train, val and test."),
    Check("source_labels", "warning", "Every image of the source has a label; those without are not learned from."),
    Check("source_target_overlap", "critical", "No image of the target is among the source's."),
)
"""What `validate_experiment` checks, in the order of its findings."""

COPIES = Check("copies_of_labelled", "warning", "No synthetic image is a copy of a labelled one.")
"""What `validate_synthetic` checks beside what holds for a single set."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: the check's name.
        severity: `critical` blocks what comes after, `warning` does not.
        passed: whether the data passed.
        summary: the outcome in one sentence.
        failing: the rows that failed, with `FAILING_COLUMNS`. Of two rows that hold one picture, the row that should
            go.
    """

    check: str
    severity: Severity
    passed: bool
    summary: str
    failing: pd.DataFrame

    @classmethod
    def of(cls, check: Check, failing: pd.DataFrame) -> Finding:
        """The outcome of a check that passes where nothing fails."""
        if failing.empty:
            return cls(check.name, check.severity, True, check.meaning, failing)
        where = failing.groupby("set", sort=False).size()
        counts = ", ".join(f"{count} in {name}" for name, count in where.items())
        first = failing.iloc[0]
        example = f"{first['source_file']}: {first['reason']}" if first["source_file"] else first["reason"]
        summary = f"{check.name} failed ({counts}), such as {example}"
        return cls(check.name, check.severity, False, summary, failing)


@dataclass(frozen=True)
class ValidationReport:
    """All findings of one validation."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no critical check failed."""
        return not self.blocking

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The critical findings that failed."""
        return tuple(f for f in self.findings if f.severity == "critical" and not f.passed)

    @property
    def quarantine(self) -> pd.DataFrame:
        """The failing rows of all findings, with their `check` and `severity`."""
        tables = [f.failing.assign(check=f.check, severity=f.severity) for f in self.findings]
        return pd.concat([failing_rows([]).assign(check="", severity=""), *tables], ignore_index=True)[
            ["check", "severity", *FAILING_COLUMNS]
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-able value, failing rows counted and not listed."""
        return {
            "passed": self.passed,
            "findings": [
                {
                    "check": finding.check,
                    "severity": finding.severity,
                    "passed": finding.passed,
                    "summary": finding.summary,
                    "failing_rows": len(finding.failing),
                }
                for finding in self.findings
            ],
        }

    def save(self, folder: Path) -> None:
        """Writes `validation.json` and `quarantine.csv` into `folder`."""
        with atomic_path(folder / "quarantine.csv") as temporary:
            self.quarantine.to_csv(temporary, index=False)
        write_json(folder / "validation.json", self.to_json())

    @classmethod
    def load(cls, folder: Path) -> ValidationReport:
        """Reads what `save` wrote."""
        rows = pd.read_csv(folder / "quarantine.csv", keep_default_na=False, dtype={"row": "int64"})
        text = [column for column in rows.columns if column != "row"]
        rows[text] = rows[text].astype(str)
        findings = []
        for finding in read_json(folder / "validation.json")["findings"]:
            failing = rows.loc[rows["check"] == finding["check"], list(FAILING_COLUMNS)].reset_index(drop=True)
            findings.append(
                Finding(finding["check"], finding["severity"], finding["passed"], finding["summary"], failing)
            )
        return cls(tuple(findings))


def failing_rows(rows: Iterable[tuple[str, int, str, str, str]]) -> pd.DataFrame:
    """A table of failing rows.

    Args:
        rows: set, row, split, source file and reason of each.
    """
    table = pd.DataFrame(list(rows), columns=list(FAILING_COLUMNS))
    return table.astype({column: "int64" if column == "row" else "str" for column in FAILING_COLUMNS})
