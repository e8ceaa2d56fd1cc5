"""`Experiment`: the strict, frozen model of one experiment file, and the only place with defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
    "transferred_gan",
    "best_plus_gan",
    "synthetic_only",
]
Augmentation = Literal["colour", "translation", "cutout"]
"""A DiffAugment policy; each is done to real and to generated images alike."""
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
    labelled_per_class: int = Field(ge=1)
    validation_per_class: int = Field(default=10, ge=1)
    test_fraction: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share held out for test where the set has no test part of its own."""
    use_unlabelled: bool = False
    """Whether the rest of the target's training part may be used without its labels."""


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
    loss: Literal["hinge", "non_saturating"] = "hinge"
    learning_rate_generator: Positive = 3e-4
    learning_rate_discriminator: Positive = 1e-3
    beta1: Fraction = 0.0
    beta2: Fraction = 0.9
    ema_decay: float = Field(default=0.995, ge=0.0, lt=1.0)
    augmentation: tuple[Augmentation, ...] = ()
    """DiffAugment policies in pretraining; with thousands of source images they only weaken the discriminator."""
    checkpoint_every: int = Field(default=500, ge=1)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class FinetuneConfig(_Strict):
    """Load the source generator and discriminator and train all of both (TransferGAN)."""

    name: Literal["finetune"] = "finetune"


class FreezeDConfig(_Strict):
    """Freeze the discriminator's first blocks (FreezeD)."""

    name: Literal["freeze_d"] = "freeze_d"
    blocks: int = Field(default=2, ge=1)


class FreezeGThenPartialConfig(_Strict):
    """The discriminator learns the target alone; then chosen generator blocks learn with it."""

    name: Literal["freeze_g_then_partial"] = "freeze_g_then_partial"
    frozen_share: Fraction = 0.25
    """Share of the steps in which the generator is frozen whole."""
    blocks: int = Field(default=2, ge=1)
    """How many of the generator's last blocks are trained after that; class embeddings always are."""


def _expand_name(value: Any) -> Any:
    """`finetune` stands for `{name: finetune}`."""
    return {"name": value} if isinstance(value, str) else value


StrategyConfig = Annotated[
    Annotated[FinetuneConfig | FreezeDConfig | FreezeGThenPartialConfig, Field(discriminator="name")],
    BeforeValidator(_expand_name),
]


class TransferConfig(_Strict):
    """How the source GAN becomes a target GAN."""

    strategies: tuple[StrategyConfig, ...] = Field(min_length=1)
    steps: int = Field(default=1200, ge=1)
    augmentation: tuple[Augmentation, ...] = ("translation",)
    """DiffAugment policies in transfer, where a discriminator sees few images over and over."""

    @field_validator("strategies", "augmentation", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("strategies")
    @classmethod
    def _distinct(cls, value: tuple[StrategyConfig, ...]) -> tuple[StrategyConfig, ...]:
        names = [strategy.name for strategy in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"each strategy may stand once; repeated: {', '.join(repeated)}")
        return value


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
        plain = [arm for arm in self.arms if arm not in ("transferred_gan", "best_plus_gan", "synthetic_only")]
        if not plain:
            raise ValueError("arms: name at least one arm without a GAN, such as real_augmented, to compare with")
        if not {"transferred_gan", "best_plus_gan"} & set(self.arms):
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
        if "self_trained" in self.evaluation.arms and not self.target.use_unlabelled:
            raise ValueError("evaluation.arms: self_trained needs target.use_unlabelled: true")
        if self.source.dataset == self.target.dataset:
            raise ValueError("source.dataset and target.dataset must be two different sets")
        return self


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
