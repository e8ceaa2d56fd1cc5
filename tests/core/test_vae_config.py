"""A VAE in the experiment file: what has no meaning for one is refused with its key, before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gtl_core.config import Experiment
from gtl_core.errors import InputError
from gtl_core.networks.registry import GanSpec
from gtl_core.transfer.weights import check_weight_strategy

STRATEGY = {"name": "finetune"}


def experiment(gan: dict[str, Any], transfer: dict[str, Any] | None = None) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "small",
            "source": {"dataset": "many"},
            "target": {"dataset": "few", "labelled_per_class": 5},
            "image": {"size": 16, "channels": 1},
            "gan": gan,
            "transfer": {"strategies": [STRATEGY], **(transfer or {})},
        }
    )


@pytest.mark.parametrize("architecture", ["vae", "vae_gan"])
def test_both_kinds_can_be_named_with_a_weight_of_the_divergence(architecture: str) -> None:
    assert experiment({"architecture": architecture, "beta": 0.5}).gan.beta == 0.5


@pytest.mark.parametrize(
    ("gan", "transfer", "told"),
    [
        ({"loss": "non_saturating"}, {}, "loss: a vae has no discriminator"),
        ({"augmentation": ["colour"]}, {}, "augmentation: a vae has no discriminator"),
        ({"lecam": 0.3}, {}, "lecam: a vae has no discriminator"),
        ({}, {"gradient_penalty": 0.1}, "transfer.gradient_penalty: a vae has no discriminator"),
        ({}, {"strategies": [{**STRATEGY, "lecam": 0.3}]}, "transfer.strategies.finetune.lecam: a vae has no"),
    ],
)
def test_what_is_said_of_the_adversarial_game_is_refused_for_a_vae_and_taken_for_a_vae_gan(
    gan: dict[str, Any], transfer: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        experiment({"architecture": "vae", **gan}, transfer)
    assert experiment({"architecture": "vae_gan", **gan}, transfer).gan.architecture == "vae_gan"


def test_a_written_experiment_with_all_its_defaults_reads_back() -> None:
    whole = experiment({"architecture": "vae"}, {"strategies": ["singular_values", "translate", "dagan"]})
    assert Experiment.model_validate_json(whole.model_dump_json()) == whole


def test_a_weight_of_the_divergence_is_refused_where_there_is_no_encoder() -> None:
    with pytest.raises(ValidationError, match="beta: dcgan has no encoder; leave it out, or take architecture vae"):
        experiment({"beta": 0.5})


@pytest.mark.parametrize("name", ["freeze_d", "ewc", "semi_supervised"])
def test_a_strategy_about_the_discriminator_is_refused_for_a_vae_in_one_line_that_says_what_to_take(name: str) -> None:
    settings = experiment({"architecture": "dcgan"}, {"strategies": ["finetune"]})
    content = settings.model_dump(mode="json")
    content["target"]["use_unlabelled"] = True
    content["transfer"]["strategies"] = [{"name": name, "alias": "mine"}]
    strategy = Experiment.model_validate(content).transfer.strategies[0]
    spec = GanSpec("vae", size=16, channels=1, width=4, latent=8, classes=3)
    with pytest.raises(InputError, match=rf"^transfer\.strategies\.mine: {name} is about a discriminator") as caught:
        check_weight_strategy(strategy, spec, 10)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "l2_sp" in str(caught.value)
