"""Settings of the source GAN and of how GANs are trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gtl_core.config.base import AdversarialLossName, Augmentation, Fraction, Positive, Strict, Weight


class GanConfig(Strict):
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
