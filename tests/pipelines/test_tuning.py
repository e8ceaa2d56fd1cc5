"""`gtl tune`: trials within declared ranges, judged on validation, resumable, and the best as an experiment file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import optuna
import pytest
import yaml
from small_chain import project_of_digits, small_experiment

from gtl_core.config import load_experiment
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.progress import Progress
from pipelines.cli.main import invoke
from pipelines.stages import Chain
from pipelines.tuning import Trial, Tuning

RANGES = {"transfer.steps": {"low": 1, "high": 6}, "synthesis.per_class": [3, 6]}
TUNED = {
    **small_experiment(name="tried", description="mine", evaluation={"draws": 3}),
    "tuning": RANGES,
    "schedule": "0 3 * * 1",
}


def written(homes: Homes, **changes: Any) -> None:
    (homes.experiments / "tried.yaml").write_text(yaml.safe_dump({**TUNED, **changes}))


@pytest.fixture
def homes(tiny_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Homes]:
    found = project_of_digits(tmp_path, tiny_digits)
    found.experiments.mkdir()
    written(found)
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    with joblib.parallel_config(backend="sequential"):
        yield found


def tuning(homes: Homes, **options: Any) -> Tuning:
    return Tuning(load_experiment(homes.experiments / "tried.yaml"), homes, **options)


def test_the_best_trial_becomes_an_experiment_that_can_be_run_and_starts_nothing_by_itself(
    homes: Homes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["tune", "tried", "--trials", "2", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    complete = [trial for trial in said["trials"] if trial["state"] == "complete"]
    best = max(complete, key=lambda trial: trial["score"])
    assert said["best"] == best["number"]
    found = load_experiment(homes.experiments / "tried-tuned.yaml")
    assert found.transfer.steps == best["values"]["transfer.steps"]
    assert found.synthesis.per_class == best["values"]["synthesis.per_class"]
    assert found.classifier == load_experiment(homes.experiments / "tried.yaml").classifier
    assert found.schedule is None
    assert found.tuning is None
    assert f"trial {best['number']} of 2" in found.description
    assert found.tuned_trials == 2
    # The verdict tells of it, so another number asks for another verdict, and for nothing else anew.
    tuned, more = (dict(Chain(found.model_copy(update={"tuned_trials": n}), homes).stage_keys()) for n in (2, 3))
    assert {name for name in tuned if tuned[name] != more[name]} == {"evaluation", "registered_models"}


def test_the_experiments_own_values_are_tried_first_and_what_a_value_does_not_change_is_made_once(homes: Homes) -> None:
    trials = tuning(homes).run(2)
    assert trials[0].values == {"transfer.steps": 2, "synthesis.per_class": 3}
    assert trials[0].draws == 3
    assert trials[0].validation_images == 3 * 3 * 10
    made = homes.artifacts / "tried"
    assert len(list((made / "source_gan").iterdir())) == 1
    assert len(list((made / "source_classifier").iterdir())) == 1


def test_a_run_of_the_tuned_experiment_takes_over_what_its_trial_trained(homes: Homes) -> None:
    study = tuning(homes)
    study.write_best(study.run(1))
    tuned = Chain(load_experiment(study.file), homes)
    tuned.data_validation()
    tuned.draws()
    stages = [tuned.source_gan(), tuned.source_classifier(), *tuned.transferred_gans(), *tuned.synthetic_images()]
    assert len(stages) == 2 + 3 + 3
    assert all(stage.reused for stage in stages)
    of_trial = Chain(load_experiment(homes.experiments / "tried.yaml"), homes)
    assert of_trial.require("source_gan").path != tuned.require("source_gan").path
    assert not tuned.domain_gap().reused


def test_trials_have_no_pilots_and_the_tuned_experiment_has_them_again(homes: Homes) -> None:
    transfer = {**TUNED["transfer"], "strategies": ["finetune", "freeze_d"], "pilot": 0.5}
    written(homes, transfer=transfer)
    study = tuning(homes)
    trials = study.run(1)
    assert [trial.state for trial in trials] == ["complete"]
    assert not (homes.artifacts / "tried" / "pilot").exists()
    study.write_best(trials)
    assert load_experiment(study.file).transfer.pilot == 0.5


def test_a_stopped_study_goes_on_and_finds_what_one_in_one_go_finds(homes: Homes, tmp_path: Path) -> None:
    once = tuning(homes, url=f"sqlite:///{tmp_path}/once.db").run(3)
    parts = tuning(homes)
    assert len(parts.run(1)) == 1
    assert [asdict(trial) for trial in parts.run(3)] == [asdict(trial) for trial in once]
    assert len(parts.run(3)) == 3


def test_a_killed_trial_is_tried_again(homes: Homes) -> None:
    study = tuning(homes)
    study.run(1)
    storage = f"sqlite:///{homes.artifacts}/tried/tuning/trials.db"
    killed = optuna.load_study(study_name=study.name, storage=storage)
    values = {
        "transfer.steps": optuna.distributions.IntDistribution(1, 6),
        "synthesis.per_class": optuna.distributions.CategoricalDistribution([3, 6]),
    }
    killed.ask(values)
    trials = study.run(2)
    assert [trial.state for trial in trials] == ["complete", "failed", "complete"]
    assert trials[1].values == trials[2].values


def test_a_study_that_was_killed_in_a_trial_finds_what_one_in_one_go_finds(homes: Homes, tmp_path: Path) -> None:
    pressed = []

    def press(progress: Progress) -> None:
        if progress.task.startswith("trial 2 ") and not pressed:
            pressed.append(progress)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tuning(homes, on_progress=press).run(3)
    once = tuning(homes, url=f"sqlite:///{tmp_path}/once.db").run(3)
    ended = [trial for trial in tuning(homes).run(3) if trial.state != "failed"]
    assert [(trial.values, trial.score) for trial in ended] == [(trial.values, trial.score) for trial in once]


def test_no_trial_sees_a_label_of_the_test_part(homes: Homes) -> None:
    before = [asdict(trial) for trial in tuning(homes).run(2)]
    [draw, *_] = Chain(load_experiment(homes.experiments / "tried.yaml"), homes).load_draws()
    digits = ImageSet.load(homes.data / "tiny-digits")
    manifest = digits.manifest.copy()
    manifest.loc[draw.test, "label"] = digits.labels[draw.test][::-1]
    manifest.to_parquet(homes.data / "tiny-digits" / "manifest.parquet")
    after = tuning(homes)
    assert [asdict(trial) for trial in after.run(2)] == before
    assert not list(homes.artifacts.rglob("test_opened.json"))
    assert (digits.labels[draw.test] != digits.labels[draw.test][::-1]).any()


def test_a_trial_that_is_worse_than_the_others_after_its_first_draws_is_pruned(homes: Homes) -> None:
    written(
        homes,
        tuning={"classifier.learning_rate": {"low": 5e-4, "high": 0.02}},
        classifier={"steps": 30, "width": 4, "source_steps": 8, "batch": 16},
    )
    trials = tuning(homes).run(9)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.draws == 2 and trial.number >= 5 for trial in pruned)
    assert tuning(homes).write_best(trials).score == max(
        trial.score or 0 for trial in trials if trial.state == "complete"
    )
    assert load_experiment(homes.experiments / "tried-tuned.yaml").tuned_trials == 9


def test_a_trial_that_fails_says_why_and_the_others_go_on(homes: Homes) -> None:
    translate = {"name": "translate", "steps": 2, "width": 8, "latent": 4, "bank_per_class": 2, "batch": 4}
    written(
        homes,
        transfer={"strategies": [translate]},
        evaluation={"arms": ["real", "best_plus_gan", "adapted"], "draws": 2},
        # Each can be, but more steps of the strategy with fewer of the other arms cannot.
        tuning={"transfer.strategies.translate.steps": [2, 4], "classifier.steps": [4, 2]},
    )
    trials = tuning(homes).run(8)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert all(trial.values == {"transfer.strategies.translate.steps": 4, "classifier.steps": 2} for trial in failed)
    assert all("adapted has learned for 4 steps" in (trial.reason or "") for trial in failed)
    assert failed
    assert len(failed) < 8


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tuning": None}, "declares no ranges"),
        ({"tuning": {"transfer.steps": {"low": 5, "high": 5}}}, "5 is not below 5"),
        ({"tuning": {"transfer.steps": []}}, "two choices or more"),
        ({"tuning": {"transfer.stepz": [1, 2]}}, "transfer.stepz: unknown key"),
        ({"tuning": {"transfer.steps": [0, 2]}}, "greater than or equal to 1"),
        ({"tuning": {"transfer.pilot": [0.1, 0.2]}}, "trials have no pilots"),
        ({"tuning": {"evaluation.draws": [2, 3]}}, "only what stands below gan, transfer"),
        ({"tuning": {"transfer.strategies.freeze_d.blocks": [1, 2]}}, "no strategy of that name"),
        ({"tuning": {"transfer.strategies.finetune.lecam": {"low": 0.0, "high": 1.0, "log": True}}}, "above 0"),
    ],
)
def test_ranges_that_cannot_be_are_refused_in_one_line_before_any_training(
    homes: Homes, capfd: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    written(homes, **changes)
    assert invoke(["tune", "tried", "--trials", "1"]) == InputError.exit_code
    said = capfd.readouterr().err.strip()
    assert told in said
    assert "\n" not in said
    assert not homes.artifacts.exists()


def test_an_experiment_whose_best_trial_could_not_be_named_is_refused_before_any_training(
    homes: Homes, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "tried-" * 10
    (homes.experiments / f"{name}.yaml").write_text(yaml.safe_dump({**TUNED, "name": name}))
    assert invoke(["tune", name]) == InputError.exit_code
    said = capfd.readouterr().err.strip()
    assert "longer than 64 letters; give the experiment a shorter name" in said
    assert "\n" not in said
    assert not homes.artifacts.exists()


def test_values_that_were_tried_do_not_go_into_a_file_that_says_something_else_by_now(homes: Homes) -> None:
    best = Trial(0, "complete", {"transfer.steps": 5, "synthesis.per_class": 6}, 0.9, 0.8, "finetune", 3, 90, None)
    study = tuning(homes)
    written(homes, seed=7)
    with pytest.raises(InputError, match="has changed since the tuning began"):
        study.write_best([best])
    assert not (homes.experiments / "tried-tuned.yaml").exists()
    assert tuning(homes).write_best([best]) == best
    assert load_experiment(homes.experiments / "tried-tuned.yaml").transfer.steps == 5


def test_a_file_of_somebodys_own_is_never_overwritten(homes: Homes, capfd: pytest.CaptureFixture[str]) -> None:
    (homes.experiments / "tried-tuned.yaml").write_text("name: mine\n")
    assert invoke(["tune", "tried"]) == InputError.exit_code
    assert "was not written by gtl tune" in capfd.readouterr().err
    assert (homes.experiments / "tried-tuned.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize("url", ["nonsense", "postgresql://ada:secret@127.0.0.1:1/trials"])
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    homes: Homes, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("GTL_TUNING_STORAGE", url)
    assert invoke(["tune", "tried"]) == InputError.exit_code
    said = capfd.readouterr().err
    assert "--storage" in said
    assert "secret" not in said
