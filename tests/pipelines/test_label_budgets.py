"""`gtl study budgets`: one experiment with several label counts, what they share made once, and bad counts refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
import yaml
from small_chain import project_of_digits, small_experiment

from gtl_core.config import Experiment
from gtl_core.errors import InputError
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.progress import Progress, silent
from pipelines.budgets import run_budgets
from pipelines.cli.main import invoke

BUDGETED = small_experiment(name="budgeted", target={"labelled_per_class": 2})


@pytest.fixture(scope="module")
def homes(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Homes:
    found = project_of_digits(tmp_path_factory.mktemp("budgets"), tiny_digits)
    found.experiments.mkdir()
    (found.experiments / "budgeted.yaml").write_text(yaml.safe_dump(BUDGETED))
    return found


@pytest.fixture
def located(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Homes]:
    """The same homes, found by the command."""
    for name, value in homes.environment().items():
        monkeypatch.setenv(name, value)
    with joblib.parallel_config(backend="sequential"):
        yield homes


def experiment() -> Experiment:
    return Experiment.model_validate(BUDGETED)


def test_what_does_not_depend_on_the_count_is_made_once_and_nothing_twice(located: Homes):
    told: list[str] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress.task)

    found = run_budgets(experiment(), [4, 2], located, on_progress)
    store = located.artifacts / "budgeted"
    made = {name: len([path for path in (store / name).iterdir() if path.name[0] != "."]) for name in ("source_gan",)}
    assert made == {"source_gan": 1}
    assert len(list((store / "source_classifier").iterdir())) == 1
    assert len([path for path in (store / "evaluation").iterdir() if (path / "stage.json").is_file()]) == 2
    assert any(task.startswith("2 labelled a class: ") for task in told)
    assert [row["labelled_per_class"] for row in found["budgets"]] == [2, 2, 4, 4]
    assert found == read_json(store / "budgets" / "budgets.json")
    stamps = {path: path.stat().st_mtime_ns for path in store.rglob("stage.json")}
    assert run_budgets(experiment(), [2, 4], located, silent) == found
    assert stamps == {path: path.stat().st_mtime_ns for path in store.rglob("stage.json")}


def test_every_count_is_judged_on_the_same_test_images(located: Homes):
    run_budgets(experiment(), [2, 4], located, silent)
    records = [read_json(path) for path in (located.artifacts / "budgeted" / "evaluation").glob("*/test_opened.json")]
    assert len({record["rows_sha256"] for record in records}) == 1
    assert len(records) == 2


def test_the_command_shows_a_row_a_count_and_what_the_gan_is_worth(located: Homes, capfd: pytest.CaptureFixture[str]):
    assert invoke(["study", "budgets", "budgeted", "--labelled", "2,4"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "Learning curve of budgeted"
    assert [line.split()[0] for line in lines[2:4]] == ["2", "4"]
    assert lines[4].startswith("With 2 labelled images a class")
    assert (located.artifacts / "budgeted" / "budgets" / "budgets.png").is_file()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("2", "two or more different numbers"),
        ("2,2", "two or more different numbers"),
        ("0,2", "two or more different numbers"),
        ("2,few", "numbers with commas"),
        ("2,500", "--labelled 500: tiny-digits: class '0' has 40 images in the training part"),
    ],
)
def test_counts_that_cannot_be_are_refused_in_one_line_before_any_training(
    located: Homes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    counts: str,
    message: str,
):
    monkeypatch.setenv("GTL_ARTIFACTS", str(tmp_path / "artifacts"))
    assert invoke(["study", "budgets", "budgeted", "--labelled", counts]) == InputError.exit_code
    told = capfd.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert not (tmp_path / "artifacts").exists()


def test_a_count_with_which_the_other_settings_cannot_be_is_refused_before_any_training(
    located: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GTL_ARTIFACTS", str(tmp_path / "artifacts"))
    strategies = [{"name": "dagan", "steps": 2, "target_steps": 2}]
    learned = Experiment.model_validate({**BUDGETED, "transfer": {"strategies": strategies}})
    with pytest.raises(InputError, match=r"--labelled 1: "):
        run_budgets(learned, [1, 2], Homes.locate(), silent)
    assert not (tmp_path / "artifacts").exists()
