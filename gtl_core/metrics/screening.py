"""What a strategy's draws say of its memorisation: said to copy, worth a look, or clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gtl_core.metrics.memorisation import Memorised, fresh_share, rank

Screen = Literal["clear", "look", "copies"]

COPIES = 0.1
"""Share of near copies, ten times that of fresh real images, from which a generator is said to copy."""
LOOK = 0.03
"""Share of near copies that a person should look at."""
COPIES_CHANCE, LOOK_CHANCE = 0.99, 0.975
"""How surely fresh real images stay below what is said to copy, and below what a person should look at."""
C_T_LOOK = -3.0
"""A C_T below this comes about once in a thousand times where nothing is copied."""

_LEVEL = 0.95
_LOOK_DEVIATIONS = 1.96
_COUNTS = ("exact_copies", "near_copies", "synthetic")


@dataclass(frozen=True)
class Screening:
    """What a strategy gives away, over its draws.

    Attributes:
        distance_ratio: mean over the draws of `Memorised`'s; so are the next four.
        authenticity: as there.
        authenticity_held_out: as there.
        c_t: as there; None where no draw has one.
        membership_auc: as there.
        membership_low: lower end of its 95 % bootstrap interval.
        membership_high: upper end.
        tpr_at_1_fpr: mean over the draws.
        exact_copies: sum over the draws.
        near_copies: sum over the draws.
        synthetic: synthetic images in all draws.
        screen: `copies` where it copies, `look` where a person should look at the nearest neighbours, else `clear`.
        sentence: why, for people.
    """

    distance_ratio: float
    authenticity: float
    authenticity_held_out: float
    c_t: float | None
    membership_auc: float
    membership_low: float
    membership_high: float
    tpr_at_1_fpr: float
    exact_copies: int
    near_copies: int
    synthetic: int
    screen: Screen
    sentence: str


def screening(draws: list[Memorised]) -> Screening:
    """Sums up a strategy's draws, one or more, and says what they mean."""
    tests = [draw.c_t for draw in draws if np.isfinite(draw.c_t)]
    low, high = np.quantile(np.mean([draw.auc_samples for draw in draws], axis=0), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    found = {
        "distance_ratio": float(np.mean([draw.distance_ratio for draw in draws])),
        "authenticity": float(np.mean([draw.authenticity for draw in draws])),
        "authenticity_held_out": float(np.mean([draw.authenticity_held_out for draw in draws])),
        "membership_auc": float(np.mean([draw.membership_auc for draw in draws])),
        "tpr_at_1_fpr": float(np.mean([draw.tpr_at_1_fpr for draw in draws])),
    }
    exact, near, count = (sum(getattr(draw, name) for draw in draws) for name in _COUNTS)
    statistic = float(np.mean(tests)) if tests else None
    area, deviation = found["membership_auc"], float(np.mean([draw.auc_deviation for draw in draws]))
    # The held-out images of the draws are mostly the same, so that a mean over draws is no surer than one draw.
    told_apart = low > 0.5 and area > 0.5 + _LOOK_DEVIATIONS * deviation
    screen, sentence = _judged(exact, near, count, _Fresh.beside(draws), statistic, area if told_apart else None)
    return Screening(
        **found,
        c_t=statistic,
        membership_low=float(low),
        membership_high=float(high),
        exact_copies=exact,
        near_copies=near,
        synthetic=count,
        screen=screen,
        sentence=f"{sentence} This is a screen, not a guarantee.",
    )


@dataclass(frozen=True)
class _Fresh:
    """Which share of fresh real images counts as near copies, in all draws of a strategy.

    Attributes:
        expected: on average.
        look: no larger by chance, or not worth a look.
        copies: no larger by chance, or not said to copy.
        held_out: how many held-out images drew the line, in the draw that has fewest.
    """

    expected: float
    look: float
    copies: float
    held_out: int

    @classmethod
    def beside(cls, draws: list[Memorised]) -> _Fresh:
        # Means of bounds: right where the draws have the same held-out images, and too careful where they have others.
        counts = [draw.held_out for draw in draws]
        look, copies = (
            float(np.mean([fresh_share(count, chance) for count in counts])) for chance in (LOOK_CHANCE, COPIES_CHANCE)
        )
        expected = float(np.mean([rank(count) / (count + 1) for count in counts]))
        return cls(expected, max(LOOK, look), max(COPIES, copies), min(counts))


def _judged(
    exact: int, near: int, count: int, fresh: _Fresh, statistic: float | None, told_apart: float | None
) -> tuple[Screen, str]:
    """The screen's word and its reason; the lower end of Wilson's interval is what counts of a share."""
    share = wilson_low(near, count)
    if exact:
        return "copies", f"{exact} of {count} synthetic images have just the pixels of an image that it learned from."
    among = f"{near} of {count} synthetic images ({100 * near / count:.1f} %) are near copies of training images"
    usual = f"of fresh real images about {100 * fresh.expected:.0f} %"
    if share >= fresh.copies:
        return "copies", f"{among}; {usual} are."
    reasons = [f"{among}, {usual}"] if share >= fresh.look else []
    if told_apart is not None:
        reasons.append(
            "training images can be told from others by how near synthetic ones come "
            f"(AUC {told_apart:.2f}, 0.5 is chance)"
        )
    if statistic is not None and statistic < C_T_LOOK:
        reasons.append(f"synthetic images lie nearer to training images than held-out ones do (C_T {statistic:.1f})")
    if reasons:
        joined = "; ".join(reasons)
        return "look", f"Hardly any copy, but look at the nearest neighbours: {joined}."
    if near / count <= fresh.expected:
        return "clear", f"No sign of copying: {among}, no more than of fresh real images."
    least = f"with {fresh.held_out} held-out images less than {100 * fresh.look:.0f} % says nothing"
    return "clear", f"No sign of copying: {among}; {usual} are, but {least}."


def wilson_low(count: int, total: int) -> float:
    """Lower end of Wilson's (1927) 95 % interval of a share."""
    from scipy.stats import binomtest

    return float(binomtest(count, total).proportion_ci(_LEVEL, method="wilson").low)
