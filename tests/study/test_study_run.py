"""The study itself on tiny sets of real digits: what it writes, what it uses again, and what a failure leaves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import joblib
import pytest

from benchmarks.study.cases import Case, Literature, Published, load_cases
from benchmarks.study.results import Results
from benchmarks.study.run import Study
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.homes import Homes

KEYS = {
    "case",
    "arm",
    "strategy",
    "labelled_per_class",
    "pool",
    "mean",
    "low",
    "high",
    "draws",
    "seconds",
    "published",
}
CASES = """
base:
  source: {dataset: turned}
  target: {dataset: tiny-digits, labelled_per_class: 3, validation_per_class: 3}
  image: {size: 16, channels: 1}
  gan: {width: 4, latent: 8, steps: 2, batch: 16}
  transfer: {strategies: [finetune], steps: 2}
  synthesis: {per_class: 3}
  classifier: {width: 4, steps: 4, source_steps: 8, batch: 16}
  evaluation: {arms: [source_only, real, best_plus_gan], draws: 2, bootstrap: 100}
  promotion: {metric: accuracy}
cases:
  - name: broken
    title: A source that is not there
    budget: labelled only
    protocol: None.
    experiment: {source: {dataset: nowhere}}
  - name: digits
    title: Turned digits → digits
    budget: labelled only
    protocol: Tiny.
    experiment: {}
    goals:
      - {what: anything, arm: best arm, at_least: 0.0}
      - {what: a gain, arm: best GAN arm, versus: real, at_least: 100.0}
"""


@pytest.fixture(scope="module")
def study(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose first case cannot be run, and whose second can."""
    root = tmp_path_factory.mktemp("study")
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", "dagster", "experiments")))
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    digits = ImageSet.load(tiny_digits)
    with ImageSetWriter(homes.data / "turned", classes=digits.classes) as writer:
        for row in digits.indices("train"):
            writer.add(255 - digits.images[row], label=int(digits.labels[row]), source_file=str(row))
    (root / "cases.yaml").write_text(CASES, encoding="utf-8")
    known = Published(method="theirs", value=90.0, spread=1.0, source="a paper", protocol="another")
    literature = Literature(cases={"digits": [known]}, fully_supervised={})
    return Study(load_cases(root / "cases.yaml"), literature, homes, root / "docs", "2026-01-02")


@pytest.fixture(scope="module")
def finished(study: Study) -> Study:
    """The same, run in this process: only the broken case fails."""
    with joblib.parallel_config(backend="sequential"):
        assert study.run(["broken", "digits"]) == ["broken"]
    return study


def test_each_arm_has_a_row_with_exactly_the_promised_keys(finished: Study):
    rows = json.loads((finished.docs / "results.json").read_text())
    assert all(set(row) == KEYS for row in rows)
    assert [(row["arm"], row["strategy"]) for row in rows] == [
        ("source_only", None),
        ("real", None),
        ("best_plus_gan", "finetune"),
    ]
    for row in rows:
        assert 0 <= row["low"] <= row["mean"] <= row["high"] <= 100
        assert (row["case"], row["labelled_per_class"], row["pool"], row["draws"]) == ("digits", 3, 0, 2)
        assert row["published"] == [{"method": "theirs", "value": 90.0, "source": "a paper"}]
    untrained, plain, with_gan = (row["seconds"] for row in rows)
    assert untrained == 0 < plain < with_gan


def test_the_page_tells_goals_commands_and_the_verdict(finished: Study):
    page, record = (finished.docs / "results.md").read_text(), Results.load(finished.docs).records["digits"]
    assert "`python -m benchmarks.study.run --cases digits`, 2026-01-02, 200 test images." in page
    assert record["verdict"] in page
    assert "| theirs | 90.0 ± 1.0 | another | a paper |" in page
    assert "| Turned digits → digits | a gain | interval above 100 |" in page
    (difference,) = record["differences"]
    assert (difference["arm"], difference["versus"]) == ("best_plus_gan/finetune", "real")
    assert "| A source that is not there | not run yet |" in page


def test_a_second_run_makes_nothing_anew_and_changes_no_result(finished: Study):
    def written(folder: Path) -> dict[str, tuple[int, int]]:
        return {
            str(file): (file.stat().st_mtime_ns, file.stat().st_ino) for file in folder.rglob("*") if file.is_file()
        }

    stages, texts = written(finished.homes.artifacts), {file.name: file.read_text() for file in finished.docs.iterdir()}
    assert replace(finished, date="2027-12-31").run(["digits"]) == []
    assert written(finished.homes.artifacts) == stages
    assert {file.name: file.read_text() for file in finished.docs.iterdir()} == texts


def test_a_set_that_is_nowhere_is_told_before_anything_starts(study: Study, tmp_path: Path):
    with pytest.raises(InputError, match=r"no image set 'nowhere'.*--data"):
        study.import_sets(["broken"], tmp_path)


def test_a_set_that_lies_in_the_data_folder_is_imported(study: Study, tmp_path: Path):
    from PIL import Image

    digits = ImageSet.load(study.homes.data / "tiny-digits")
    for row in range(0, len(digits), 10):
        file = tmp_path / "files" / "digits" / digits.classes[digits.labels[row]] / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[row, 0]).save(file)
    homes = replace(study.homes, data=tmp_path / "data")
    case: Case = next(case for case in study.cases if case.name == "digits")
    source = case.experiment.source.model_copy(update={"dataset": "digits"})
    target = case.experiment.target.model_copy(update={"dataset": "digits"})
    experiment = case.experiment.model_copy(update={"source": source, "target": target})
    moved = replace(study, homes=homes, cases=[case.model_copy(update={"experiment": experiment})])
    moved.import_sets(["digits"], tmp_path / "files")
    assert len(ImageSet.load(tmp_path / "data" / "digits")) == len(range(0, len(digits), 10))
