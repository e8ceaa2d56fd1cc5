"""Early verdicts: a strategy that clearly harms on validation is stopped, and hardly ever one that does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from pydantic import ValidationError
from small_study import copied, experiment, thick_digits

from gtl_core.config import TransferConfig
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.evaluation.pilot import compared, judge_pilots, note, stopped
from gtl_core.evaluation.statistics import Estimate
from gtl_core.evaluation.usefulness import Comparison
from gtl_core.training.classifier import train_source_classifier

DRAWS = 3
STUDIES = 1000


def estimate(value: float, low: float, high: float) -> Estimate:
    """One with an interval given; what else it holds does not matter here."""
    sure = compared(np.zeros((2, 4)), np.zeros((2, 4)), np.zeros(4, np.int64), resamples=100, seed=0)
    return Estimate(value, low, high, sure.error, sure.freedom, sure.p, sure.parts)


def test_a_pilot_takes_a_share_of_each_strategy_s_own_steps():
    strategies = ["finetune", {"name": "freeze_d", "steps": 10}, {"name": "translate", "steps": 3}]
    config = TransferConfig.model_validate({"strategies": strategies, "steps": 200, "pilot": 0.25})
    assert [config.piloted(strategy).steps for strategy in config.strategies] == [50, 2, 1]
    assert [config.piloted(strategy).label for strategy in config.strategies] == ["finetune", "freeze_d", "translate"]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_pilot_is_a_part_of_the_transfer(share: float):
    with pytest.raises(ValidationError):
        TransferConfig.model_validate({"strategies": ["finetune", "freeze_d"], "pilot": share})


def test_a_pilot_of_one_strategy_could_stop_nothing_and_is_refused():
    with pytest.raises(ValidationError, match="one strategy is never stopped"):
        TransferConfig.model_validate({"strategies": ["finetune"], "pilot": 0.25})


def test_a_strategy_is_stopped_where_its_whole_interval_is_below_zero():
    outcomes = stopped(
        {"good": estimate(0.02, -0.01, 0.05), "bad": estimate(-0.081, -0.12, -0.04), "dim": estimate(-0.05, -0.2, 0.1)},
        "balanced_accuracy",
    )
    assert {outcome.strategy: outcome.reason for outcome in outcomes} == {
        "good": None,
        "bad": "stopped after its pilot: −8.1 points on validation (−12.0 to −4.0)",
        "dim": None,
    }
    assert note(outcomes) is None


def test_where_all_are_losing_the_best_goes_on_and_that_is_said():
    outcomes = stopped({"worse": estimate(-0.2, -0.3, -0.1), "bad": estimate(-0.1, -0.15, -0.05)}, "accuracy")
    assert [outcome.strategy for outcome in outcomes if outcome.reason] == ["worse"]
    assert "bad, the best of them, goes on so that there is a verdict" in str(note(outcomes))
    alone = stopped({"only": estimate(-0.1, -0.15, -0.05)}, "accuracy")
    assert alone[0].losing
    assert alone[0].reason is None


def test_without_labels_the_reason_is_told_in_what_the_judge_measures():
    values = {"bad": estimate(-0.125, -0.2, -0.05), "good": estimate(0.0, -0.1, 0.1)}
    reason = stopped(values, "mutual_information")[0].reason
    assert reason == "stopped after its pilot: −0.125 in mutual information on validation (−0.200 to −0.050)"


def test_one_value_a_draw_gives_student_s_interval_over_the_draws():
    from scipy.stats import ttest_1samp

    first, second = np.array([[0.2], [0.5], [0.1], [0.4]]), np.array([[0.3], [0.9], [0.2], [0.9]])
    found = compared(first, second, None, resamples=100, seed=0)
    known = ttest_1samp((first - second)[:, 0], 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.p == pytest.approx(known.pvalue)


@pytest.mark.parametrize("shared", [False, True], ids=["own validation images", "the same validation images"])
@pytest.mark.parametrize("draws", [2, 3, 5])
def test_a_strategy_that_makes_no_difference_is_stopped_in_at_most_5_percent(draws: int, shared: bool):
    """Images differ in how hard they are, draws in how well both classifiers do and in which of the two is better."""
    rng, per_class, classes = np.random.default_rng([7, draws, shared]), 5, 10
    labels = np.repeat(np.arange(classes), per_class)
    stops = 0
    for study in range(STUDIES):
        hard = rng.normal(0.0, 1.0, (1 if shared else draws, len(labels)))
        level = 1.5 + rng.normal(0.0, 0.3, (draws, 1)) + hard
        one, other = (level + rng.normal(0.0, 0.2, (draws, 1)) > rng.logistic(size=level.shape) for _ in range(2))
        stops += compared(one, other, labels, resamples=100, seed=study).high < 0
    assert stops / STUDIES <= 0.05


def test_a_strategy_that_loses_ten_points_is_mostly_stopped_with_five_draws():
    rng, labels = np.random.default_rng(3), np.repeat(np.arange(10), 10)
    stops = 0
    for study in range(100):
        level = 1.5 + rng.normal(0.0, 1.0, (5, 100))
        one, other = level - 0.9 > rng.logistic(size=level.shape), level > rng.logistic(size=level.shape)
        stops += compared(one, other, labels, resamples=100, seed=study).high < 0
    assert stops > 70


def written(folder: Path, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Path:
    """A synthetic set of these images."""
    extra = {"generator_sha256": str, "seed": int, "class": str}
    with ImageSetWriter(folder, classes, {}, extra) as writer:
        for image, label in zip(images, labels, strict=True):
            told = {"generator_sha256": "f" * 64, "seed": 0, "class": classes[label]}
            writer.add(image, label=int(label), extra=told)
    return folder


class Pilots:
    """What pilots are judged with: a strategy with new real images of the target, and one with wrong classes."""

    def __init__(self, digits: Path, folder: Path, labelled: int) -> None:
        arms = ("source_only", "self_trained", "best_plus_gan")
        self.experiment = experiment(arms, labelled, draws=DRAWS)
        self.folder, target = folder, ImageSet.load(digits)
        self.source = thick_digits(target, folder / "thick", target.classes)
        source = ImageSet.load(self.source)
        self.classifier = train_source_classifier(
            np.array(source.images), source.labels, source.classes, self.experiment.classifier, 0, folder / "source"
        )
        self.draws: list[Draw] = make_draws(target, labelled, 10, 0.3, DRAWS, 0)
        self.synthetic: dict[str, list[Path]] = {"good": [], "bad": []}
        for index, draw in enumerate(self.draws):
            images, labels = np.array(target.images[draw.unlabelled]), target.labels[draw.unlabelled]
            for name, of_name in (("good", labels), ("bad", (labels + 1 + index) % 10)):
                place = folder / "synthetic" / f"{name}-{index}"
                self.synthetic[name].append(written(place, images, of_name, target.classes))

    def judged(self, target: Path, name: str) -> Any:
        with joblib.parallel_config(backend="sequential"):
            comparison = Comparison(self.experiment, self.source, target, self.draws, self.classifier, self.synthetic)
            judge_pilots(comparison, {"wild": "it diverged"}, self.folder / name)
        return json.loads((self.folder / name / "pilot.json").read_text())


@pytest.fixture(scope="module")
def pilots(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Pilots:
    return Pilots(tiny_digits, tmp_path_factory.mktemp("pilots"), 5)


@pytest.fixture(scope="module")
def record(pilots: Pilots, tiny_digits: Path) -> Any:
    return pilots.judged(tiny_digits, "labelled")


def test_wrong_classes_are_stopped_new_real_images_go_on_and_a_failed_pilot_is_not_judged(record: Any):
    found = {row["strategy"]: row for row in record["strategies"]}
    assert found["bad"]["reason"].startswith("stopped after its pilot: −")
    assert found["bad"]["high"] < 0.0
    assert found["good"]["reason"] is None
    assert found["good"]["difference"] > found["bad"]["difference"]
    assert record["unjudged"] == {"wild": "it diverged"}
    assert record["base"] == "source_finetuned"
    assert record["note"] is None


def test_test_images_and_the_labels_of_the_pool_make_no_difference(
    pilots: Pilots, record: Any, tiny_digits: Path, tmp_path: Path
):
    digits = ImageSet.load(tiny_digits)
    pool = set.intersection(*(set(draw.unlabelled.tolist()) for draw in pilots.draws))

    def other(row: int, split: str) -> tuple[np.ndarray, int]:
        image, label = np.array(digits.images[row]), int(digits.labels[row])
        if split == "test":
            return 255 - image, (label + 1) % 10
        return image, (label + 1) % 10 if row in pool else label

    changed = copied(digits, tmp_path / "tiny-digits", other)
    assert pilots.judged(changed, "changed") == record


def test_without_labels_the_judge_s_own_value_decides_and_validation_labels_are_not_read(
    tiny_digits: Path, tmp_path: Path
):
    unlabelled, digits = Pilots(tiny_digits, tmp_path, 0), ImageSet.load(tiny_digits)
    before = unlabelled.judged(tiny_digits, "before")
    assert before["base"] == "self_trained"
    assert len(before["strategies"]) == 2

    def relabelled(row: int, split: str) -> tuple[np.ndarray, int]:
        return np.array(digits.images[row]), (int(digits.labels[row]) + 3) % 10

    changed = copied(digits, tmp_path / "tiny-digits", relabelled)
    assert unlabelled.judged(changed, "after") == before
