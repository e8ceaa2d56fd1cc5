"""The experiment file: what is refused, and how the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gtl_core.config import Experiment, load_experiment, read_content
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
        ("gan.loss", "wasserstein", "'hinge', 'non_saturating' or 'relativistic', got 'wasserstein'"),
        ("gan.adaptive_augmentation", True, "gan: adaptive_augmentation: needs at least one policy in augmentation"),
        ("gan.lecam", -0.1, "gan.lecam: Input should be greater than or equal to 0, got -0.1"),
        ("transfer.strategies", ["semi_supervised"], "semi_supervised needs target.use_unlabelled: true"),
        (
            "transfer.strategies",
            [{"name": "ewc", "adaptive_augmentation": True, "augmentation": []}],
            "ewc: adaptive_augmentation needs at least one policy",
        ),
        ("image.size", 30, "image.size: must be a multiple of 4"),
        ("image.channels", 2, "image.channels: Input should be 1 or 3, got 2"),
        (
            "target.labelled_per_class",
            -1,
            "target.labelled_per_class: Input should be greater than or equal to 0, got -1",
        ),
        ("transfer.strategies", [], "transfer.strategies"),
        ("transfer.strategies", "finetune", "transfer.strategies: expected a list, such as [a, b], got 'finetune'"),
        ("gan", None, "gan: expected a section with keys of its own, got None"),
        ("target.use_unlabelled", "maybe", "target.use_unlabelled: expected true or false, got 'maybe'"),
        ("transfer.strategies", ["finetune", "finetune"], "finetune stands more than once"),
        ("transfer.strategies", ["fine_tune"], "fine_tune"),
        ("evaluation.arms", ["transferred_gan"], "at least one arm without a GAN"),
        ("evaluation.arms", ["real"], "transferred_gan or best_plus_gan"),
        ("evaluation.arms", ["self_trained", "best_plus_gan"], "needs target.use_unlabelled"),
        ("evaluation.arms", ["real", "scratch_gan", "synthetic_only"], "transferred_gan or best_plus_gan"),
        ("evaluation.arms", ["scratch_gan", "best_plus_gan"], "at least one arm without a GAN"),
        ("evaluation.arms", ["real", "filtered_plus_gan"], "filtered_plus_gan needs rules in synthesis.filter"),
        ("transfer.strategies", [{"name": "ewc", "alias": "scratch_gan"}], "scratch_gan is the name of an arm"),
        ("evaluation.trials", 1, "evaluation.trials: Input should be greater than or equal to 2, got 1"),
        ("evaluation.trials", 5, "evaluation.trials: Input should be less than or equal to 4, got 5"),
        ("evaluation.gan_seeds", 0, "evaluation.gan_seeds"),
        ("evaluation.classifier_seeds", 0, "evaluation.classifier_seeds"),
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


@pytest.mark.parametrize(
    ("target", "strategies", "arms", "told"),
    [
        ({"use_unlabelled": False}, ["finetune"], ["source_only"], "so use_unlabelled must be true"),
        ({}, ["finetune"], ["source_only", "best_plus_gan"], "finetune learns from labelled target images"),
        ({}, ["freeze_d", "finetune"], ["real", "transferred_gan"], "take strategies of translation"),
        (
            {},
            ["translate"],
            ["source_only", "transferred_gan"],
            "name best_plus_gan or adapted, and source_only, self_trained or info_max",
        ),
        (
            {},
            ["translate"],
            ["real", "best_plus_gan"],
            "name best_plus_gan or adapted, and source_only, self_trained or info_max",
        ),
    ],
)
def test_what_needs_labels_is_refused_without_any_and_the_user_is_told_what_to_do(
    tmp_path: Path, target: dict[str, Any], strategies: list[str], arms: list[str], told: str
) -> None:
    content = changed("transfer.strategies", strategies)
    content["target"] = {"dataset": "few", "labelled_per_class": 0, "use_unlabelled": True, **target}
    content["evaluation"] = {"arms": arms}
    with pytest.raises(InputError, match=told) as caught:
        load_experiment(written(tmp_path, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strategy", ["translate", "cycle", "contrast"])
def test_a_target_without_labels_is_taken_with_strategies_that_translate_the_source(
    tmp_path: Path, strategy: str
) -> None:
    content = changed("transfer.strategies", [strategy])
    content["target"] = {"dataset": "few", "labelled_per_class": 0, "use_unlabelled": True}
    content["evaluation"] = {"arms": ["source_only", "self_trained", "real_augmented", "best_plus_gan"]}
    assert not load_experiment(written(tmp_path, content)).target.has_labels


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError) as caught:
        load_experiment(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_list_with_a_wrong_element_is_not_called_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_experiment(written(tmp_path, changed("transfer.strategies", ["fine_tune"])))
    assert "at least 1 item" not in str(caught.value)


def test_numbers_and_words_are_read_by_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("a: 1e-3\nb: 010\nc: [no, yes, on]\nd: 1:30\ne: true\n")
    assert read_content(path) == {"a": 0.001, "b": 10, "c": ["no", "yes", "on"], "d": "1:30", "e": True}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("transfer: {strategies: [freeze_d], steps: 3}", 'line 3: found duplicate key "transfer"'),
        ("description: 2020-13-45", "month must be in 1..12"),
        ("description: !!int abc", "invalid literal"),
        (f"description: {'9' * 5000}", "digits"),
        (f"description: {'[' * 3000}", "recursion"),
        ("description: [", "line 3: expected the node content"),
    ],
)
def test_what_yaml_cannot_be_is_refused_in_one_line_that_names_the_file(tmp_path: Path, line: str, told: str) -> None:
    path = written(tmp_path, f"name: small\ntransfer: {{strategies: [finetune]}}\n{line}")
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert str(caught.value).startswith(f"{path}: not a YAML file: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no experiment file"):
        load_experiment(tmp_path / "none.yaml")


def test_an_experiment_cannot_be_changed() -> None:
    experiment = Experiment.model_validate(SMALLEST)
    with pytest.raises(ValueError, match="frozen"):
        experiment.gan.width = 64  # type: ignore[misc]


def test_a_strategy_s_own_classifier_is_only_compared_with_others_that_learned_for_as_many_steps(
    tmp_path: Path,
) -> None:
    content = changed("transfer.strategies", [{"name": "translate", "steps": 800}])
    content["evaluation"] = {"arms": ["real_augmented", "adapted"]}
    content["classifier"] = {"steps": 600}
    with pytest.raises(InputError, match=r"raise classifier\.steps from 600 to 800"):
        load_experiment(written(tmp_path, content))
    content["classifier"] = {"steps": 800}
    assert load_experiment(written(tmp_path, content)).classifier.steps == 800
