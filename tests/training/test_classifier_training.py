"""The classifier: it learns real digits, repeats itself, carries what it knows, and its file is safe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.classifier import Classifier
from gtl_core.training.batches import Batches, Pool, shared_out
from gtl_core.training.classifier import (
    Unlabelled,
    carry_over,
    load_classifier,
    new_classifier,
    predict,
    save_classifier,
    train_classifier,
    train_source_classifier,
)
from gtl_core.training.information import mutual_information

CONFIG = ClassifierConfig(width=8, steps=120, batch=32)


@pytest.fixture(scope="module")
def digits(tiny_digits: Path) -> ImageSet:
    return ImageSet.load(tiny_digits)


def pool(digits: ImageSet, split: str, weight: float = 1.0) -> Pool:
    rows = digits.indices(split)
    return Pool(np.array(digits.images[rows]), digits.labels[rows], weight)


def trained(digits: ImageSet, seed: int = 0, **options: object) -> Classifier:
    start = new_classifier(size=16, channels=1, width=CONFIG.width, classes=10, seed=seed)
    settings = {"steps": CONFIG.steps, "learning_rate": 1e-2, "augmented": True, "seed": seed} | options
    return train_classifier(start, [pool(digits, "train")], CONFIG, **settings)


def accuracy(model: Classifier, of: Pool) -> float:
    return float((predict(model, of.images).argmax(axis=1) == of.labels).mean())


def test_a_short_training_recognises_most_unseen_digits(digits: ImageSet):
    assert accuracy(trained(digits), pool(digits, "test")) > 0.8


@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_takes_every_size_and_colour_that_an_experiment_may_ask_for(size: int, channels: int):
    model = new_classifier(size=size, channels=channels, width=4, classes=3, seed=0).eval()
    assert model(torch.zeros(2, channels, size, size)).shape == (2, 3)


def test_the_same_seed_gives_the_same_file_and_another_seed_another(digits: ImageSet, tmp_path: Path):
    rows = digits.indices("train")
    images, labels = np.array(digits.images[rows]), digits.labels[rows]
    config = ClassifierConfig(width=4, source_steps=5, batch=16)
    hashes = [
        file_sha256(train_source_classifier(images, labels, digits.classes, config, seed, tmp_path / name))
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_source_classifier_that_diverges_is_not_saved_and_the_user_is_told_what_to_lower(
    digits: ImageSet, tmp_path: Path
):
    rows = digits.training_rows()
    config = ClassifierConfig(width=4, source_steps=8, batch=16, learning_rate=1e30)
    with pytest.raises(InputError, match=r"lower classifier\.learning_rate"):
        train_source_classifier(digits.images[rows], digits.labels[rows], digits.classes, config, 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_saved_classifier_predicts_the_same_and_knows_its_classes(digits: ImageSet, tmp_path: Path):
    model = trained(digits, steps=5)
    save_classifier(tmp_path / "c.safetensors", model, digits.classes)
    loaded, classes = load_classifier(tmp_path / "c.safetensors")
    images = pool(digits, "test").images
    assert classes == digits.classes
    np.testing.assert_array_equal(predict(loaded, images), predict(model, images))
    np.testing.assert_allclose(predict(model, images).sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_or_foreign_weight_file_is_named(content: bytes, tmp_path: Path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.safetensors"):
        load_classifier(path)
    with pytest.raises(InputError, match="absent"):
        load_classifier(tmp_path / "absent.safetensors")


def test_what_was_learned_of_a_class_is_carried_to_where_its_name_stands_now(digits: ImageSet):
    model = trained(digits, steps=20)
    turned = digits.classes[::-1]
    carried = carry_over(model.cpu(), digits.classes, (*turned, "new"), seed=0)
    images = pool(digits, "test").images
    before, after = predict(model, images), predict(carried, images)[:, :10]
    np.testing.assert_array_equal(before.argmax(axis=1), 9 - after.argmax(axis=1))


def test_training_leaves_the_classifier_that_it_began_with_as_it_was(digits: ImageSet):
    start = new_classifier(size=16, channels=1, width=4, classes=10, seed=0)
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    train_classifier(start, [pool(digits, "train")], CONFIG, steps=3, learning_rate=1e-2, augmented=False, seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.state_dict().items())


def test_the_checkpoint_that_the_judge_likes_best_is_given_and_the_later_of_equals(digits: ImageSet):
    seen: list[dict[str, torch.Tensor]] = []

    def judge(values: list[float]):
        def value(model: Classifier) -> tuple[float, ...]:
            seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
            return (values[(len(seen) - 1) % 4],)

        return value

    for values, chosen in (([1, 3, 2, 0], 1), ([1, 3, 3, 0], 2), ([0, 0, 0, 0], 3)):
        seen.clear()
        model = trained(digits, steps=10, judge=judge(values))
        assert len(seen) == 4
        assert all(torch.equal(tensor, seen[chosen][name]) for name, tensor in model.state_dict().items())


def test_confident_labels_of_its_own_help_where_few_are_labelled(digits: ImageSet):
    rows = digits.indices("train")
    few = np.concatenate([rows[digits.labels[rows] == label][:3] for label in range(10)])
    rest = np.array(digits.images[np.setdiff1d(rows, few)])
    labelled = Pool(np.array(digits.images[few]), digits.labels[few], 1.0)
    scores = []
    for unlabelled in (None, Unlabelled(rest, threshold=0.8, weight=2.0)):
        models = [
            train_classifier(
                new_classifier(size=16, channels=1, width=8, classes=10, seed=seed),
                [labelled],
                CONFIG,
                steps=200,
                learning_rate=1e-2,
                augmented=True,
                seed=seed,
                unlabelled=unlabelled,
            )
            for seed in range(3)
        ]
        scores.append(np.mean([accuracy(model, pool(digits, "test")) for model in models]))
    assert scores[1] > scores[0]


def test_no_confident_label_at_all_leaves_the_training_as_it_is(digits: ImageSet):
    unsure = Unlabelled(pool(digits, "test").images, threshold=1.1, weight=1.0)
    model = trained(digits, steps=10, unlabelled=unsure)
    assert np.isfinite(predict(model, pool(digits, "test").images)).all()


def test_images_of_another_label_set_do_not_move_the_rows_of_foreign_classes(digits: ImageSet):
    start = new_classifier(size=16, channels=1, width=4, classes=12, seed=0)
    own = pool(digits, "train")
    foreign = Pool(own.images, own.labels % 2 + 10, 1.0, columns=(10, 11))
    config = ClassifierConfig(width=4, batch=16, weight_decay=0.0)
    model = train_classifier(start, [foreign], config, steps=5, learning_rate=1e-2, augmented=False, seed=0)
    moved = (model.head.weight.cpu() - start.head.weight).abs().sum(dim=1) > 0
    assert not moved[:10].any()
    assert moved[10:].all()


def test_rare_classes_stand_in_batches_as_often_as_common_ones():
    labels = np.array([0] * 97 + [1] * 3)
    images = np.zeros((100, 1, 16, 16), np.uint8)
    rng = np.random.default_rng(0)
    batches = Batches([Pool(images, labels, 1.0)], batch=20, steps=200, classes=2, rng=rng, place=torch.device("cpu"))
    share = np.mean([batches.at(step)[1].float().mean().item() for step in range(200)])
    assert share == pytest.approx(0.5, abs=0.03)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(8, 256))
def test_a_batch_is_shared_out_whole_and_nobody_goes_without(weights: list[float], batch: int):
    counts = shared_out(batch, weights)
    assert sum(counts) == batch
    assert min(counts) >= 1
    if min(weights) / sum(weights) * batch >= 1:
        assert all(abs(c - w / sum(weights) * batch) <= 1 for c, w in zip(counts, weights, strict=True))


def test_a_batch_that_is_too_small_for_its_pools_is_refused():
    with pytest.raises(ValueError, match="cannot share out"):
        shared_out(2, [1.0, 1.0, 1.0])


def test_unlabelled_images_make_a_classifier_sure_and_even_without_any_label(digits):
    rest = pool(digits, "test").images
    options = {"threshold": 1.1, "weight": 1.0}
    plain, informed = (
        trained(digits, steps=40, unlabelled=Unlabelled(rest, **options, information=weight)) for weight in (0.0, 1.0)
    )

    def told(model):
        return mutual_information(torch.from_numpy(predict(model, rest)).log()).item()

    assert told(informed) > told(plain) + 0.1
