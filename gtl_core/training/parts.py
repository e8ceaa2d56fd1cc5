"""Which parts of a classifier learn, and how fast: all of it, its last stage, or each stage at a rate of its own."""

from __future__ import annotations

from typing import Any, Literal

from gtl_core.networks.classifier import Classifier

Learns = Literal["all", "last_stage"]


def learning_parts(model: Classifier, learns: Learns, rate_decay: float, learning_rate: float) -> list[dict[str, Any]]:
    """Freezes what is not to learn, and gives the rest as an optimiser takes it: groups with their rates.

    What is frozen keeps its weights and, because it is put in evaluation mode, the statistics of its BatchNorm. Rates
    that differ by stage are those of Howard & Ruder 2018 (arXiv 1801.06146), section 3.2: the further from the head,
    the more general is what a stage has learned, and the less should change.

    Args:
        model: in training mode; it is changed.
        learns: `all` of the network, or its `last_stage` with the head.
        rate_decay: how many times smaller the rate of each stage is than that of the next one towards the head.
        learning_rate: of the head.
    """
    if learns == "last_stage":
        model.trunk.eval().requires_grad_(False)
        model.stages[-1].train().requires_grad_(True)
    groups = []
    for depth, part in enumerate([model.head, *reversed(model.stages)]):
        parameters = [parameter for parameter in part.parameters() if parameter.requires_grad]
        if parameters:
            groups.append({"params": parameters, "lr": learning_rate / rate_decay**depth})
    return groups
