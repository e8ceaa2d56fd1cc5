"""`Experiment`: the strict, frozen model of one experiment file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gtl_core.config.base import Positive, Slug, Strict
from gtl_core.config.descriptions import Descriptions
from gtl_core.config.gan import GanConfig, settings_of_the_game
from gtl_core.config.promotion import PromotionConfig
from gtl_core.config.retraining import DriftConfig, RetrainConfig, ScheduleConfig, as_schedule
from gtl_core.config.strategies import (
    DaganConfig,
    SemiSupervisedConfig,
    SganConfig,
    TransferConfig,
    TranslationConfig,
    WeightStrategyConfig,
)
from gtl_core.config.tuning import Ranges

ArmName = Literal[
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
    "scratch_gan",
    "transferred_gan",
    "best_plus_gan",
    "two_stage",
    "filtered_plus_gan",
    "adapted",
    "synthetic_only",
]

FilterRule = Literal["agreement", "density", "copies"]


class SourceConfig(Strict):
    """The big related set."""

    dataset: Slug


class TargetConfig(Strict):
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


class ImageConfig(Strict):
    """What every network sees: square images."""

    size: int = Field(ge=16, le=64)
    channels: Literal[1, 3]

    @field_validator("size")
    @classmethod
    def _divisible(cls, size: int) -> int:
        if size % 4:
            raise ValueError("must be a multiple of 4, because the networks halve it twice at least")
        return size


class SynthesisConfig(Strict):
    """How many images the transferred GAN makes, and which of them a selection leaves out."""

    per_class: int = Field(default=500, ge=1)
    filter: tuple[FilterRule, ...] = ()
    """Which rules select; with none, there is no selection. Only the arm filtered_plus_gan learns from the selected."""

    @field_validator("filter", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("filter")
    @classmethod
    def _once(cls, value: tuple[FilterRule, ...]) -> tuple[FilterRule, ...]:
        if len(set(value)) != len(value):
            raise ValueError("each rule may stand once")
        return value


class ClassifierConfig(Strict):
    """The one classifier of every arm, and of the source."""

    backbone: str = Field(default="cnn", min_length=1)
    """`cnn`, `resnet`, or a folder with a checkpoint of Hugging Face (config.json and model.safetensors), absolute or
    from the project's root; see docs/backbones.md."""
    width: int = Field(default=32, ge=4, le=512)
    """Channels of the first convolution of cnn and resnet; a checkpoint has its own."""
    steps: int = Field(default=600, ge=1)
    source_steps: int = Field(default=1500, ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: Positive = 2e-3
    weight_decay: float = Field(default=1e-2, ge=0.0)
    photometric: bool = False
    """Whether augmentation varies contrast, brightness and sharpness beside shape, in every arm: for a source and a
    target that come from different cameras or scanners. It wants more steps."""

    @property
    def checkpoint(self) -> str | None:
        """The folder of the checkpoint, as the experiment names it; None where the backbone is one of ours."""
        return None if self.backbone in ("cnn", "resnet") else self.backbone


class EvaluationConfig(Strict):
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
    gan_seeds: int = Field(default=1, ge=1)
    """How many GANs each strategy makes of every draw, each with a synthetic set of its own."""
    classifier_seeds: int = Field(default=1, ge=1)
    """How many classifiers learn from the same images; with several GANs, so many from each one's images."""
    trials: int = Field(default=2, ge=2, le=4)
    """Settings that each arm tries on each draw, of which validation picks one."""
    bootstrap: int = Field(default=2000, ge=100)

    @field_validator("arms", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _comparable(self) -> EvaluationConfig:
        if len(set(self.arms)) != len(self.arms):
            raise ValueError("arms: each arm may stand once")
        judged = {"transferred_gan", "best_plus_gan", "two_stage", "filtered_plus_gan", "adapted"}
        plain = [arm for arm in self.arms if arm not in {*judged, "scratch_gan", "synthetic_only"}]
        if not plain:
            raise ValueError("arms: name at least one arm without a GAN, such as real_augmented, to compare with")
        if not judged & set(self.arms):
            raise ValueError("arms: name transferred_gan or best_plus_gan, or there is nothing to give a verdict on")
        return self


class Experiment(Strict):
    """One experiment file, whole."""

    name: Slug
    description: str = ""
    descriptions: Descriptions = Field(default_factory=dict)
    """What each class of source and target looks like, in a few words; `gan.condition: text` learns classes by it."""
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
    schedule: ScheduleConfig | None = None
    retrain: RetrainConfig = RetrainConfig()
    drift: DriftConfig | None = None
    tuning: Ranges | None = None
    """What `gtl tune` may change, by key path. A run of the experiment itself does not look at it."""
    tuned_trials: int | None = Field(default=None, ge=1)
    """Out of how many trials `gtl tune` has chosen these settings; it writes this, and the verdict's scope tells it."""

    @field_validator("schedule", mode="before")
    @classmethod
    def _cron_alone(cls, value: Any) -> Any:
        return as_schedule(value)

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        pool_arms = [arm for arm in self.evaluation.arms if arm in ("self_trained", "info_max", "dann", "adda")]
        if pool_arms and not self.target.use_unlabelled:
            raise ValueError(f"evaluation.arms: {pool_arms[0]} needs target.use_unlabelled: true")
        if "filtered_plus_gan" in self.evaluation.arms and not self.synthesis.filter:
            raise ValueError("evaluation.arms: filtered_plus_gan needs rules in synthesis.filter, such as agreement")
        if any(strategy.label == "scratch_gan" for strategy in self.transfer.strategies):
            raise ValueError("transfer.strategies: scratch_gan is the name of an arm; take another alias")
        if not self.target.has_labels:
            self._possible_without_labels()
        if self.source.dataset == self.target.dataset:
            raise ValueError("source.dataset and target.dataset must be two different sets")
        return self

    @model_validator(mode="after")
    def _described(self) -> Experiment:
        if self.gan.condition == "text" and not self.descriptions:
            raise ValueError("gan.condition: text needs descriptions, a short text for each class")
        return self

    @model_validator(mode="after")
    def _a_game_where_it_is_asked_for(self) -> Experiment:
        if self.gan.architecture == "vae":
            # Translations, which have discriminators of their own, look at augmentation too.
            asked = [f"transfer.{name}" for name in settings_of_the_game(self.transfer) if name != "augmentation"]
            for strategy in self.transfer.strategies:
                if isinstance(strategy, WeightStrategyConfig):
                    own = settings_of_the_game(strategy)
                    asked += [f"transfer.strategies.{strategy.label}.{name}" for name in own]
            if asked:
                raise ValueError(f"{asked[0]}: a vae has no discriminator to play against; leave it out")
        return self

    @model_validator(mode="after")
    def _pool_where_needed(self) -> Experiment:
        for strategy in self.transfer.strategies:
            if isinstance(strategy, (SemiSupervisedConfig, SganConfig)) and not self.target.use_unlabelled:
                raise ValueError(f"transfer.strategies: {strategy.label} needs target.use_unlabelled: true")
        return self

    @model_validator(mode="after")
    def _pairs_where_needed(self) -> Experiment:
        for strategy in self.transfer.strategies:
            if isinstance(strategy, DaganConfig) and strategy.target_steps and self.target.labelled_per_class == 1:
                raise ValueError(
                    f"transfer.strategies: {strategy.label}.target_steps learns from two labelled images of a class, "
                    "and target.labelled_per_class is 1; set target_steps to 0"
                )
        return self

    @model_validator(mode="after")
    def _equal_steps(self) -> Experiment:
        learned = [strategy.steps or 0 for strategy in self.transfer.strategies if strategy.trains_classifier]
        if "adapted" in self.evaluation.arms and learned and self.classifier.steps < max(learned):
            raise ValueError(
                f"evaluation.arms: adapted has learned for {max(learned)} steps of its strategy, so the other arms "
                f"need as many; raise classifier.steps from {self.classifier.steps} to {max(learned)}"
            )
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
        plain = {"source_only", "self_trained", "info_max", "dann", "adda"}
        if not arms & {"best_plus_gan", "adapted"} or not arms & plain:
            raise ValueError(
                "evaluation.arms: with target.labelled_per_class 0 name best_plus_gan or adapted, and source_only, "
                "self_trained or info_max (better all three), dann or adda to compare it with"
            )
