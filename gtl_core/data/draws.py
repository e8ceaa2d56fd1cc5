"""Few-shot draws: which images of the target are labelled, unlabelled, for validation and for test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.errors import InputError
from gtl_core.files import read_json, write_json

Indices = npt.NDArray[np.int64]

_PARTS = ("labelled", "unlabelled", "validation", "test")
_TEST_STREAM, _DRAW_STREAM, _SEED_STREAM, _REPETITION_STREAM = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Draw:
    """One few-shot draw: ascending rows of the target set, no row in two parts.

    Attributes:
        seed: seed of what is trained on this draw; differs from draw to draw.
        labelled: rows whose labels may be trained on: exactly as many a class as were asked for.
        unlabelled: the rest of the training part, whose labels may not be looked at, with all images that have none.
        validation: rows that choices are made on: exactly as many a class as were asked for, or, where no row is
            labelled, so many times the number of classes, of whichever classes.
        test: rows that the evaluation opens once; the same in all draws.
    """

    seed: int
    labelled: Indices
    unlabelled: Indices
    validation: Indices
    test: Indices

    def repetition_seed(self, repetition: int) -> int:
        """Seed of what is trained on this draw for the first time, which is 0, or again."""
        return _derived_seed(self.seed, _REPETITION_STREAM, repetition) if repetition else self.seed

    def save(self, path: Path) -> None:
        """Writes the draw as JSON."""
        write_json(path, {"seed": self.seed, **{part: getattr(self, part).tolist() for part in _PARTS}})

    @classmethod
    def load(cls, path: Path) -> Draw:
        """Reads a draw that `save` wrote."""
        content = read_json(path)
        return cls(int(content["seed"]), *(np.array(content[part], np.int64) for part in _PARTS))


def make_draws(
    images: ImageSet,
    labelled_per_class: int,
    validation_per_class: int,
    test_fraction: float,
    draws: int,
    seed: int,
) -> list[Draw]:
    """Draws labelled and validation images, stratified by class, several times over one test part.

    Images of one `group`, and images with the same pixels, are one unit: no unit stands on two sides. The test part is
    the set's own, or else a stratified share of units, the same for all draws. Validation images come from the set's
    own `val` part where it has one.

    Images without label are in the pool; labelled rows, the test part, and the validation images of a draw with
    labelled rows are drawn among the others.

    With no labelled images nothing is stratified: which image goes where does not depend on any label, as it could not
    where there are none. Validation images then may be without label too.

    Args:
        images: the target set.
        labelled_per_class: labelled images in each class; may be 0.
        validation_per_class: validation images in each class; with no labelled images, in all divided by classes.
        test_fraction: share of each class that is held out where the set has no test part; with no labelled images,
            share of all images that have a label.
        draws: how many draws.
        seed: of everything that is drawn.

    Raises:
        InputError: a class has too few images, or too few units that can be kept apart; or labelled images are asked
            for and the training part has none.
    """
    units = _units(images)
    test = images.indices("test")
    official_validation = images.indices("val")
    training = np.sort(np.concatenate([images.indices("train"), images.indices("")]))
    if not len(test):
        rng = np.random.default_rng([seed, _TEST_STREAM])
        free = _having_labels(images, np.setdiff1d(training, _sharing(units, official_validation, training)))
        if labelled_per_class:
            test = _held_out(images, free, test_fraction, rng)
        else:
            test = _whole_units(free, units, round(len(free) * test_fraction), rng)
    _require_every_class(images, test, 1, "test")
    # What shares a unit with the test part, or with an official validation part, is on neither side.
    training = np.setdiff1d(training, _sharing(units, test, training))
    official_validation = np.setdiff1d(official_validation, _sharing(units, test, official_validation))
    training = np.setdiff1d(training, _sharing(units, official_validation, training))
    known = _having_labels(images, training)
    if labelled_per_class and len(training) and not len(known):
        raise InputError(
            f"{images.name}: no image of its training part has a label, and labelled_per_class is "
            f"{labelled_per_class}; make it 0 and use_unlabelled true, or label some images"
        )

    result = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, _DRAW_STREAM, draw])
        if not labelled_per_class:
            labelled = np.empty(0, np.int64)
            among = official_validation if len(official_validation) else training
            validation = _take_any(images, among, units, validation_per_class, rng)
            unlabelled = np.setdiff1d(training, _sharing(units, validation, training))
            if not len(unlabelled):
                raise InputError(
                    f"{images.name}: no image is left to learn from beside {len(validation)} for validation and "
                    f"{len(test)} for test; lower validation_per_class, or import more images"
                )
        elif len(official_validation):
            labelled = _take(images, known, units, labelled_per_class, rng, "labelled_per_class")
            validation = _take(images, official_validation, units, validation_per_class, rng, "validation_per_class")
            unlabelled = np.setdiff1d(training, labelled)
        else:
            _require_every_class(
                images,
                known,
                labelled_per_class + validation_per_class,
                "training",
                f"labelled_per_class {labelled_per_class} and validation_per_class {validation_per_class}",
            )
            labelled = _take(images, known, units, labelled_per_class, rng, "labelled_per_class")
            rest = np.setdiff1d(known, _sharing(units, labelled, known))
            validation = _take(images, rest, units, validation_per_class, rng, "validation_per_class")
            unlabelled = np.setdiff1d(training, labelled)
            unlabelled = np.setdiff1d(unlabelled, _sharing(units, validation, unlabelled))
        result.append(Draw(_derived_seed(seed, _SEED_STREAM, draw), labelled, unlabelled, validation, test))
    return result


def _derived_seed(*entropy: int) -> int:
    """A seed of 31 bits that other numbers give."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0]) & 0x7FFFFFFF


