"""Fine-tuning: source weights, then all of both networks learns the target."""

from __future__ import annotations

from dataclasses import dataclass

from gtl_core.config import FinetuneConfig
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class Finetune(WeightStrategy):
    """TransferGAN (Wang et al., ECCV 2018, arXiv 1805.01677): all of both networks, all the time."""

    config: FinetuneConfig
