"""Few-shot draws keep their promises for every set that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.errors import InputError

PARTS = ("labelled", "unlabelled", "validation", "test")


def image_set(labels: list[int], splits: list[str], groups: list[str], pixels: list[int]) -> ImageSet:
    """A set in memory, where equal numbers in `pixels` are equal pictures."""
    classes = tuple(str(label) for label in range(max(labels) + 1))
    manifest = pd.DataFrame(
        {"label": labels, "split": splits, "group": groups, "sha256": [f"{p:064x}" for p in pixels]}
    )
    return ImageSet("toy", np.zeros((len(labels), 1, 2, 2), np.uint8), manifest, classes, {})


def plain(per_class: int, classes: int = 3, split: str = "") -> ImageSet:
    count = per_class * classes
    return image_set([i % classes for i in range(count)], [split] * count, [""] * count, list(range(count)))


def without_labels(images: ImageSet, rows: np.ndarray) -> ImageSet:
    """The set with the labels of those rows taken away that may be without one."""
    labels = images.labels.copy()
    labels[rows[images.manifest["split"].iloc[rows].isin(["train", ""])]] = UNLABELLED
    return replace(images, manifest=images.manifest.assign(label=labels))


@st.composite
def sets(draw: st.DrawFn) -> ImageSet:
    count = draw(st.integers(40, 120))
    labels = [i % 2 for i in range(count)]
    splits = draw(
        st.lists(
            st.sampled_from(draw(st.sampled_from([("",), ("train", "test"), ("train", "val", "test")]))),
            min_size=count,
            max_size=count,
        )
    )
    groups = draw(
        st.lists(st.sampled_from(["", "", ""] + [f"g{i}" for i in range(12)]), min_size=count, max_size=count)
    )
    pixels = draw(st.lists(st.integers(0, 3 * count), min_size=count, max_size=count))
    return image_set(labels, splits, groups, pixels)


@settings(max_examples=100, deadline=None)
@given(images=sets(), seed=st.integers(0, 5), labelled=st.integers(1, 4), validation=st.integers(1, 3))
def test_no_group_and_no_picture_stands_on_two_sides_of_a_draw(
    images: ImageSet, seed: int, labelled: int, validation: int
) -> None:
    try:
        draws = make_draws(images, labelled, validation, 0.3, draws=2, seed=seed)
    except InputError:
        assume(False)
    for draw in draws:
        sides = [np.concatenate([draw.labelled, draw.unlabelled]), draw.validation, draw.test]
        assert len(np.unique(np.concatenate(sides))) == sum(map(len, sides))
        assert not np.intersect1d(draw.labelled, draw.unlabelled).size
        for column in ("group", "sha256"):
            values = [set(images.manifest[column].iloc[side]) - {""} for side in sides]
            assert not values[0] & values[1]
            assert not values[0] & values[2]
            assert not values[1] & values[2]
        assert np.bincount(images.labels[draw.labelled], minlength=2).tolist() == [labelled] * 2
        assert np.bincount(images.labels[draw.validation], minlength=2).tolist() == [validation] * 2
        assert set(images.manifest["split"].iloc[sides[0]]) <= {"train", ""}


@settings(max_examples=20, deadline=None)
@given(images=sets(), seed=st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_draws(images: ImageSet, seed: int) -> None:
    try:
        first, again = (make_draws(images, 2, 2, 0.3, draws=2, seed=seed) for _ in range(2))
    except InputError:
        assume(False)
    for one, other in zip(first, again, strict=True):
        assert one.seed == other.seed
        assert all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def test_a_set_with_a_test_part_is_tested_on_all_of_it_and_on_nothing_else() -> None:
    images = image_set([0, 1] * 30, ["train"] * 40 + ["test"] * 20, [""] * 60, list(range(60)))
    for draw in make_draws(images, 3, 3, 0.3, draws=3, seed=1):
        assert draw.test.tolist() == list(range(40, 60))
        assert len(draw.unlabelled) == 40 - 12


def test_without_a_test_part_the_same_stratified_share_is_held_out_for_all_draws() -> None:
    draws = make_draws(plain(50), 5, 5, 0.3, draws=3, seed=1)
    assert np.bincount(plain(50).labels[draws[0].test]).tolist() == [15, 15, 15]
    assert all(np.array_equal(draw.test, draws[0].test) for draw in draws)


def test_draws_differ_from_each_other_in_images_and_seed() -> None:
    draws = make_draws(plain(50), 5, 5, 0.3, draws=4, seed=1)
    assert len({tuple(draw.labelled) for draw in draws}) == 4
    assert len({draw.seed for draw in draws}) == 4


def test_what_is_repeated_on_a_draw_has_a_seed_of_its_own_and_what_is_not_has_the_draw_s() -> None:
    draws = make_draws(plain(50), 5, 5, 0.3, draws=4, seed=1)
    assert [draw.repetition_seed(0) for draw in draws] == [draw.seed for draw in draws]
    assert len({draw.repetition_seed(repetition) for draw in draws for repetition in range(5)}) == 20


def test_more_draws_leave_the_earlier_ones_as_they_were() -> None:
    few, many = (make_draws(plain(50), 5, 5, 0.3, draws=count, seed=1) for count in (2, 5))
    assert all(np.array_equal(a.labelled, b.labelled) for a, b in zip(few, many, strict=False))


def test_validation_comes_from_the_sets_own_validation_part() -> None:
    images = image_set([0, 1] * 45, ["train"] * 40 + ["val"] * 30 + ["test"] * 20, [""] * 90, list(range(90)))
    for draw in make_draws(images, 5, 5, 0.3, draws=3, seed=1):
        assert set(draw.validation) <= set(range(40, 70))
        assert len(draw.unlabelled) == 30


def test_a_training_picture_that_is_in_the_test_part_too_is_not_trained_on() -> None:
    pixels = [*range(40), 0, 1, *range(100, 118)]
    images = image_set([0, 1] * 30, ["train"] * 40 + ["test"] * 20, [""] * 60, pixels)
    for draw in make_draws(images, 3, 3, 0.3, draws=5, seed=1):
        assert not {0, 1} & (set(draw.labelled) | set(draw.unlabelled) | set(draw.validation))


def test_a_class_with_too_few_images_is_named_with_what_was_asked_for() -> None:
    images = image_set(
        [0] * 40 + [1] * 9, ["train"] * 30 + ["test"] * 10 + ["train"] * 5 + ["test"] * 4, [""] * 49, list(range(49))
    )
    with pytest.raises(InputError, match=r"class '1' has 5 images in the training part, and labelled_per_class 4 and"):
        make_draws(images, 4, 2, 0.3, draws=1, seed=0)


def test_a_class_that_the_test_part_lacks_is_an_error() -> None:
    images = image_set([0, 1] * 20 + [0] * 9, ["train"] * 40 + ["test"] * 9, [""] * 49, list(range(49)))
    with pytest.raises(InputError, match="class '1' has 0 images in the test part"):
        make_draws(images, 2, 2, 0.3, draws=1, seed=0)


@settings(max_examples=100, deadline=None)
@given(images=sets(), seed=st.integers(0, 5), validation=st.integers(1, 3), other=st.integers(0, 2**31 - 1))
def test_without_labelled_images_no_label_outside_the_test_part_moves_a_draw(
    images: ImageSet, seed: int, validation: int, other: int
) -> None:
    try:
        draws = make_draws(images, 0, validation, 0.3, draws=2, seed=seed)
    except InputError:
        assume(False)
    labels = images.labels.copy()
    rows = np.setdiff1d(np.arange(len(images)), draws[0].test)
    labels[rows] = labels[np.random.default_rng(other).permutation(rows)]
    relabelled = replace(images, manifest=images.manifest.assign(label=labels))
    for one, other in zip(draws, make_draws(relabelled, 0, validation, 0.3, draws=2, seed=seed), strict=True):
        assert one.seed == other.seed
        assert all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


@settings(max_examples=100, deadline=None)
@given(images=sets(), seed=st.integers(0, 5), validation=st.integers(1, 3))
def test_without_labelled_images_validation_is_as_large_and_shares_no_unit_with_the_pool_or_the_test_part(
    images: ImageSet, seed: int, validation: int
) -> None:
    try:
        draws = make_draws(images, 0, validation, 0.3, draws=2, seed=seed)
    except InputError:
        assume(False)
    for draw in draws:
        assert not len(draw.labelled)
        assert len(draw.unlabelled)
        assert len(draw.validation) == 2 * validation
        sides = [draw.unlabelled, draw.validation, draw.test]
        assert len(np.unique(np.concatenate(sides))) == sum(map(len, sides))
        for column in ("group", "sha256"):
            values = [set(images.manifest[column].iloc[side]) - {""} for side in sides]
            assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
        assert set(images.manifest["split"].iloc[draw.unlabelled]) <= {"train", ""}


def test_without_labelled_images_a_training_part_of_one_class_is_drawn_from_all_the_same() -> None:
    images = image_set([0] * 40 + [0, 1] * 10, ["train"] * 40 + ["test"] * 20, [""] * 60, list(range(60)))
    for draw in make_draws(images, 0, 5, 0.3, draws=3, seed=1):
        assert (len(draw.validation), len(draw.unlabelled), len(draw.test)) == (10, 30, 20)


def test_without_labelled_images_and_a_test_part_a_share_of_all_images_is_held_out() -> None:
    draws = make_draws(plain(50), 0, 5, 0.3, draws=3, seed=1)
    assert len(draws[0].test) == 45
    assert all(np.array_equal(draw.test, draws[0].test) for draw in draws)


def test_without_labelled_images_too_few_for_validation_or_for_the_pool_are_told() -> None:
    images = image_set([0, 1] * 30, ["train"] * 40 + ["test"] * 20, [""] * 60, list(range(60)))
    with pytest.raises(InputError, match="40 images can be drawn, and validation_per_class 21 for 2 classes needs 42"):
        make_draws(images, 0, 21, 0.3, draws=1, seed=0)
    with pytest.raises(InputError, match="no image is left to learn from beside 40 for validation and 20 for test"):
        make_draws(images, 0, 20, 0.3, draws=1, seed=0)


@settings(max_examples=100, deadline=None)
@given(
    images=sets(),
    seed=st.integers(0, 5),
    labelled=st.integers(0, 2),
    validation=st.integers(1, 2),
    lost=st.lists(st.booleans(), min_size=120, max_size=120),
)
def test_images_without_label_are_in_the_pool_and_nothing_is_learned_or_judged_by_them(
    images: ImageSet, seed: int, labelled: int, validation: int, lost: list[bool]
) -> None:
    images = without_labels(images, np.flatnonzero(lost[: len(images)]))
    unlabelled = np.flatnonzero(images.labels == UNLABELLED)
    shared = (images.manifest["group"] != "") | images.manifest["sha256"].duplicated(keep=False)
    alone = np.setdiff1d(unlabelled, np.flatnonzero(shared))
    try:
        draws = make_draws(images, labelled, validation, 0.3, draws=2, seed=seed)
    except InputError:
        assume(False)
    for draw in draws:
        judging = [draw.labelled, draw.test, *([draw.validation] if labelled else [])]
        assert not np.intersect1d(np.concatenate(judging), unlabelled).size
        assert np.bincount(images.labels[draw.labelled], minlength=2).tolist() == [labelled] * 2
        assert len(draw.validation) == 2 * validation
        # None is left out but for a picture or a group that it shares with an image that judges.
        assert set(alone) <= {*draw.unlabelled, *draw.validation}


def test_without_labelled_images_the_pool_and_validation_may_be_all_without_label() -> None:
    images = image_set([0, 1] * 30, ["train"] * 40 + ["test"] * 20, [""] * 60, list(range(60)))
    blind = without_labels(images, np.arange(40))
    for draw, seeing in zip(
        make_draws(blind, 0, 5, 0.3, draws=3, seed=1), make_draws(images, 0, 5, 0.3, draws=3, seed=1), strict=True
    ):
        assert all(np.array_equal(getattr(draw, part), getattr(seeing, part)) for part in PARTS)
        assert (len(draw.validation), len(draw.unlabelled), len(draw.test)) == (10, 30, 20)


def test_without_a_test_part_only_labelled_images_are_held_out() -> None:
    images = without_labels(plain(50), np.arange(60, 150))
    for labelled in (0, 5):
        draw = make_draws(images, labelled, 5, 0.3, draws=1, seed=1)[0]
        assert len(draw.test) == 18
        assert draw.test.max() < 60
        assert set(range(60, 150)) <= set(draw.unlabelled) | (set() if labelled else set(draw.validation))


def test_labelled_images_of_a_training_part_without_labels_are_refused_with_what_to_do() -> None:
    images = image_set([0, 1] * 30, ["train"] * 40 + ["test"] * 20, [""] * 60, list(range(60)))
    with pytest.raises(InputError, match="no image of its training part has a label, and labelled_per_class is 3; mak"):
        make_draws(without_labels(images, np.arange(40)), 3, 2, 0.3, draws=1, seed=0)


@pytest.mark.parametrize("labelled", [2, 0])
def test_a_saved_draw_is_read_back_as_it_was(tmp_path: Path, labelled: int) -> None:
    draw = make_draws(plain(20), labelled, 2, 0.3, draws=1, seed=3)[0]
    draw.save(tmp_path / "0.json")
    again = Draw.load(tmp_path / "0.json")
    assert again.seed == draw.seed
    for part in PARTS:
        assert np.array_equal(getattr(again, part), getattr(draw, part))
        assert getattr(again, part).dtype == np.int64
