"""Runs the study, and writes `docs/results.md`, `docs/results.json` and `docs/results_cases.json`.

    python -m benchmarks.study.run [--data FOLDER] [--cases NAME ...] [--draws N] [--list] [--report-only]

Cases run one after the other, each on all cores. What is finished is kept in the homes of the project under the
experiment name `study`, so the same command goes on after an interruption, and a second run makes nothing anew. After
every case the results are written again; cases that are not run now keep what they have there.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.study.cases import Case, Literature, load_cases, load_literature
from benchmarks.study.results import Results
from gtl_core.errors import GtlError, InputError
from gtl_core.files import write_text
from gtl_core.homes import Homes
from pipelines.cli.output import note, say
from pipelines.cli.progress import terminal_progress

HERE = Path(__file__).parent
MODULE = "benchmarks.study.run"
FILES = {"mnist": "mnist", "usps": "usps.npz"}
"""Where each image set lies in the data folder."""
PAGE = "results.md"
_INTERRUPTED = 130


@dataclass(frozen=True)
class Study:
    """Cases, and where everything is.

    Attributes:
        cases: all of them, in the order of the report.
        literature: published numbers.
        homes: where image sets are read and stages are kept.
        docs: the folder of the results.
        date: of this run.
    """

    cases: Sequence[Case]
    literature: Literature
    homes: Homes
    docs: Path
    date: str

    def run(self, names: Sequence[str], options: str = "") -> list[str]:
        """Runs some cases, and writes the results after each.

        Args:
            names: of the cases.
            options: of the command beside the case's name, to stand in the report.

        Returns:
            Names of the cases that failed; the others are not stopped by them.
        """
        from benchmarks.study.machine import describe_machine
        from benchmarks.study.measure import measure

        measured = {"date": self.date, "machine": describe_machine()}
        chosen = [case for case in self.cases if case.name in names]
        failed = []
        for number, case in enumerate(chosen, 1):
            note(f"case {case.name} ({number} of {len(chosen)}): {case.title}")
            command = f"python -m {MODULE} --cases {case.name}{options}"
            before = Results.load(self.docs).records.get(case.name)
            published = self.literature.cases.get(case.name, ())
            try:
                with terminal_progress() as on_progress:
                    rows, record = measure(
                        case, self.homes, published, {**measured, "command": command}, before, on_progress
                    )
            except GtlError as error:
                note(f"case {case.name} failed: {error}")
                failed.append(case.name)
                continue
            except Exception:  # noqa: BLE001 - hours of other cases shall not be lost
                note(f"case {case.name} failed:\n{traceback.format_exc()}")
                failed.append(case.name)
                continue
            # Read again: the case took long, and another process may have written meanwhile.
            results = Results.load(self.docs)
            results.put(case.name, rows, record)
            results.save(self.docs, [case.name for case in self.cases])
            self.write_page()
            note(record["verdict"])
        return failed

    def write_page(self) -> None:
        """Writes the page from the results that are there."""
        from benchmarks import measures
        from benchmarks.study.report import report

        beside = measures.section(measures.load(self.docs))
        write_text(self.docs / PAGE, report(self.cases, self.literature, Results.load(self.docs)) + beside)

    def import_sets(self, names: Sequence[str], folder: Path) -> None:
        """Imports the image sets that some cases need and that are not there yet.

        Raises:
            InputError: a set is neither there nor in the folder.
        """
        chosen = [case.experiment for case in self.cases if case.name in names]
        needed = sorted({part.dataset for experiment in chosen for part in (experiment.source, experiment.target)})
        for name in needed:
            self._import_set(name, folder)

    def _import_set(self, name: str, folder: Path) -> None:
        """Imports one image set where it is not there yet; what has some classes of another one is made of that."""
        from benchmarks.class_halves import HALVES, half
        from gtl_core.data import catalog
        from gtl_core.data.importing import import_images

        if name in catalog.names(self.homes.data):
            return
        if name in HALVES:
            whole, classes = HALVES[name]
            self._import_set(whole, folder)
            half(whole, classes, self.homes.data / name)
            return
        path = folder / FILES.get(name, name)
        if not path.exists():
            raise InputError(f"no image set {name!r} in {self.homes.data}, and no {path} to import it from: --data")
        with terminal_progress() as on_progress:
            import_images(name, path, self.homes.data, on_progress=on_progress)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        The exit code: 0; 1 where a case failed; 2 for bad input; 130 after Ctrl-C.
    """
    try:
        return _main(arguments)
    except GtlError as error:
        note(f"study: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        note("study: stopped; the same command goes on from here")
        return _INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    homes = Homes.locate()
    beside = Path(os.environ.get("GTL_SHARED_DATA", homes.root.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=beside, help="folder with mnist/ and usps.npz")
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="cases to run; all by default")
    parser.add_argument("--draws", type=int, help="draws of each case, instead of those in cases.yaml")
    parser.add_argument(
        "--date", default=date.today().isoformat(), help="date to stand in the report; today by default"
    )
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--report-only", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args(arguments)

    cases = load_cases(HERE / "cases.yaml", options.draws)
    study = Study(cases, load_literature(HERE / "published.yaml"), homes, homes.root / "docs", options.date)
    known = [case.name for case in cases]
    if options.list:
        for case in cases:
            say(f"{case.name:24} {case.budget:28} {case.title}")
        return 0
    if options.report_only:
        study.write_page()
        return 0
    names = options.cases or known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"no case {', '.join(unknown)}; there are: {', '.join(known)}")
    study.import_sets(names, options.data)
    failed = study.run(names, f" --draws {options.draws}" if options.draws else "")
    if failed:
        note(f"study: failed: {', '.join(failed)}; the other cases are in {study.docs / PAGE}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
