"""Pilots in the chain of stages: a strategy that is stopped is trained no further, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
from small_chain import as_experiment, project_of_digits

from gtl_core.errors import InputError
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes
from pipelines.launch import _pilot
from pipelines.stages import Chain

WILD = {"name": "finetune", "alias": "wild", "learning_rate_generator": 1e30, "learning_rate_discriminator": 1e30}
REASON = "stopped after its pilot: −8.1 points on validation (−12.0 to −4.0)"


@pytest.fixture(scope="module")
def homes(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Homes:
    return project_of_digits(tmp_path_factory.mktemp("project"), tiny_digits)


def chain(homes: Homes, pilot: float | None, strategies: list[Any], rules: tuple[str, ...] = ()) -> Chain:
    arms = ["source_finetuned", "best_plus_gan", *(["filtered_plus_gan"] if rules else [])]
    experiment = as_experiment(
        name="piloted",
        transfer={"strategies": strategies, "steps": 20, "pilot": pilot},
        synthesis={"filter": list(rules)},
        evaluation={"arms": arms},
    )
    made = Chain(experiment, homes)
    made.draws()
    made.source_gan()
    made.source_classifier()
    return made


def test_the_pilot_runs_a_share_of_the_steps_and_leaves_the_long_transfer_as_it_would_be(homes: Homes) -> None:
    with joblib.parallel_config(backend="sequential"):
        plain, piloted = chain(homes, None, ["finetune", WILD]), chain(homes, 0.5, ["finetune", WILD])
        folder = piloted.pilot().path
    record = read_json(folder / "pilot.json")
    assert [row["strategy"] for row in record["strategies"]] == ["finetune"]
    assert "draw 0" in record["unjudged"]["wild"]
    short = piloted.store.artifacts / "piloted" / "transferred_gan" / "finetune" / "draw-0"
    assert [(path / "curves.csv").read_text().splitlines()[-1].split(",")[0] for path in short.iterdir()] == ["10"]
    strategy = plain.experiment.transfer.strategies[0]
    assert piloted.transferred_key(strategy, 0) == plain.transferred_key(strategy, 0)
    assert piloted.synthetic_key(strategy, 0) == plain.synthetic_key(strategy, 0)
    assert piloted.evaluation_key != plain.evaluation_key
    assert plain.stopped() == {}
    assert plain.pilot_key is None
    with pytest.raises(InputError, match=r"transfer\.pilot is not set"):
        plain.pilot()


def test_a_stopped_strategy_is_not_trained_and_the_verdict_says_why(homes: Homes) -> None:
    made = chain(homes, 0.5, ["finetune", "freeze_d"])
    rows = [{"strategy": "finetune", "reason": None}, {"strategy": "freeze_d", "reason": REASON}]
    key = str(made.pilot_key)
    made.store.build("pilot", key, lambda folder: write_json(folder / "pilot.json", {"strategies": rows, "note": None}))
    with joblib.parallel_config(backend="sequential"):
        stages = made.transferred_gans()
        made.synthetic_images()
        evaluation = made.evaluation().path
    assert {stage.name.split("/")[1] for stage in stages} == {"finetune"}
    assert made.failures() == {"freeze_d": REASON}
    assert made.synthetic_folders().keys() == {"finetune"}
    assert read_json(evaluation / "verdict.json")["left_out"] == {"best_plus_gan/freeze_d": REASON}
    assert _pilot(made) == {"strategies": rows, "note": None}


def test_where_the_pilot_was_not_judged_yet_nothing_is_transferred(homes: Homes) -> None:
    with pytest.raises(InputError, match="stage pilot is not there yet"):
        chain(homes, 0.25, ["finetune", "freeze_d"]).transferred_gans()


def test_selected_images_are_an_arm_like_any_other_and_their_sets_say_what_was_left_out(homes: Homes) -> None:
    made = chain(homes, None, ["finetune"], ("agreement", "copies"))
    plain = chain(homes, None, ["finetune"])
    with joblib.parallel_config(backend="sequential"):
        made.transferred_gans()
        stages = made.synthetic_images()
        evaluation = made.evaluation().path
    for stage in stages:
        about = read_json(stage.path / "card.json")["filter"]
        assert about["rules"] == ["agreement", "copies"]
        assert about["kept"] + sum(about["dropped"].values()) == 30
        assert (stage.path / "dropped.png").is_file() == (about["kept"] < 30)
    arms = [row["arm"] for row in read_json(evaluation / "arms.json")]
    assert arms == ["source_finetuned", "best_plus_gan/finetune", "filtered_plus_gan/finetune"]
    strategy = plain.experiment.transfer.strategies[0]
    assert made.synthetic_key(strategy, 0) != plain.synthetic_key(strategy, 0)
    assert made.transferred_key(strategy, 0) == plain.transferred_key(strategy, 0)
