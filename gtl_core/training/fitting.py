"""The optimisation that every classifier shares: AdamW, one cycle of the learning rate, averaged weights, a judge."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from gtl_core.config import ClassifierConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, Progress

CHECKPOINTS = (0.4, 0.6, 0.8, 1.0)
"""Shares of the steps after which a classifier is judged, where a judge is given."""

_AVERAGE_DECAY = 0.99
_WARM_UP = 0.1
_REPORT_SECONDS = 0.25


def fit(
    model: Classifier,
    average: Classifier,
    loss_at: Callable[[int], torch.Tensor],
    parameters: list[torch.nn.Parameter] | list[dict[str, Any]],
    config: ClassifierConfig,
    *,
    steps: int,
    learning_rate: float,
    judge: Callable[[Classifier], tuple[float, ...]] | None,
    on_progress: OnProgress,
    task: str,
) -> Classifier:
    """Lowers a loss with AdamW and a one-cycle learning rate, and gives the average of the model's late weights.

    Args:
        model: what learns, in training mode.
        average: a copy of it in evaluation mode; it becomes the average.
        loss_at: the loss of a step, from 0 on.
        parameters: what the optimiser moves: the model's parameters, and whatever else learns by the same loss; or
            groups of them with rates of their own, `lr`.
        config: batch size and weight decay.
        steps: number of optimiser steps.
        learning_rate: the highest of the cycle.
        judge: value of a candidate, bigger is better. With it, the best of the `CHECKPOINTS` is given, the later
            one of equals; without it the last.
        on_progress: told the loss and the images a second.
        task: name of the work in the progress.
    """
    optimiser = torch.optim.AdamW(
        parameters, lr=learning_rate, weight_decay=config.weight_decay, fused=True, betas=(0.9, 0.99)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step, steps))
    checkpoints = {max(1, round(share * steps)) for share in CHECKPOINTS} if judge else set()
    best: tuple[tuple[float, ...], Classifier] | None = None
    reported, reported_step = time.monotonic(), 0
    for step in range(1, steps + 1):
        loss = loss_at(step - 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        _update_average(average, model, min(_AVERAGE_DECAY, (step - 1) / (step + 9)))
        if judge and step in checkpoints:
            value = judge(average)
            if best is None or value >= best[0]:
                best = (value, copy.deepcopy(average))
        now = time.monotonic()
        if now - reported >= _REPORT_SECONDS or step == steps:
            speed = (step - reported_step) * config.batch / max(now - reported, 1e-9)
            on_progress(Progress(task, step, steps, {"loss": loss.item(), "images_per_second": speed}))
            reported, reported_step = now, step
    return best[1] if best else average


def one_cycle(step: int, steps: int) -> float:
    """Factor of the learning rate: a linear rise, then half a cosine down to zero.

    Args:
        step: steps made.
        steps: steps of the whole training.
    """
    rise = max(1, round(_WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


@torch.no_grad()
def _update_average(average: Classifier, model: Classifier, decay: float) -> None:
    """Moves the averaged weights, and the statistics of its BatchNorm with them, towards the model's."""
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    latest, target = model.state_dict(), average.state_dict()
    moving = [name for name, tensor in latest.items() if tensor.is_floating_point() and name not in fixed]
    torch._foreach_lerp_([target[name] for name in moving], [latest[name] for name in moving], 1.0 - decay)
