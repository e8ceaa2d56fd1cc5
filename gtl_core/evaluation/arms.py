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
    "info_max",
)
"""Arms without a GAN, of which the best by validation is the baseline."""
JUDGED_ARMS: tuple[ArmName, ...] = ("transferred_gan", "best_plus_gan", "adapted")
"""Arms that a verdict is about; each stands once for every strategy, as does `synthetic_only`."""
LABELLED_ARMS: tuple[ArmName, ...] = ("real", "real_augmented", "source_finetuned", "joint")
"""Arms that cannot do without labelled target images."""
POOL_ARMS: tuple[ArmName, ...] = ("self_trained", "info_max")
"""Arms that cannot do without unlabelled target images."""

_LEARNING_RATES = (1.0, 1.0 / 3.0)
_TARGET_SHARES = (0.5, 0.8)
_THRESHOLDS = (0.8, 0.95)
_INFORMATION = (0.3, 1.0)
_INFORMED_THRESHOLD = 0.9
_SYNTHETIC_RATIOS = (0.5, 1.0)
_SYNTHETIC_RATIOS_WITHOUT_LABELS = (1.0, 4.0)
"""Where nothing labelled stands beside them but the source, they may count as much as pseudo-labels do."""


@dataclass(frozen=True)
class ArmRecipe:
    """How one classifier is trained; network, optimiser, step count and batch are the same for every recipe.

    Attributes:
        initial: `scratch`, `source` to start from the source classifier, or `strategy` to start from the classifier
            that learned beside a strategy's generator.
        real: whether the labelled target images are learned from.
        augment: whether every training image is augmented.
        source_weight: what source images count beside the labelled target's 1, or None to use none. Without labelled
            target images it is the 1 that the others count beside.
        synthetic_weight: what synthetic images count beside the labelled target's 1, or None to use none.
        pseudo_threshold: probability from which the classifier's own labels of unlabelled target images are learned
            from, or None to use none.
        information: weight of the mutual information between unlabelled target image and predicted class, which the
            training raises.
        learning_rate: factor of the configured learning rate.
    """

    initial: Literal["scratch", "source", "strategy"] = "scratch"
    real: bool = True
    augment: bool = True
    source_weight: float | None = None
    synthetic_weight: float | None = None
    pseudo_threshold: float | None = None
    information: float = 0.0
    learning_rate: float = 1.0

    @property
    def trained(self) -> bool:
        """Whether there is anything to learn from; otherwise the classifier that it starts from is used as it is."""
        weights = (self.source_weight, self.synthetic_weight, self.pseudo_threshold)
        return self.real or any(weight is not None for weight in weights)


@dataclass(frozen=True)
class Arm:
    """One row of the study.

    Attributes:
        name: such as `joint` or `best_plus_gan/freeze_d`.
        strategy: the transfer strategy whose images it learns from, or None for an arm without a GAN.
        trials: for each draw the recipes to try there, of which the validation part picks one: two of them, so that
            every arm is tuned as much as any other, except `source_only` and `adapted`, which have nothing to tune.
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


def plain_arms(names: Sequence[ArmName], draws: int, *, labelled: bool) -> list[Arm]:
    """Those of the named arms that use no GAN, in the order given.

    Args:
        names: the experiment's arms.
        draws: number of draws.
        labelled: whether there are labelled target images. Without any, the arms that use the pool go on learning from
            the source beside their own labels of the target, which keeps them from drifting off with their mistakes.
    """
    source = ArmRecipe(initial="source")
    pool = source if labelled else replace(source, real=False, source_weight=1.0)
    informed = replace(pool, pseudo_threshold=_INFORMED_THRESHOLD)
    trials: dict[ArmName, tuple[ArmRecipe, ...]] = {
        "source_only": (replace(source, real=False, augment=False),),
        "real": tuple(ArmRecipe(augment=False, learning_rate=rate) for rate in _LEARNING_RATES),
        "real_augmented": tuple(ArmRecipe(learning_rate=rate) for rate in _LEARNING_RATES),
        "source_finetuned": tuple(replace(source, learning_rate=rate) for rate in _LEARNING_RATES),
        "joint": tuple(replace(source, source_weight=joint_source_weight(share)) for share in _TARGET_SHARES),
        "self_trained": tuple(replace(pool, pseudo_threshold=threshold) for threshold in _THRESHOLDS),
        "info_max": tuple(replace(informed, information=weight) for weight in _INFORMATION),
    }
    return [Arm(name, None, (trials[name],) * draws) for name in names if name in PLAIN_ARMS]


def gan_arms(
    names: Sequence[ArmName], strategies: Sequence[str], adapting: Sequence[str], best_plain: Sequence[ArmRecipe]
) -> list[Arm]:
    """Those of the named arms that use what a strategy has made, one for each strategy.

    Args:
        names: the experiment's arms.
        strategies: names of the transfer strategies.
        adapting: those of them that train a classifier beside their generator, which `adapted` takes as it is.
        best_plain: for each draw, the recipe that validation picked there for the best arm without a GAN.
    """
    return [
        Arm(f"{name}/{strategy}", strategy, tuple(_with_gan(name, recipe) for recipe in best_plain))
        for name in names
        if name not in PLAIN_ARMS
        for strategy in (adapting if name == "adapted" else strategies)
    ]


def _with_gan(name: ArmName, best_plain: ArmRecipe) -> tuple[ArmRecipe, ...]:
    """Trials of one arm with what a strategy has made, on one draw."""
    if name == "adapted":
        return (ArmRecipe(initial="strategy", real=False, augment=False),)
    if name == "synthetic_only":
        return tuple(ArmRecipe(real=False, synthetic_weight=1.0, learning_rate=rate) for rate in _LEARNING_RATES)
    if name == "best_plus_gan" and not best_plain.trained:
        # The source classifier as it is was best: it learns from the synthetic images alone.
        start = replace(best_plain, augment=True, synthetic_weight=1.0)
        return tuple(replace(start, learning_rate=rate) for rate in _LEARNING_RATES)
    base = best_plain if name == "best_plus_gan" else ArmRecipe()
    ratios = _SYNTHETIC_RATIOS if base.real else _SYNTHETIC_RATIOS_WITHOUT_LABELS
    return tuple(replace(base, synthetic_weight=ratio) for ratio in ratios)
