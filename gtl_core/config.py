"""`Experiment`: the strict, frozen model of one experiment file, and the only place with defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from gtl_core.errors import InputError

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]

ArmName = Literal[
    "source_only",
    "real",
    "real_augmented",
    "source_finetuned",
    "joint",
    "self_trained",
    "info_max",
    "transferred_gan",
    "best_plus_gan",
    "adapted",
    "synthetic_only",
]
Augmentation = Literal["colour", "translation", "cutout"]
"""A DiffAugment policy; each is done to real and to generated images alike."""
AdversarialLossName = Literal["hinge", "non_saturating", "relativistic"]
Weight = Annotated[float, Field(ge=0.0)]
"""What a term of a loss counts; 0 leaves it out."""
Metric = Literal["balanced_accuracy", "accuracy"]


class _Strict(BaseModel):
    """Unknown keys and wrong types are refused; values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SourceConfig(_Strict):
    """The big related set."""

    dataset: Slug


class TargetConfig(_Strict):
    """The small set that counts."""

    dataset: Slug
    labelled_per_class: int = Field(ge=0)
    """With 0 nothing but the test part is ever looked at with its labels, and every choice is made without them."""
    validation_per_class: int = Field(default=10, ge=1)
    """Without labelled images, this times the number of classes is how many validation images there are in all."""
    test_fraction: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share held out for test where the set has no test part of its own."""
    use_unlabelled: bool = False
    """Whether the rest of the target's training part may be used without its labels."""

    @property
    def has_labels(self) -> bool:
        """Whether there are target labels to train on and to choose by."""
        return self.labelled_per_class > 0

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> TargetConfig:
        if not self.has_labels and not self.use_unlabelled:
            raise ValueError("labelled_per_class: 0 leaves only unlabelled images, so use_unlabelled must be true")
        return self


class ImageConfig(_Strict):
    """What every network sees: square images."""

    size: int = Field(ge=16, le=64)
    channels: Literal[1, 3]

    @field_validator("size")
    @classmethod
    def _divisible(cls, size: int) -> int:
        if size % 4:
            raise ValueError("must be a multiple of 4, because the networks halve it twice at least")
        return size


class GanConfig(_Strict):
    """Architecture and pretraining of the source GAN."""

    architecture: Literal["dcgan", "fully_connected"] = "dcgan"
    width: int = Field(default=32, ge=4, le=512)
    latent: int = Field(default=64, ge=2, le=1024)
    steps: int = Field(default=4000, ge=1)
    batch: int = Field(default=64, ge=2)
    loss: AdversarialLossName = "hinge"
    learning_rate_generator: Positive = 3e-4
    learning_rate_discriminator: Positive = 1e-3
    beta1: Fraction = 0.0
    beta2: Fraction = 0.9
    ema_decay: float = Field(default=0.995, ge=0.0, lt=1.0)
    augmentation: tuple[Augmentation, ...] = ()
    """DiffAugment policies in pretraining; with thousands of source images they only weaken the discriminator."""
    adaptive_augmentation: bool = False
    """Whether each policy is done as often only as the discriminator overfits (ADA)."""
    lecam: Weight = 0.0
    """Weight of LeCam's regularisation; 0.3 in its paper."""
    gradient_penalty: Weight = 0.0
    """γ of R1 and R2; relativistic losses want one."""
    diversity: Weight = 0.0
    """Weight of keeping images of a class as far apart as real ones are."""
    checkpoint_every: int = Field(default=500, ge=1)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _something_to_adapt(self) -> GanConfig:
        if self.adaptive_augmentation and not self.augmentation:
            raise ValueError("adaptive_augmentation: needs at least one policy in augmentation")
        return self


class _StrategyConfig(_Strict):
    """What every strategy can be told."""

    uses_source_gan: ClassVar[bool] = True
    """Whether it starts from the source GAN."""
    uses_source_classifier: ClassVar[bool] = False
    """Whether it looks at source images and at the classifier that was trained on them."""

    alias: Slug | None = None
    """What to call it, where a strategy stands more than once with different settings."""
    steps: int | None = Field(default=None, ge=1)
    """Steps of this strategy, where they are not `transfer.steps`."""

    @property
    def label(self) -> str:
        """The name under which it stands in tables, folders and arms."""
        return self.alias or str(getattr(self, "name"))  # noqa: B009 - each strategy has its own literal name


