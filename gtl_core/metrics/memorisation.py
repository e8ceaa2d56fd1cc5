"""Whether a generator gives its training images away: distances, copies, and how well an onlooker can name them.

All of it is a screen and no guarantee: it finds what is near in the extractor's features, and nothing else. What makes
it fair is the yardstick: held-out real images of the same law, which the generator never saw.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError
from gtl_core.metrics.neighbours import nearest

Features = npt.NDArray[np.floating]

NEAR = 0.01
"""Share of fresh real images that stand nearer to a training image than what counts as a near copy."""

_MATCHES = 10
_MATCHED_ROWS = 5000
_MOST_RATIO = 100.0
_CELL_ROWS = 25
_MOST_CELLS = 10
_LEAST_IN_CELL = 10
_BOOTSTRAP = 1000


@dataclass(frozen=True, eq=False)
class Seen:
    """Images that matter to the memorisation of one generator, as features.

    Attributes:
        synthetic: (M, F), what it drew.
        train: (N, F), the target images that it learned from.
        held_out: (H, F), target images that it never saw.
        carried: (C, F), source images that it carries inside, as a translator does; for other generators none.
        train_labels: int64 (N,), or None where they may not be looked at.
        held_out_labels: int64 (H,), or None.
    """

    synthetic: Features
    train: Features
    held_out: Features
    carried: Features
    train_labels: npt.NDArray[np.int64] | None = None
    held_out_labels: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Memorised:
    """What one generator gives away.

    Attributes:
        distance_ratio: median over the synthetic images of the distance to the nearest training image over that to the
            nearest held-out one, among as many of each; 1 where it knows no more of the one than of the other.
        authenticity: share of the synthetic images that are not nearer to a training image than its own nearest
            training image is (Alaa et al. 2022).
        authenticity_held_out: the same of the held-out images: what images have that nobody copied.
        c_t: the test of Meehan et al. (2020); far below 0 where it copies, far above where it underfits.
        membership_auc: how well the distance to the nearest synthetic image tells training from held-out images.
        auc_samples: (B,), bootstrap values of that.
        auc_deviation: its standard deviation where training and held-out images cannot be told apart.
        tpr_at_1_fpr: share of the training images that it names while it names 1 % of the held-out ones falsely.
        exact_copies: synthetic images with just the pixels of a training or carried image.
        near_copies: from `count_near_copies`, of training and carried images.
        synthetic: how many synthetic images there are.
        held_out: how many held-out images there are.
        distances_train: float32 (M,), to the nearest of some training images.
        distances_held_out: float32 (M,), to the nearest of as many held-out images of the same classes.
    """

    distance_ratio: float
    authenticity: float
    authenticity_held_out: float
    c_t: float
    membership_auc: float
    auc_samples: npt.NDArray[np.float64]
    auc_deviation: float
    tpr_at_1_fpr: float
    exact_copies: int
    near_copies: int
    synthetic: int
    held_out: int
    distances_train: npt.NDArray[np.float32]
    distances_held_out: npt.NDArray[np.float32]


def memorised(seen: Seen, exact_copies: int, seed: int) -> Memorised:
    """Measures what one generator gives away.

    Args:
        seen: the images.
        exact_copies: from `count_exact_copies`.
        seed: of matches, cells and bootstrap.

    Raises:
        InputError: there are fewer than two training images, or no held-out or synthetic one.
    """
    if len(seen.train) < 2 or not len(seen.held_out) or not len(seen.synthetic):
        raise InputError(
            f"memorisation needs two training, one held-out and one synthetic image, and there are {len(seen.train)}, "
            f"{len(seen.held_out)} and {len(seen.synthetic)}"
        )
    to_train, which = _nearest_one(seen.synthetic, seen.train)
    held_to_train, held_which = _nearest_one(seen.held_out, seen.train)
    own = nearest(seen.train, seen.train, 1, exclude_self=True)[0][:, 0]
    matched = [[_nearest_one(seen.synthetic, part)[0] for part in pair] for pair in _matches(seen, seed)]
    to_known, held_to_known = to_train, held_to_train
    if len(seen.carried):
        to_known = np.minimum(to_train, _nearest_one(seen.synthetic, seen.carried)[0])
        held_to_known = np.minimum(held_to_train, _nearest_one(seen.held_out, seen.carried)[0])
    members = -_nearest_one(seen.train, seen.synthetic)[0]
    others = -_nearest_one(seen.held_out, seen.synthetic)[0]
    return Memorised(
        distance_ratio=_ratio(matched),
        authenticity=float((to_train > own[which]).mean()),
        authenticity_held_out=float((held_to_train > own[held_which]).mean()),
        c_t=c_t(seen.synthetic, seen.train, seen.held_out, to_train, held_to_train, seed),
        membership_auc=auc(members, others),
        auc_samples=bootstrap_auc(members, others, seed),
        auc_deviation=float(np.sqrt((len(members) + len(others) + 1) / (12 * len(members) * len(others)))),
        tpr_at_1_fpr=true_positives(members, others),
        exact_copies=exact_copies,
        near_copies=count_near_copies(to_known, held_to_known),
        synthetic=len(seen.synthetic),
        held_out=len(seen.held_out),
        distances_train=matched[0][0],
        distances_held_out=matched[0][1],
    )


def count_exact_copies(synthetic: npt.NDArray[np.uint8], *known: npt.NDArray[np.uint8]) -> int:
    """How many of the images uint8 (M, C, S, S) have just the pixels of one in `known`, arrays of the same shape."""
    there = {image.tobytes() for part in known for image in part}
    return sum(image.tobytes() in there for image in synthetic)


def count_near_copies(synthetic: npt.NDArray[np.floating], held_out: npt.NDArray[np.floating]) -> int:
    """How many synthetic images are nearer to a known image than 99 % of the held-out ones, or than all of fewer.

    Args:
        synthetic: (M,), distances to the nearest known image.
        held_out: (H,), the same of the held-out images.
    """
    return int((synthetic < np.sort(held_out)[rank(len(held_out)) - 1]).sum())


def rank(held_out: int) -> int:
    """Which of so many held-out images, the nearest first, draws the line below which images are near copies."""
    return max(1, int(NEAR * (held_out + 1)))


def fresh_share(held_out: int, chance: float) -> float:
    """Share of fresh real images that count as near copies beside so many held-out ones.

    What is below the k-th smallest of H distances of one law has a Beta(k, H + 1 - k) distributed share of that law,
    whatever the law is, so that a share says little where few held-out images drew the line.

    Args:
        held_out: number of held-out images.
        chance: that the share is no larger.
    """
    from scipy.stats import beta

    place = rank(held_out)
    return float(beta.ppf(chance, place, held_out + 1 - place))


def c_t(
    synthetic: Features,
    train: Features,
    held_out: Features,
    to_train: npt.NDArray[np.float32],
    held_to_train: npt.NDArray[np.float32],
    seed: int,
) -> float:
    """Whether synthetic images lie nearer to training images than held-out ones do (Meehan et al. 2020).

    The standard normal statistic of a Mann–Whitney test in each cell of a k-means partition of the training images,
    mean over the cells by their shares of the held-out images.

    Args:
        synthetic: (M, F).
        train: (N, F).
        held_out: (H, F).
        to_train: (M,), distances of the synthetic images to the nearest training image.
        held_to_train: (H,), those of the held-out images.
        seed: of the partition.

    Returns:
        About standard normal or narrower where nothing is copied; NaN where no cell has enough images of both kinds.
    """
    from scipy.cluster.vq import kmeans2

    distinct = len(np.unique(train, axis=0))
    cells = int(np.clip(distinct // _CELL_ROWS, 1, _MOST_CELLS))
    rng = np.random.default_rng([seed, 2])
    with warnings.catch_warnings(action="ignore"):
        # It warns of an empty cell, which counts for nothing below.
        centres = kmeans2(train.astype(np.float64), cells, minit="++", rng=rng)[0]
    cell_of, held_cell_of = (_nearest_one(rows, centres)[1] for rows in (synthetic, held_out))
    total, weight = 0.0, 0
    for cell in range(cells):
        own, held = to_train[cell_of == cell], held_to_train[held_cell_of == cell]
        if min(len(own), len(held)) >= _LEAST_IN_CELL:
            total += len(held) * _mann_whitney_z(own, held)
            weight += len(held)
    return total / weight if weight else float("nan")


def auc(members: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> float:
    """Probability that a member's score (N,) is above another's (M,), ties half: the area under the ROC curve."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([members, others]))[: len(members)].sum()
    return float((ranks - len(members) * (len(members) + 1) / 2) / (len(members) * len(others)))


