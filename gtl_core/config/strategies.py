"""Settings of the strategies of transfer, one model each."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gtl_core.config.base import AdversarialLossName, Augmentation, Fraction, Positive, Slug, Strict, Weight
from gtl_core.config.gan import GanConfig

ClassStart = Literal["random", "nearest"]
"""What a class begins with that the source does not know by name: embeddings drawn at random, or a copy of those of a
source class that its labelled images look like."""


class _StrategyConfig(Strict):
    """What every strategy can be told."""

    uses_source_gan: ClassVar[bool] = True
    """Whether it starts from the source GAN."""
    uses_source_classifier: ClassVar[bool] = False
    """Whether it looks at source images and at the classifier that was trained on them."""
    trains_classifier: ClassVar[bool] = False
    """Whether a classifier learns beside its generator, which the arm `adapted` takes as it is."""

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
    start: ClassStart | None = None

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


class ClassMixingConfig(_WeightStrategyConfig):
    """Classes that the source does not have are mixtures of those that it has; then all learns (cGANTransfer)."""

    name: Literal["class_mixing"] = "class_mixing"
    mixing_share: Fraction = 0.25
    """Share of the steps in which, in the generator, the mixtures learn alone."""
    residual: Positive = 0.01
    """λ of keeping the classes near their mixtures, on the absolute and on the squared differences."""


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
    trains_classifier: ClassVar[bool] = True

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


class DaganConfig(_StrategyConfig):
    """Learns on the source to make another image of a class of one image, and does so with the target's (DAGAN)."""

    uses_source_gan: ClassVar[bool] = False

    name: Literal["dagan"] = "dagan"
    steps: int = Field(default=300, ge=1)
    """Its own, on pairs of source images. With 600, images of digits that it never saw were less often read as what
    they were made of: 73 % instead of 80, by their nearest real neighbours, from MNIST 0 to 4 to USPS 5 to 9."""
    target_steps: int = Field(default=0, ge=0)
    """Further steps on pairs of the labelled target images; with 100 there, on five images a class, it was 71 %."""
    width: int = Field(default=16, ge=4, le=512)
    """Channels of the largest maps."""
    latent: int = Field(default=17, ge=2, le=1024)
    """One number picks the labelled image, the others are the style."""
    batch: int = Field(default=64, ge=4)
    diversity: Weight = 1.0
    """Weight of keeping what is made of one image as far apart as real images of its class are."""
    learning_rate_generator: Positive = 3e-4
    learning_rate_discriminator: Positive = 1e-3


class SganConfig(_StrategyConfig):
    """The discriminator is a classifier with one class more, for generated images (SGAN)."""

    uses_source_gan: ClassVar[bool] = False
    uses_source_classifier: ClassVar[bool] = True
    trains_classifier: ClassVar[bool] = True

    name: Literal["sgan"] = "sgan"
    start: Literal["scratch", "source"] = "scratch"
    """What the classifier begins as: the source classifier's network untrained, as in the papers, or trained."""
    steps: int = Field(default=1000, ge=1)
    """Its own, because such a step costs several of a weight strategy's."""
    batch: int = Field(default=64, ge=4)
    """Labelled, unlabelled and generated images in a step, so many of each."""
    adversarial: Positive = 0.1
    """Weight of telling real from generated images beside 1 of telling the classes apart."""
    consistency: Weight = 1.0
    """Weight of saying of an augmented unlabelled image what the averaged classifier says of it as it is; not in SGAN,
    which is what 0 gives."""
    confidence: Fraction = 0.8
    """Probability from which the averaged classifier is believed in that."""
    class_loss: Positive = 0.03
    """What the generator's images being of the class asked for counts beside 1 of feature matching. With 1 the
    classifier lost 1 to 2.5 points on MNIST (one draw) beside none."""
    learning_rate_classifier: Positive = 3e-3


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
    | ClassMixingConfig
    | SemiSupervisedConfig
)
"""Strategies that start from the source GAN's weights."""
TranslationConfig = TranslateConfig | CycleConfig | ContrastConfig
"""Strategies that translate labelled source images."""
StrategyConfig = Annotated[
    Annotated[WeightStrategyConfig | TranslationConfig | DaganConfig | SganConfig, Field(discriminator="name")],
    BeforeValidator(_expand_name),
]


class TransferConfig(Strict):
    """How the source GAN becomes a target GAN."""

    strategies: tuple[StrategyConfig, ...] = Field(min_length=1)
    steps: int = Field(default=1200, ge=1)
    pilot: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Share of a strategy's steps in a short transfer of its own, after which it is stopped where it clearly harms on
    validation. The long transfer begins anew, because rates and phases follow the number of steps."""
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
    start: ClassStart = "random"
    """For classes that the source does not know by name; a strategy may say otherwise for itself."""

    def piloted(self, strategy: StrategyConfig) -> StrategyConfig:
        """The strategy as its pilot runs it, with fewer steps.

        Raises:
            ValueError: the experiment has no pilot.
        """
        if self.pilot is None:
            raise ValueError("transfer.pilot is not set")
        steps = max(1, round(self.pilot * (strategy.steps or self.steps)))
        return strategy.model_copy(update={"steps": steps})

    def start_of(self, strategy: WeightStrategyConfig) -> ClassStart:
        """What the classes begin with that the source does not know by name."""
        return strategy.start or self.start

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
    def _something_to_stop(self) -> TransferConfig:
        if self.pilot is not None and len(self.strategies) < 2:
            raise ValueError("pilot: one strategy is never stopped, so name another one, or take pilot out")
        return self

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
