"""What a new model must show before it replaces the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gtl_core.config.base import Positive, Strict

Metric = Literal["balanced_accuracy", "accuracy"]


class LimitsConfig(Strict):
    """Bounds that a new model must keep whatever its gain; what is not set is not asked for."""

    membership_auc: float | None = Field(default=None, ge=0.5, lt=1.0)
    """The AUC of the membership-inference attack on the generator may be at most this; 0.5 is what chance gives."""
    worst_class: float | None = Field(default=None, gt=0.0, le=1.0)
    """The recall of the class that is recognised worst must be at least this."""
    ece: float | None = Field(default=None, gt=0.0, lt=1.0)
    """The expected calibration error may be at most this."""
    latency_ms: Positive | None = None
    """A prediction of one image, the median of several in a fresh process, may take at most so many milliseconds. It
    depends on the machine that the gate runs on."""
    megabytes: Positive | None = None
    """All files of the packaged classifier may be at most so big; a megabyte is 1,000,000 bytes."""


class PromotionConfig(Strict):
    """The rules of the gate, and who lets a model through."""

    metric: Metric = "balanced_accuracy"
    min_gain: float = Field(default=0.0, ge=-1.0, le=1.0)
    """How much higher than the champion's the score must be on today's test images, as a share: 0.01 is one point. A
    negative one allows a loss."""
    interval: float | None = Field(default=None, ge=0.5, le=0.999)
    """With 0.95, the lower end of the gain's 95 % interval must reach min_gain, and not only the gain itself: a model
    whose true gain is min_gain then passes in about 2.5 % of cases. A first model, with no champion to beat, passes."""
    limits: LimitsConfig = LimitsConfig()
    approval: Literal["automatic", "manual"] = "manual"
    """Whether a model that passes becomes champion by itself, or waits as challenger for somebody's word."""
    memorisation: Literal["screen", "ignore"] = "ignore"
    """With screen, a model whose generator is said to copy its training images is refused."""

    @property
    def asks_for_memorisation(self) -> bool:
        """Whether the gate needs to know what was measured of the generator's memorisation."""
        return self.memorisation == "screen" or self.limits.membership_auc is not None

    @model_validator(mode="after")
    def _within_reach(self) -> PromotionConfig:
        if self.interval is not None and abs(self.min_gain) == 1.0:
            said = "never reaches 1" if self.min_gain > 0 else "is never below -1"
            raise ValueError(f"min_gain: the lower end of an interval {said}, so with interval set name one between")
        return self
