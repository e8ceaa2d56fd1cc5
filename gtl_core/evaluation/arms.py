"""The arms of a study as data: what each one starts from and learns from, and its trials on each draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gtl_core.config import ArmName

PLAIN_ARMS: tuple[ArmName, ...] = (
    "source_only",
    "real",
    "real_augmented",
    "source_finetuned",
    "joint",
    "self_trained",
)
"""Arms without a GAN, of which the best by validation is the baseline."""
JUDGED_ARMS: tuple[ArmName, ...] = ("transferred_gan", "best_plus_gan")
"""Arms that a verdict is about; each stands once for every strategy, as does `synthetic_only`."""

_LEARNING_RATES = (1.0, 1.0 / 3.0)
_TARGET_SHARES = (0.5, 0.8)
_THRESHOLDS = (0.8, 0.95)
_SYNTHETIC_RATIOS = (0.5, 1.0)


@dataclass(frozen=True)
class ArmRecipe:
    """How one classifier is trained; network, optimiser, step count and batch are the same for every recipe.

    Attributes:
        initial: `scratch`, or `source` to start from the source classifier.
        real: whether the labelled target images are learned from.
        augment: whether every training image is augmented.
        source_weight: what source images count beside the labelled target's 1, or None to use none.
        synthetic_weight: what synthetic images count beside the labelled target's 1, or None to use none.
        pseudo_threshold: probability from which the classifier's own labels of unlabelled target images are learned
            from, or None to use none.
        learning_rate: factor of the configured learning rate.
    """

    initial: Literal["scratch", "source"] = "scratch"
    real: bool = True
    augment: bool = True
    source_weight: float | None = None
    synthetic_weight: float | None = None
    pseudo_threshold: float | None = None
    learning_rate: float = 1.0

    @property
    def trained(self) -> bool:
        """Whether there is anything to learn from; otherwise the source classifier is used as it is."""
        return self.real or self.synthetic_weight is not None


@dataclass(frozen=True)
class Arm:
    """One row of the study.

    Attributes:
        name: such as `joint` or `best_plus_gan/freeze_d`.
        strategy: the transfer strategy whose images it learns from, or None for an arm without a GAN.
        trials: for each draw the recipes to try there, of which the validation part picks one: two of them, so that
            every arm is tuned as much as any other, except `source_only`, which has nothing to tune.
    """

    name: str
    strategy: str | None
    trials: tuple[tuple[ArmRecipe, ...], ...]

    @property
    def kind(self) -> str:
        """The name without the strategy."""
        return self.name.split("/")[0]


def joint_source_weight(target_share: float) -> float:
    """Weight of source images beside the target's 1 in a loss of λ · target + (1 − λ) · source, for a λ."""
    return (1.0 - target_share) / target_share


def plain_arms(names: Sequence[ArmName], draws: int) -> list[Arm]:
    """Those of the named arms that use no GAN, in the order given."""
    source = ArmRecipe(initial="source")
    trials: dict[ArmName, tuple[ArmRecipe, ...]] = {
        "source_only": (replace(source, real=False, augment=False),),
        "real": tuple(ArmRecipe(augment=False, learning_rate=rate) for rate in _LEARNING_RATES),
        "real_augmented": tuple(ArmRecipe(learning_rate=rate) for rate in _LEARNING_RATES),
        "source_finetuned": tuple(replace(source, learning_rate=rate) for rate in _LEARNING_RATES),
        "joint": tuple(replace(source, source_weight=joint_source_weight(share)) for share in _TARGET_SHARES),
        "self_trained": tuple(replace(source, pseudo_threshold=threshold) for threshold in _THRESHOLDS),
    }
    return [Arm(name, None, (trials[name],) * draws) for name in names if name in PLAIN_ARMS]


def gan_arms(names: Sequence[ArmName], strategies: Sequence[str], best_plain: Sequence[ArmRecipe]) -> list[Arm]:
    """Those of the named arms that learn from synthetic images, one for each strategy.

    Args:
        names: the experiment's arms.
        strategies: names of the transfer strategies.
        best_plain: for each draw, the recipe that validation picked there for the best arm without a GAN.
    """
    return [
        Arm(f"{name}/{strategy}", strategy, tuple(_with_synthetic(name, recipe) for recipe in best_plain))
        for name in names
        if name not in PLAIN_ARMS
        for strategy in strategies
    ]


def _with_synthetic(name: ArmName, best_plain: ArmRecipe) -> tuple[ArmRecipe, ...]:
    """Trials of one arm with synthetic images on one draw."""
    if name == "synthetic_only":
        return tuple(ArmRecipe(real=False, synthetic_weight=1.0, learning_rate=rate) for rate in _LEARNING_RATES)
    if name == "best_plus_gan" and not best_plain.trained:
        # The source classifier as it is was best: it learns from the synthetic images alone.
        start = replace(best_plain, augment=True, synthetic_weight=1.0)
        return tuple(replace(start, learning_rate=rate) for rate in _LEARNING_RATES)
    base = best_plain if name == "best_plus_gan" else ArmRecipe()
    return tuple(replace(base, synthetic_weight=ratio) for ratio in _SYNTHETIC_RATIOS)
