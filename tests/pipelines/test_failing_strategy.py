"""A strategy whose training goes wrong is left out with its reason, and the others go on."""

from __future__ import annotations

from pathlib import Path

import joblib
import pytest
from small_chain import as_experiment, project_of_digits

from gtl_core.errors import GtlError
from gtl_core.files import read_json
from gtl_core.homes import Homes
from pipelines.stages import Chain

WILD = {"name": "finetune", "alias": "wild", "learning_rate_generator": 1e30, "learning_rate_discriminator": 1e30}


@pytest.fixture
def homes(tiny_digits: Path, tmp_path: Path) -> Homes:
    return project_of_digits(tmp_path, tiny_digits)


def prepared(homes: Homes, *strategies: object) -> Chain:
    """A chain whose GANs have been transferred, as far as they could be."""
    experiment = as_experiment(name="failing", transfer={"strategies": list(strategies), "steps": 60})
    chain = Chain(experiment, homes)
    chain.draws()
    chain.source_gan()
    chain.source_classifier()
    chain.transferred_gans()
    return chain


def test_the_others_go_on_and_the_verdict_says_why_one_was_left_out(homes: Homes) -> None:
    with joblib.parallel_config(backend="sequential"):
        chain = prepared(homes, WILD, "finetune")
        chain.synthetic_images()
        evaluation = chain.evaluation().path
        quality = read_json(chain.synthetic_quality().path / "quality.json")
    assert [arm["arm"] for arm in read_json(evaluation / "arms.json")] == ["real", "best_plus_gan/finetune"]
    left_out = read_json(evaluation / "verdict.json")["left_out"]
    assert left_out.keys() == {"best_plus_gan/wild"}
    assert "draw 0" in left_out["best_plus_gan/wild"]
    assert quality["strategies"].keys() == {"finetune"}
    assert quality["missing"]["wild"].startswith("it made no images: ")
    assert [row["step"] for row in quality["strategies"]["finetune"]["trajectory"]] == [0, 15, 30, 45, 60]
    assert chain.synthetic_quality().reused


def test_where_none_works_the_run_ends_with_every_reason(homes: Homes) -> None:
    with joblib.parallel_config(backend="sequential"):
        chain = prepared(homes, WILD)
        with pytest.raises(GtlError, match=r"failing: no strategy worked \(wild: .*draw 0"):
            chain.synthetic_images()