def _units(images: ImageSet) -> Indices:
    """Number of the unit of every image: int64 (N,).

    Units are the connected components of "has the same pixels" and "is of the same group".
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(images)
    pixels = np.unique(images.manifest["sha256"].to_numpy(dtype=str), return_inverse=True)[1]
    groups = images.manifest["group"].to_numpy(dtype=str)
    grouped = np.flatnonzero(groups != "")
    links = [(np.arange(count), count + pixels)]
    total = count + int(pixels.max()) + 1
    if len(grouped):
        numbers = np.unique(groups[grouped], return_inverse=True)[1]
        links.append((grouped, total + numbers))
        total += int(numbers.max()) + 1
    rows, columns = (np.concatenate(side) for side in zip(*links, strict=True))
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(total, total))
    found: Indices = connected_components(graph, directed=False)[1][:count].astype(np.int64)
    return found


def _having_labels(images: ImageSet, rows: Indices) -> Indices:
    """Those of `rows` that somebody has labelled."""
    return np.setdiff1d(rows, np.flatnonzero(images.labels == UNLABELLED))


def _sharing(units: Indices, rows: Indices, among: Indices) -> Indices:
    """Those of `among` that share a unit with one of `rows`."""
    return among[np.isin(units[among], units[rows])]


def _in_random_units(rows: Indices, units: Indices, rng: np.random.Generator) -> list[Indices]:
    """`rows` by unit, the units in random order."""
    names, inverse = np.unique(units[rows], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    ends = np.cumsum(np.bincount(inverse, minlength=len(names)))
    members = rows[order]
    return [members[ends[unit - 1] if unit else 0 : ends[unit]] for unit in rng.permutation(len(names))]


def _held_out(images: ImageSet, training: Indices, fraction: float, rng: np.random.Generator) -> Indices:
    """A test part of whole units: a unit goes in while its commonest class still lacks images there."""
    labels = images.labels
    classes = len(images.classes)
    wanted = np.round(np.bincount(labels[training], minlength=classes) * fraction).astype(np.int64)
    taken: list[Indices] = []
    for unit in _in_random_units(training, _units(images), rng):
        counts = np.bincount(labels[unit], minlength=classes)
        if wanted[counts.argmax()] > 0:
            wanted -= counts
            taken.append(unit)
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)


def _take(
    images: ImageSet, rows: Indices, units: Indices, per_class: int, rng: np.random.Generator, option: str
) -> Indices:
    """Exactly `per_class` of `rows` in each class, from as few units as come first in random order."""
    labels = images.labels
    lacking = np.full(len(images.classes), per_class, np.int64)
    taken: list[int] = []
    for unit in _in_random_units(rows, units, rng):
        for row in rng.permutation(unit):
            if lacking[labels[row]]:
                lacking[labels[row]] -= 1
                taken.append(int(row))
        if not lacking.any():
            return np.sort(np.array(taken, np.int64))
    short = int(lacking.argmax())
    raise InputError(
        f"{images.name}: class {images.classes[short]!r} has {per_class - lacking[short]} images that can be drawn, "
        f"fewer than {option} {per_class}; lower it, or import more images"
    )


def _whole_units(rows: Indices, units: Indices, count: int, rng: np.random.Generator) -> Indices:
    """Whole units of `rows` in random order, `count` images or the few more that the last unit brings."""
    taken: list[int] = []
    for unit in _in_random_units(rows, units, rng):
        if len(taken) >= count:
            break
        taken.extend(unit.tolist())
    return np.sort(np.array(taken, np.int64))


def _take_any(images: ImageSet, rows: Indices, units: Indices, per_class: int, rng: np.random.Generator) -> Indices:
    """As many of `rows` as validation needs, of whichever classes, from as few units as come first in random order."""
    count = per_class * len(images.classes)
    if len(rows) < count:
        raise InputError(
            f"{images.name}: {len(rows)} images can be drawn, and validation_per_class {per_class} for "
            f"{len(images.classes)} classes needs {count}; lower it, or import more images"
        )
    found = np.concatenate([rng.permutation(unit) for unit in _in_random_units(rows, units, rng)])
    return np.sort(found[:count])


def _require_every_class(images: ImageSet, rows: Indices, needed: int, part: str, why: str = "") -> None:
    """Refuses a part in which a class has fewer images than are needed."""
    counts = np.bincount(images.labels[rows], minlength=len(images.classes))
    short = int(counts.argmin())
    if counts[short] < needed:
        reason = f", and {why} need {needed}" if why else f", it needs {needed}"
        raise InputError(
            f"{images.name}: class {images.classes[short]!r} has {counts[short]} images in the {part} part{reason}; "
            "lower it, or import more images"
        )
