"""What all parts of an experiment file are made of: strict models, and the kinds of their values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LONGEST_SLUG = 64
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=LONGEST_SLUG)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]

Augmentation = Literal["colour", "translation", "cutout"]
"""A DiffAugment policy; each is done to real and to generated images alike."""
AdversarialLossName = Literal["hinge", "non_saturating", "relativistic"]
Weight = Annotated[float, Field(ge=0.0)]
"""What a term of a loss counts; 0 leaves it out."""


class Strict(BaseModel):
    """Unknown keys, wrong types, infinities and NaN are refused; values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
