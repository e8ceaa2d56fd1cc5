"""The classifier with which semi_supervised labels the pool is the experiment's, and so is the stage's key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
from small_chain import SMALL, as_experiment, project_of_digits

from gtl_core.homes import Homes
from gtl_core.training.checkpoint import GanCheckpoint
from pipelines.stages import Chain


@pytest.fixture
def homes(tiny_digits: Path, tmp_path: Path) -> Homes:
    return project_of_digits(tmp_path, tiny_digits)


def chain_of(homes: Homes, **classifier: Any) -> Chain:
    """A chain whose labels of the pool all count, sure or not, and whose real images do at once."""
    experiment = as_experiment(
        target={**SMALL["target"], "use_unlabelled": True},
        transfer={
            "strategies": ["finetune", {"name": "semi_supervised", "threshold": 0.05}],
            "steps": 2,
            "loss": "relativistic",
        },
        classifier=classifier,
    )
    return Chain(experiment, homes)


def keys(chain: Chain) -> list[str]:
    """Keys of the transfers of fine-tuning and of semi_supervised."""
    return [chain.transferred_key(strategy, 0) for strategy in chain.experiment.transfer.strategies]


def test_its_gans_are_made_anew_where_the_classifier_learns_otherwise_and_others_only_where_they_use_one(
    homes: Homes,
) -> None:
    finetuned, semi_supervised = keys(chain_of(homes))
    for changed in ({"steps": 5}, {"photometric": True}, {"batch": 8}, {"learning_rate": 1e-3}):
        other = keys(chain_of(homes, **changed))
        assert other[0] == finetuned
        assert other[1] != semi_supervised


def test_what_the_experiment_says_of_the_classifier_reaches_the_labels_of_the_pool(homes: Homes) -> None:
    hashes = []
    for steps in (4, 5):
        chain = chain_of(homes, steps=steps)
        with joblib.parallel_config(backend="sequential"):
            for stage in ("draws", "source_gan", "source_classifier", "transferred_gans"):
                getattr(chain, stage)()
        hashes.append(
            [
                GanCheckpoint.load(chain.transferred(name, 0).path / "gan.safetensors").weights_sha256()
                for name in ("finetune", "semi_supervised")
            ]
        )
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]
