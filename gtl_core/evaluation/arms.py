"""The arms of a study as data: what each one starts from and learns from, and its trials on each draw.

Every arm is tuned alike: it tries `evaluation.trials` settings on each draw, in the order in which they stand below,
and validation picks one. Two arms have nothing to tune and no trials: the classifiers of `source_only` and `adapted`
are there already. No arm with a GAN is tuned more than the baseline: `best_plus_gan` and its kin add synthetic images
to the recipe that was picked for the baseline on the same draw, change nothing else that the baseline has tried, and
pick among as many ratios as it picked among settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gtl_core.config import ArmName

PLAIN_ARMS: tuple[ArmName, ...] = (
    "source_only",
    "real",
    "real_augmented",
    "real_oversampled",
    "source_finetuned",
    "feature_extraction",
    "last_stage",
    "discriminative_rates",
    "joint",
    "self_trained",
    "info_max",
    "dann",
    "adda",
)
"""Arms without a GAN, of which the best by validation is the baseline."""
JUDGED_ARMS: tuple[ArmName, ...] = ("transferred_gan", "best_plus_gan", "two_stage", "filtered_plus_gan", "adapted")
"""Arms that a verdict is about; each stands once for every strategy, as does `synthetic_only`."""
LABELLED_ARMS: tuple[ArmName, ...] = (
    "real",
    "real_augmented",
    "real_oversampled",
    "source_finetuned",
    "feature_extraction",
    "last_stage",
    "discriminative_rates",
    "joint",
    "scratch_gan",
    "two_stage",
)
"""Arms that cannot do without labelled target images."""
POOL_ARMS: tuple[ArmName, ...] = ("self_trained", "info_max", "dann", "adda")
"""Arms that cannot do without unlabelled target images."""
SCRATCH: ArmName = "scratch_gan"
"""The arm with a GAN of the target alone; its synthetic sets stand under this name among those of the strategies.

It has a GAN, so it is no baseline, and no transfer, so no verdict is about it: it shows what the source adds.
"""

# In the order in which they are tried: the first two are what one would try first, the others reach further out.
_LEARNING_RATES = (1.0, 1.0 / 3.0, 1.0 / 10.0, 3.0)
_TARGET_SHARES = (0.5, 0.8, 0.2, 0.95)
_THRESHOLDS = (0.8, 0.95, 0.6, 0.99)
_INFORMATION = (0.3, 1.0, 0.1, 3.0)
_INFORMED_THRESHOLD = 0.9
_RATE_DECAY = 2.6
"""Between neighbouring stages, where their rates differ: Howard & Ruder 2018 (arXiv 1801.06146)."""
_REVERSALS = (0.1, 0.3, 0.03, 1.0)
_ENCODER_RATES = (0.1, 0.03, 0.3, 0.01)
_RATIOS = (0.5, 1.0, 0.25, 4.0)
_RATIOS_WITHOUT_LABELS = (1.0, 4.0, 0.5, 0.25)
"""Where nothing labelled stands beside them but the source, they may count as much as pseudo-labels do."""


@dataclass(frozen=True)
class ArmRecipe:
    """How one classifier is trained; network, optimiser, step count and batch are the same for every recipe.

    Attributes:
        initial: `scratch`, `source` to start from the source classifier, or `strategy` to start from the classifier
            that learned beside a strategy's generator.
        real: whether the labelled target images are learned from.
        augment: whether every training image is augmented.
        copies_weight: what augmented copies of the labelled target images, made once and as many as there are
            synthetic images, count beside the originals' 1, or None to use none.
        source_weight: what source images count beside the labelled target's 1, or None to use none. Without labelled
            target images it is the 1 that the others count beside.
        synthetic_weight: what synthetic images count beside the labelled target's 1, or None to use none.
        synthetic_first: whether the first half of the steps is for synthetic images alone, and the second for the rest.
        filtered: whether synthetic images that a selection has left out are not learned from.
        pseudo_threshold: probability from which the classifier's own labels of unlabelled target images are learned
            from, or None to use none.
        information: weight of the mutual information between unlabelled target image and predicted class, which the
            training raises.
        reversal: what the reversed gradient of telling source features from those of unlabelled target images grows
            to (DANN); it needs source images.
        target_encoder: whether the target gets an encoder of its own, which learns from unlabelled target images to
            give features like those that the source's gives of source images (ADDA). The source images are then for
            that alone.
        learning_rate: factor of the configured learning rate.
        learns: `all` of the classifier, its `last_stage` and head, or a new `head` alone, on features that are
            computed once.
        rate_decay: how many times smaller the learning rate of each stage is than that of the next one towards the
            head.
    """

    initial: Literal["scratch", "source", "strategy"] = "scratch"
    real: bool = True
    augment: bool = True
    copies_weight: float | None = None
    source_weight: float | None = None
    synthetic_weight: float | None = None
    synthetic_first: bool = False
    filtered: bool = False
    pseudo_threshold: float | None = None
    information: float = 0.0
    reversal: float = 0.0
    target_encoder: bool = False
    learning_rate: float = 1.0
    learns: Literal["all", "last_stage", "head"] = "all"
    rate_decay: float = 1.0

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
        gan: whose synthetic images it learns from: a transfer strategy's, or `SCRATCH`; None for an arm without a GAN.
        trials: for each draw the recipes to try there, of which the validation part picks one.
    """

    name: str
    gan: str | None
    trials: tuple[tuple[ArmRecipe, ...], ...]

    @property
    def kind(self) -> str:
        """The name without the strategy."""
        return self.name.split("/")[0]


