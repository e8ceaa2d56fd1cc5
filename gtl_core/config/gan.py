"""Settings of the source GAN and of how GANs are trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gtl_core.config.base import AdversarialLossName, Augmentation, Fraction, Positive, Strict, Weight

_OF_THE_GAME = ("loss", "augmentation", "adaptive_augmentation", "lecam", "gradient_penalty", "diversity")
"""Settings that say how generator and discriminator play against each other."""


def settings_of_the_game(part: Strict) -> list[str]:
    """What a part of an experiment file asks of the adversarial game beyond its defaults, which a vae does not play."""
    fields = type(part).model_fields
    chosen = [name for name in _OF_THE_GAME if name in fields and getattr(part, name)]
    return [name for name in chosen if getattr(part, name) != fields[name].default]


class GanConfig(Strict):
    """Architecture and pretraining of the source GAN."""

    architecture: Literal["dcgan", "fully_connected", "vae", "vae_gan"] = "dcgan"
    condition: Literal["class", "text"] = "class"
    """Whether a class is a row of free numbers, or is told by its text in `descriptions`, so that one never seen can be
    asked for by a text."""
    width: int = Field(default=32, ge=4, le=512)
    latent: int = Field(default=64, ge=2, le=1024)
    steps: int = Field(default=4000, ge=1)
    batch: int = Field(default=64, ge=2)
    loss: AdversarialLossName = "hinge"
    learning_rate_generator: Positive = 3e-4
    learning_rate_discriminator: Positive = 1e-3
    """Also of a vae's encoder; that of a vae_gan learns as fast as its generator."""
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
    beta: Positive = 20.0
    """Weight of the divergence from the prior in the evidence lower bound of a vae or vae_gan, whose own is 1.

    Pixels are taken to be independent, which overrates what they tell: of 400 handwritten digits, with 1 a vae drew
    digits of which a quarter were read as the class asked for, with 10 three quarters at 0.8 of the real images' spread
    within a class, with 20 nearly all at 0.5, with 40 all at 0.3."""
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

    @model_validator(mode="after")
    def _of_its_architecture(self) -> GanConfig:
        if self.architecture == "vae" and (unused := settings_of_the_game(self)):
            raise ValueError(
                f"{unused[0]}: a vae has no discriminator to play against; leave it out, or take architecture vae_gan"
            )
        if "vae" not in self.architecture and self.beta != GanConfig.model_fields["beta"].default:
            raise ValueError(f"beta: {self.architecture} has no encoder; leave it out, or take architecture vae")
        return self