def bootstrap_auc(
    members: npt.NDArray[np.floating], others: npt.NDArray[np.floating], seed: int
) -> npt.NDArray[np.float64]:
    """`auc` of resamples of both sides: (B,)."""
    values, places = np.unique(np.concatenate([members, others]), return_inverse=True)
    sides = places[: len(members)], places[len(members) :]
    rng = np.random.default_rng([seed, 3])
    samples = np.empty(_BOOTSTRAP)
    for index in range(_BOOTSTRAP):
        chosen, against = (
            np.bincount(side[rng.integers(len(side), size=len(side))], minlength=len(values)) for side in sides
        )
        below = np.cumsum(against) - against
        samples[index] = chosen @ (below + against / 2)
    return samples / (len(members) * len(others))


def true_positives(members: npt.NDArray[np.floating], others: npt.NDArray[np.floating], allowed: float = 0.01) -> float:
    """Share of the members' scores (N,) above a threshold that at most the share `allowed` of the others' (M,) pass."""
    threshold = np.sort(others)[::-1][int(allowed * len(others))]
    return float((members > threshold).mean())


def _nearest_one(queries: Features, references: Features) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Distance (N,) to the nearest reference, and its index (N,)."""
    distances, indices = nearest(queries, references, 1)
    return distances[:, 0], indices[:, 0]


def _matches(seen: Seen, seed: int) -> list[tuple[Features, Features]]:
    """Random training and held-out images, as many of each, and of each class where labels may be looked at."""
    rng = np.random.default_rng([seed, 1])
    # Of few images one match says little, of many a second adds nothing.
    matches = int(np.clip(_MATCHED_ROWS // min(len(seen.train), len(seen.held_out)), 1, _MATCHES))
    return [_match(seen, rng) for _ in range(matches)]


def _match(seen: Seen, rng: np.random.Generator) -> tuple[Features, Features]:
    if seen.train_labels is None or seen.held_out_labels is None:
        sides = [(np.arange(len(seen.train)), np.arange(len(seen.held_out)))]
    else:
        labels = np.intersect1d(seen.train_labels, seen.held_out_labels)
        sides = [
            (np.flatnonzero(seen.train_labels == label), np.flatnonzero(seen.held_out_labels == label))
            for label in labels
        ]
    chosen = [[rng.choice(side, size=min(map(len, pair)), replace=False) for side in pair] for pair in sides]
    train, held_out = (np.concatenate(rows) for rows in zip(*chosen, strict=True))
    return seen.train[train], seen.held_out[held_out]


def _ratio(matched: list[list[npt.NDArray[np.float32]]]) -> float:
    """Median of the ratios, mean over the matches; where both distances are 0 the ratio is 1, and never over 100."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.where(own == other, 1.0, own / other) for own, other in matched]
    return float(np.mean([np.median(np.minimum(ratio, _MOST_RATIO)) for ratio in ratios]))


def _mann_whitney_z(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """How many standard deviations more often than by chance `first` (N,) is above `second` (M,); ties are corrected.

    All equal is 0.
    """
    from scipy.stats import rankdata, tiecorrect

    both = np.concatenate([first, second])
    correction = float(tiecorrect(rankdata(both)))
    if correction == 0.0:
        return 0.0
    pairs = len(first) * len(second)
    deviation = np.sqrt(correction * pairs * (len(both) + 1) / 12)
    return float((auc(first, second) - 0.5) * pairs / deviation)