def joint_source_weight(target_share: float) -> float:
    """Weight of source images beside the target's 1 in a loss of λ · target + (1 − λ) · source, for a λ."""
    return (1.0 - target_share) / target_share


def plain_arms(names: Sequence[ArmName], draws: int, trials: int, *, labelled: bool) -> list[Arm]:
    """Those of the named arms that use no GAN, in the order given.

    Args:
        names: the experiment's arms.
        draws: number of draws.
        trials: how many settings an arm tries.
        labelled: whether there are labelled target images. Without any, the arms that use the pool go on learning from
            the source beside their own labels of the target, which keeps them from drifting off with their mistakes.
    """
    source = ArmRecipe(initial="source")
    pool = source if labelled else replace(source, real=False, source_weight=1.0)
    both = replace(pool, source_weight=1.0)
    informed = replace(pool, pseudo_threshold=_INFORMED_THRESHOLD)
    tried: dict[ArmName, tuple[ArmRecipe, ...]] = {
        "source_only": (replace(source, real=False, augment=False),),
        "real": tuple(ArmRecipe(augment=False, learning_rate=rate) for rate in _LEARNING_RATES),
        "real_augmented": tuple(ArmRecipe(learning_rate=rate) for rate in _LEARNING_RATES),
        # As `transferred_gan`, but for where the images come from: is a GAN more than a bag of augmented copies?
        "real_oversampled": tuple(ArmRecipe(copies_weight=ratio) for ratio in _RATIOS),
        "source_finetuned": tuple(replace(source, learning_rate=rate) for rate in _LEARNING_RATES),
        "feature_extraction": tuple(replace(source, learns="head", learning_rate=rate) for rate in _LEARNING_RATES),
        "last_stage": tuple(replace(source, learns="last_stage", learning_rate=rate) for rate in _LEARNING_RATES),
        "discriminative_rates": tuple(
            replace(source, rate_decay=_RATE_DECAY, learning_rate=rate) for rate in _LEARNING_RATES
        ),
        "joint": tuple(replace(source, source_weight=joint_source_weight(share)) for share in _TARGET_SHARES),
        "self_trained": tuple(replace(pool, pseudo_threshold=threshold) for threshold in _THRESHOLDS),
        "info_max": tuple(replace(informed, information=weight) for weight in _INFORMATION),
        "dann": tuple(replace(both, reversal=weight) for weight in _REVERSALS),
        "adda": tuple(replace(both, target_encoder=True, learning_rate=rate) for rate in _ENCODER_RATES),
    }
    return [Arm(name, None, (tried[name][:trials],) * draws) for name in names if name in PLAIN_ARMS]


def gan_arms(
    names: Sequence[ArmName], gans: Sequence[str], adapting: Sequence[str], best_plain: Sequence[ArmRecipe], trials: int
) -> list[Arm]:
    """Those of the named arms that use a GAN, one for each GAN that is of use to them.

    Args:
        names: the experiment's arms.
        gans: names of the transfer strategies, and perhaps `SCRATCH`, whose images only the arm of that name takes.
        adapting: strategies that train a classifier beside their generator, which `adapted` takes as it is.
        best_plain: for each draw, the recipe that validation picked there for the best arm without a GAN.
        trials: how many settings an arm tries.
    """
    transferred = [gan for gan in gans if gan != SCRATCH]
    arms = []
    for name in names:
        if name not in PLAIN_ARMS:
            tried = tuple(_with_gan(name, recipe)[:trials] for recipe in best_plain)
            if name == SCRATCH:
                arms += [Arm(name, gan, tried) for gan in gans if gan == SCRATCH]
            else:
                arms += [Arm(f"{name}/{gan}", gan, tried) for gan in (adapting if name == "adapted" else transferred)]
    return arms


def _with_gan(name: ArmName, best_plain: ArmRecipe) -> tuple[ArmRecipe, ...]:
    """All trials of one arm with synthetic images, on one draw."""
    if name == "adapted":
        return (ArmRecipe(initial="strategy", real=False, augment=False),)
    if name == "synthetic_only":
        return _rates(ArmRecipe(real=False, synthetic_weight=1.0))
    if name == "two_stage":
        # As `source_finetuned`, but for the first half of its steps.
        return _rates(ArmRecipe(initial="source", synthetic_weight=1.0, synthetic_first=True))
    inherits = name in ("best_plus_gan", "filtered_plus_gan")
    base = replace(best_plain if inherits else ArmRecipe(), filtered=name == "filtered_plus_gan")
    if not base.trained:
        # The source classifier as it is was best: it learns from the synthetic images alone.
        return _rates(replace(base, augment=True, synthetic_weight=1.0))
    ratios = _RATIOS if base.real else _RATIOS_WITHOUT_LABELS
    return tuple(replace(base, synthetic_weight=ratio) for ratio in ratios)


def _rates(base: ArmRecipe) -> tuple[ArmRecipe, ...]:
    """A recipe with its learning rate and with others."""
    return tuple(replace(base, learning_rate=base.learning_rate * rate) for rate in _LEARNING_RATES)