class _WeightStrategyConfig(_StrategyConfig):
    """What every strategy over the source GAN's weights can be told; where nothing is, `transfer` decides."""

    loss: AdversarialLossName | None = None
    augmentation: tuple[Augmentation, ...] | None = None
    adaptive_augmentation: bool | None = None
    lecam: Weight | None = None
    gradient_penalty: Weight | None = None
    diversity: Weight | None = None
    learning_rate_generator: Positive | None = None
    learning_rate_discriminator: Positive | None = None

    @field_validator("augmentation", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class FinetuneConfig(_WeightStrategyConfig):
    """Load the source generator and discriminator and train all of both (TransferGAN)."""

    name: Literal["finetune"] = "finetune"


class FreezeDConfig(_WeightStrategyConfig):
    """Freeze the discriminator's first blocks (FreezeD)."""

    name: Literal["freeze_d"] = "freeze_d"
    blocks: int = Field(default=2, ge=1)


class FreezeGThenPartialConfig(_WeightStrategyConfig):
    """The discriminator learns the target alone; then chosen generator blocks learn with it."""

    name: Literal["freeze_g_then_partial"] = "freeze_g_then_partial"
    frozen_share: Fraction = 0.25
    """Share of the steps in which the generator is frozen whole."""
    blocks: int = Field(default=2, ge=1)
    """How many of the generator's last blocks are trained after that; class embeddings always are."""


class ScaleShiftConfig(_WeightStrategyConfig):
    """Only gains, offsets and class embeddings learn; every convolution stays (BSA)."""

    name: Literal["scale_shift"] = "scale_shift"
    learning_rate_generator: Positive | None = 3e-3


class SingularValuesConfig(_WeightStrategyConfig):
    """Only the singular values of the weights learn, and the class embeddings (FSGAN)."""

    name: Literal["singular_values"] = "singular_values"
    learning_rate_generator: Positive | None = 2e-3
    learning_rate_discriminator: Positive | None = 2e-3


class EwcConfig(_WeightStrategyConfig):
    """Fine-tuning that holds on to the generator's weights, most to those that matter to the source (EWC)."""

    name: Literal["ewc"] = "ewc"
    weight: Positive = 0.1
    """λ, with the importance of the weights brought to a mean of 1."""


class L2SpConfig(_WeightStrategyConfig):
    """Fine-tuning that holds on to all of the generator's weights alike (L2-SP)."""

    name: Literal["l2_sp"] = "l2_sp"
    weight: Positive = 0.1


class MineConfig(_WeightStrategyConfig):
    """A small network before the generator learns first where to look for the target, then all learns (MineGAN)."""

    name: Literal["mine"] = "mine"
    mining_share: Fraction = 0.25
    """Share of the steps in which the small network learns alone."""


class CorrespondenceConfig(_WeightStrategyConfig):
    """Fine-tuning that keeps which images of the source generator are alike (CDC)."""

    name: Literal["correspondence"] = "correspondence"
    weight: Positive = 300.0
    """1,000 in its paper; there is room for the target's look with less, and ten did nothing."""


class SemiSupervisedConfig(_WeightStrategyConfig):
    """Fine-tuning that also sees the unlabelled pool, without labels and with confident ones."""

    uses_source_classifier: ClassVar[bool] = True

    name: Literal["semi_supervised"] = "semi_supervised"
    weight: Positive = 1.0
    """What telling real from generated without a class counts beside telling it class by class."""
    threshold: float = Field(default=0.95, gt=0.0, lt=1.0)
    """Probability from which a label of the classifier's counts as the pool image's own."""


class _TranslationConfig(_StrategyConfig):
    """What every strategy of translation can be told: source image to target look, its label kept."""

    uses_source_gan: ClassVar[bool] = False
    uses_source_classifier: ClassVar[bool] = True

    steps: int = Field(default=1000, ge=1)
    """Its own, because such a step costs several of a weight strategy's."""
    width: int = Field(default=24, ge=8, le=512)
    """Channels of the translator at half the image's size."""
    latent: int = Field(default=9, ge=2, le=1024)
    """One number picks the source image, the others are the style."""
    bank_per_class: int = Field(default=500, ge=1)
    """Source images of each class that the finished generator carries, to translate them when it is asked."""
    batch: int = Field(default=64, ge=4)
    adversarial: Positive = 0.2
    """Weight of looking like the target beside 1 of keeping the label."""
    learning_rate_translator: Positive = 2e-4
    learning_rate_discriminator: Positive = 4e-4
    learning_rate_classifier: Positive = 1e-3
    pseudo_labels: bool = True
    """Whether the classifier, late in the training, learns from the pool with labels that it is confident of."""
    confidence: Fraction = 0.9
    information: float = Field(default=0.3, ge=0.0)
    """Weight of the mutual information between unlabelled image and predicted class, which the classifier raises."""


class TranslateConfig(_TranslationConfig):
    """Adversarial loss and the label kept by a classifier (PixelDA)."""

    name: Literal["translate"] = "translate"


class CycleConfig(_TranslationConfig):
    """There and back again, and the same reading by the source classifier (CyCADA)."""

    name: Literal["cycle"] = "cycle"
    cycle: Positive = 1.0
    """Weight of the mean absolute difference after a round trip."""
    semantic: Positive = 0.2
    """Weight of the source classifier's same reading before and after."""


class ContrastConfig(_TranslationConfig):
    """Each patch stays nearest to its own (CUT)."""

    name: Literal["contrast"] = "contrast"
    contrast: Positive = 0.2
    """Weight of the contrastive loss."""
    temperature: Positive = 0.07
    patches: int = Field(default=64, ge=2)
    """Places of each image that are told apart."""


def _expand_name(value: Any) -> Any:
    """`finetune` stands for `{name: finetune}`."""
    return {"name": value} if isinstance(value, str) else value


WeightStrategyConfig = (
    FinetuneConfig
    | FreezeDConfig
    | FreezeGThenPartialConfig
    | ScaleShiftConfig
    | SingularValuesConfig
    | EwcConfig
    | L2SpConfig
    | MineConfig
    | CorrespondenceConfig
    | SemiSupervisedConfig
)
"""Strategies that start from the source GAN's weights."""
TranslationConfig = TranslateConfig | CycleConfig | ContrastConfig
"""Strategies that translate labelled source images."""
StrategyConfig = Annotated[
    Annotated[WeightStrategyConfig | TranslationConfig, Field(discriminator="name")],
    BeforeValidator(_expand_name),
]


class TransferConfig(_Strict):
    """How the source GAN becomes a target GAN."""

    strategies: tuple[StrategyConfig, ...] = Field(min_length=1)
    steps: int = Field(default=1200, ge=1)
    augmentation: tuple[Augmentation, ...] = ("translation",)
    """DiffAugment policies in transfer, where a discriminator sees few images over and over."""
    loss: AdversarialLossName | None = None
    """Adversarial losses in transfer, where they are not `gan.loss`."""
    adaptive_augmentation: bool = False
    """As in `gan`, like the rest here; a strategy over the source GAN's weights may say otherwise for itself."""
    lecam: Weight = 0.0
    gradient_penalty: Weight = 0.0
    diversity: Weight = 0.0
    """From typeset to handwritten digits, 0.5 raised the share of held-out training images that are covered from 25 to
    32 % with three labelled images a class (1,200 steps), and from 43 to 50 % with five (2,500); 1 and more blurred."""

    def helps(self, strategy: WeightStrategyConfig) -> dict[str, Any]:
        """What holds for one strategy of losses, rates, augmentation and regularisation, by the names `gan` has for it.

        A setting that neither the strategy nor `transfer` has is left out, and the source GAN's holds.
        """
        names = (_WeightStrategyConfig.model_fields.keys() & GanConfig.model_fields.keys()) - {"steps"}
        own = {name: getattr(strategy, name) for name in names}
        chosen = {name: getattr(self, name, None) if value is None else value for name, value in own.items()}
        return {name: value for name, value in chosen.items() if value is not None}

    @field_validator("strategies", "augmentation", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("strategies")
    @classmethod
    def _distinct(cls, value: tuple[StrategyConfig, ...]) -> tuple[StrategyConfig, ...]:
        labels = [strategy.label for strategy in value]
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        if repeated:
            raise ValueError(
                f"{', '.join(repeated)} stands more than once; give each its own name, such as "
                f"{{name: {repeated[0]}, alias: {repeated[0]}_2}}"
            )
        return value

    @model_validator(mode="after")
    def _something_to_adapt(self) -> TransferConfig:
        for strategy in self.strategies:
            if isinstance(strategy, _WeightStrategyConfig):
                helps = self.helps(strategy)
                if helps["adaptive_augmentation"] and not helps["augmentation"]:
                    raise ValueError(
                        f"{strategy.label}: adaptive_augmentation needs at least one policy in augmentation"
                    )
        return self


class SynthesisConfig(_Strict):
    """How many images the transferred GAN makes."""

    per_class: int = Field(default=500, ge=1)


class ClassifierConfig(_Strict):
    """The one classifier of every arm, and of the source."""

    width: int = Field(default=32, ge=4, le=512)
    steps: int = Field(default=600, ge=1)
    source_steps: int = Field(default=1500, ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: Positive = 2e-3
    weight_decay: float = Field(default=1e-2, ge=0.0)


class EvaluationConfig(_Strict):
    """Arms, repetitions and the statistics of the verdict."""

    arms: tuple[ArmName, ...] = (
        "real",
        "real_augmented",
        "source_finetuned",
        "joint",
        "transferred_gan",
        "best_plus_gan",
    )
    draws: int = Field(default=5, ge=2)
    bootstrap: int = Field(default=2000, ge=100)

    @field_validator("arms", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _comparable(self) -> EvaluationConfig:
        if len(set(self.arms)) != len(self.arms):
            raise ValueError("arms: each arm may stand once")
        judged = {"transferred_gan", "best_plus_gan", "adapted"}
        plain = [arm for arm in self.arms if arm not in {*judged, "synthetic_only"}]
        if not plain:
            raise ValueError("arms: name at least one arm without a GAN, such as real_augmented, to compare with")
        if not judged & set(self.arms):
            raise ValueError("arms: name transferred_gan or best_plus_gan, or there is nothing to give a verdict on")
        return self


class PromotionConfig(_Strict):
    """What a new model must show before it replaces the champion."""

    metric: Metric = "balanced_accuracy"
    min_gain: float = Field(default=0.0, ge=-1.0, le=1.0)
    approval: Literal["automatic", "manual"] = "manual"


class Experiment(_Strict):
    """One experiment file, whole."""

    name: Slug
    description: str = ""
    seed: int = Field(default=0, ge=0, lt=2**31)
    source: SourceConfig
    target: TargetConfig
    image: ImageConfig
    gan: GanConfig = GanConfig()
    transfer: TransferConfig
    synthesis: SynthesisConfig = SynthesisConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        pool_arms = [arm for arm in self.evaluation.arms if arm in ("self_trained", "info_max")]
        if pool_arms and not self.target.use_unlabelled:
            raise ValueError(f"evaluation.arms: {pool_arms[0]} needs target.use_unlabelled: true")
        if not self.target.has_labels:
            self._possible_without_labels()
        if self.source.dataset == self.target.dataset:
            raise ValueError("source.dataset and target.dataset must be two different sets")
        return self

    @model_validator(mode="after")
    def _pool_where_needed(self) -> Experiment:
        for strategy in self.transfer.strategies:
            if isinstance(strategy, SemiSupervisedConfig) and not self.target.use_unlabelled:
                raise ValueError(f"transfer.strategies: {strategy.label} needs target.use_unlabelled: true")
        return self

    def _possible_without_labels(self) -> None:
        """Refuses what cannot be done where no target image is labelled."""
        for strategy in self.transfer.strategies:
            if not isinstance(strategy, TranslationConfig):
                raise ValueError(
                    f"transfer.strategies: {strategy.label} learns from labelled target images, and "
                    "target.labelled_per_class is 0; take strategies of translation, such as translate"
                )
        arms = set(self.evaluation.arms)
        if not arms & {"best_plus_gan", "adapted"} or not arms & {"source_only", "self_trained", "info_max"}:
            raise ValueError(
                "evaluation.arms: with target.labelled_per_class 0 name best_plus_gan or adapted, and source_only, "
                "self_trained or info_max (better all three) to compare it with"
            )


def load_experiment(path: Path) -> Experiment:
    """Reads and checks an experiment file.

    Args:
        path: a YAML file whose stem is the experiment's name.

    Raises:
        InputError: the file is missing, is not YAML, or holds an unknown key or impossible value; the
            message gives the key's path, what was given and what is allowed.
    """
    if not path.is_file():
        raise InputError(f"no experiment file {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys such as name, source and target, found {type(content).__name__}")
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise InputError(f"{path}: {problems}") from None
    if experiment.name != path.stem:
        raise InputError(f"{path}: name is {experiment.name!r} but the file is {path.name}; make the two agree")
    return experiment


def _explain(problem: Any) -> str:
    """One validation problem of pydantic as `key.path: what is allowed, got what was given`."""
    where = ".".join(str(part) for part in problem["loc"]) or "file"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    return f"{where}: {message}" if isinstance(given, (dict, list, tuple)) else f"{where}: {message}, got {given!r}"
