"""The experiment file: what is refused, and how the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gtl_core.config import Experiment, load_experiment
from gtl_core.errors import InputError

ROOT = Path(__file__).resolve().parents[2]

SMALLEST: dict[str, Any] = {
    "name": "small",
    "source": {"dataset": "many"},
    "target": {"dataset": "few", "labelled_per_class": 5},
    "image": {"size": 16, "channels": 1},
    "transfer": {"strategies": ["finetune"]},
}


def written(folder: Path, content: Any, name: str = "small") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def changed(path: str, value: Any) -> dict[str, Any]:
    """The smallest experiment with one value changed, addressed as `gan.width`."""
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SMALLEST))
    inner = content
    *parents, last = path.split(".")
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return content


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    assert load_experiment(path).name == path.stem


def test_the_smallest_experiment_gets_its_defaults(tmp_path: Path) -> None:
    experiment = load_experiment(written(tmp_path, SMALLEST))
    assert experiment.gan.architecture == "dcgan"
    assert experiment.transfer.strategies[0].name == "finetune"
    assert experiment.promotion.approval == "manual"


def test_a_strategy_may_carry_its_settings(tmp_path: Path) -> None:
    content = changed("transfer.strategies", [{"name": "freeze_d", "blocks": 1}, "finetune"])
    first, second = load_experiment(written(tmp_path, content)).transfer.strategies
    assert (first.name, first.blocks, second.name) == ("freeze_d", 1, "finetune")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("gan.wdith", 32, "gan.wdith: unknown key"),
        ("gan.width", "32", "gan.width: Input should be a valid integer, got '32'"),
        ("gan.width", 2, "gan.width: Input should be greater than or equal to 4, got 2"),
        ("gan.loss", "wasserstein", "'hinge' or 'non_saturating', got 'wasserstein'"),
        ("image.size", 30, "image.size: must be a multiple of 4"),
        ("image.channels", 2, "image.channels: Input should be 1 or 3, got 2"),
        (
            "target.labelled_per_class",
            0,
            "target.labelled_per_class: Input should be greater than or equal to 1, got 0",
        ),
        ("transfer.strategies", [], "transfer.strategies"),
        ("transfer.strategies", ["finetune", "finetune"], "repeated: finetune"),
        ("transfer.strategies", ["fine_tune"], "fine_tune"),
        ("evaluation.arms", ["transferred_gan"], "at least one arm without a GAN"),
        ("evaluation.arms", ["real"], "transferred_gan or best_plus_gan"),
        ("evaluation.arms", ["self_trained", "best_plus_gan"], "needs target.use_unlabelled"),
        ("evaluation.draws", 1, "evaluation.draws"),
        ("source.dataset", "few", "must be two different sets"),
        ("name", "Small One", "name"),
        ("name", "other", "make the two agree"),
    ],
)
def test_what_is_impossible_is_refused_with_its_key(tmp_path: Path, path: str, value: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        load_experiment(written(tmp_path, changed(path, value)))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError) as caught:
        load_experiment(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no experiment file"):
        load_experiment(tmp_path / "none.yaml")


def test_an_experiment_cannot_be_changed() -> None:
    experiment = Experiment.model_validate(SMALLEST)
    with pytest.raises(ValueError, match="frozen"):
        experiment.gan.width = 64  # type: ignore[misc]
