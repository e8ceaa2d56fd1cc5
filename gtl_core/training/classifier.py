"""Training of the one classifier of every arm, its weight file, and its predictions."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from gtl_core.config import ClassifierConfig
from gtl_core.errors import InputError
from gtl_core.files import atomic_path
from gtl_core.networks.backbones import build_classifier
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, silent
from gtl_core.training.augment import augment
from gtl_core.training.batches import Batches, Pool, UnlabelledBatches
from gtl_core.training.feature_adaptation import Reversal, Reversing
from gtl_core.training.fitting import fit
from gtl_core.training.information import mutual_information
from gtl_core.training.parts import Learns, learning_parts
from gtl_core.training.pretrained import load_checkpoint
from gtl_core.training.runtime import autocast, device, keep_memory, placed, suitable_threads, to_unit_range

UNTRAINED = "untrained.safetensors"
"""Name of the weight file of a checkpoint, with a head that knows nothing yet."""

_PREDICTION_BATCH = 512


@dataclass(frozen=True)
class Unlabelled:
    """Unlabelled images: they join with labels that the classifier itself gives them, and by what they tell without.

    Attributes:
        images: uint8 (N, C, S, S).
        threshold: probability from which a label counts as confident.
        weight: as of a `Pool`.
        columns: the logits that may label them, or None for all.
        rounds: shares of the steps at which the labels are given anew.
        information: weight of the mutual information between image and predicted class, which is raised on a batch
            of these images at every step; 0 for none.
    """

    images: np.ndarray
    threshold: float
    weight: float
    columns: tuple[int, ...] | None = None
    rounds: tuple[float, ...] = (0.2, 0.35, 0.5, 0.65, 0.8)
    information: float = 0.0


def new_classifier(
    *, size: int, channels: int, width: int, classes: int, seed: int, backbone: str = "cnn"
) -> Classifier:
    """An untrained classifier of ours with weights from `seed`."""
    options = {"size": size, "channels": channels, "width": width, "classes": classes}
    return _initialised(build_classifier(backbone, options), seed)


def _initialised(model: Classifier, seed: int) -> Classifier:
    """The classifier with new weights (He et al. 2015 for the convolutions)."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
    nn.init.normal_(model.head.weight, std=0.01, generator=generator)
    nn.init.zeros_(model.head.bias)
    return model


def carry_over(start: Classifier, old: Sequence[str], new: Sequence[str], seed: int) -> Classifier:
    """A classifier for the classes `new` that starts from one for the classes `old`.

    The trunk is copied. So are the head's rows of the classes whose names agree; the other rows start from small
    random numbers.
    """
    model = _initialised(build_classifier(start.backbone, {**start.options, "classes": len(new)}), seed)
    model.trunk.load_state_dict(start.trunk.state_dict())
    with torch.no_grad():
        for row, name in enumerate(new):
            if name in old:
                model.head.weight[row] = start.head.weight[list(old).index(name)]
                model.head.bias[row] = start.head.bias[list(old).index(name)]
    return model


def train_classifier(
    start: Classifier,
    pools: Sequence[Pool],
    config: ClassifierConfig,
    *,
    steps: int,
    learning_rate: float,
    augmented: bool,
    seed: int,
    unlabelled: Unlabelled | None = None,
    reversing: Reversing | None = None,
    learns: Learns = "all",
    rate_decay: float = 1.0,
    judge: Callable[[Classifier], tuple[float, ...]] | None = None,
    on_progress: OnProgress = silent,
    task: str = "classifier",
) -> Classifier:
    """Trains a copy of `start` with AdamW and a one-cycle learning rate, and gives the average of its late weights.

    Every batch holds `config.batch` images, shared out among the pools by weight and drawn evenly over the classes
    of each.

    Args:
        start: the classifier to begin with; it stays as it is.
        pools: what to learn from.
        config: batch size, weight decay, and the kind of augmentation.
        steps: number of optimiser steps.
        learning_rate: the highest of the cycle.
        augmented: whether every training image is augmented.
        seed: of sampling and augmentation.
        unlabelled: images to learn from with confident labels of the classifier's own.
        reversing: target images whose features are to look like those of the source pools (DANN).
        learns: which part learns; see `learning_parts`.
        rate_decay: how much slower a stage learns than the one after it; see `learning_parts`.
        judge: value of a candidate, bigger is better. With it, the best of the `CHECKPOINTS` is given, the later
            one of equals; without it the last.
        on_progress: told the loss and the images a second.
        task: name of the work in the progress.

    Returns:
        The classifier, on the training device and in evaluation mode.
    """
    keep_memory()
    place = device()
    model = placed(copy.deepcopy(start), place).train()
    average = copy.deepcopy(model).eval()
    learning = learning_parts(model, learns, rate_decay, learning_rate)
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    draw = functools.partial(
        Batches, batch=config.batch, steps=steps, classes=start.head.out_features, rng=rng, place=place
    )
    batches = draw(pools)
    informing = (
        UnlabelledBatches(unlabelled.images, batch=config.batch, steps=steps, rng=rng, place=place)
        if unlabelled and unlabelled.information
        else None
    )
    rounds = {round(share * steps) for share in unlabelled.rounds} if unlabelled else set()
    reversal = (
        Reversal(reversing, steps, config.batch, start.head.in_features, seed, place)
        if reversing and reversing.weight
        else None
    )

    def loss_at(step: int) -> torch.Tensor:
        nonlocal batches
        if unlabelled and step in rounds:
            batches = draw([*pools, *_confident(average, unlabelled)])
        images, labels, forbidden = batches.at(step)
        beside = [part.at(step) for part in (informing, reversal) if part]
        inputs = to_unit_range(torch.cat([images, *beside]))
        if augmented:
            inputs = augment(inputs, generator, photometric=config.photometric)
        with autocast(place):
            features = model.trunk(inputs.contiguous(memory_format=torch.channels_last))
            logits = model.head(features)
        loss = functional.cross_entropy(logits[: len(labels)].float() + forbidden, labels)
        if unlabelled and informing:
            free = logits[len(labels) : len(labels) + len(beside[0])]
            allowed = free if unlabelled.columns is None else free[:, list(unlabelled.columns)]
            loss = loss - unlabelled.information * mutual_information(allowed)
        if reversal:
            of_source = features[: len(labels)][batches.from_source]
            loss = loss + reversal.loss(of_source, features[-len(beside[-1]) :], step)
        return loss

    return fit(
        model,
        average,
        loss_at,
        [*learning, *([{"params": list(reversal.discriminator.parameters())}] if reversal else [])],
        config,
        steps=steps,
        learning_rate=learning_rate,
        judge=judge,
        on_progress=on_progress,
        task=task,
    )


def _confident(model: Classifier, unlabelled: Unlabelled) -> list[Pool]:
    """The unlabelled images that the classifier is sure of, with its labels; empty where there is none."""
    probabilities = predict(model, unlabelled.images)
    if unlabelled.columns is not None:
        allowed = np.zeros(probabilities.shape[1], dtype=bool)
        allowed[list(unlabelled.columns)] = True
        probabilities = np.where(allowed, probabilities, 0.0)
        probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    sure = np.flatnonzero(probabilities.max(axis=1) >= unlabelled.threshold)
    if not len(sure):
        return []
    labels = probabilities[sure].argmax(axis=1).astype(np.int64)
    return [Pool(unlabelled.images[sure], labels, unlabelled.weight, unlabelled.columns)]


def save_classifier(path: Path, model: Classifier, classes: Sequence[str]) -> None:
    """Writes weights, options and class names as one safetensors file, in one atomic step."""
    # One key, because safetensors writes several in an order that changes from process to process.
    about = json.dumps({"backbone": model.backbone, "options": model.options, "classes": list(classes)}, sort_keys=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"gtl": about})


def load_classifier(path: Path) -> tuple[Classifier, tuple[str, ...]]:
    """A classifier in evaluation mode on the training device, and its class names.

    Raises:
        InputError: the file is missing, damaged, or of something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["gtl"])
        # Files from when there was one backbone only do not name it.
        model = build_classifier(about.get("backbone", "cnn"), about["options"])
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is not a classifier's weight file: {reason}; make it again") from error
    return placed(model, device()).eval(), tuple(about["classes"])


def train_source_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    config: ClassifierConfig,
    seed: int,
    folder: Path,
    on_progress: OnProgress = silent,
    checkpoint: Path | None = None,
) -> Path:
    """Trains the classifier of the source set, augmented, and writes it to `folder/classifier.safetensors`.

    Where the backbone is a checkpoint, what it began as is put beside it, as `UNTRAINED`: arms that have nothing to do
    with the source start from that.

    Args:
        images: uint8 (N, C, S, S), the source's, at the experiment's size.
        labels: int64 (N,).
        classes: names.
        config: width, batch, steps and learning rate.
        seed: of weights, sampling and augmentation.
        folder: where the weight file is put.
        on_progress: told the loss and the images a second.
        checkpoint: folder of the checkpoint, where the backbone is one.

    Raises:
        InputError: as `load_checkpoint` raises it, or the learning rate is so high that the weights are no numbers.
    """
    _, channels, size, _ = images.shape
    kind = {"size": size, "channels": channels, "classes": len(classes)}
    if checkpoint is None:
        start = new_classifier(**kind, width=config.width, seed=seed, backbone=config.backbone)
    else:
        start = carry_over(load_checkpoint(checkpoint, **kind), (), classes, seed)
        save_classifier(folder / UNTRAINED, start, classes)
    with suitable_threads(size):
        model = train_classifier(
            start,
            [Pool(images, labels, 1.0)],
            config,
            steps=config.source_steps,
            learning_rate=config.learning_rate,
            augmented=True,
            seed=seed,
            on_progress=on_progress,
            task="source_classifier",
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values()):
        raise InputError("the training of the source classifier diverged; lower classifier.learning_rate")
    path = folder / "classifier.safetensors"
    save_classifier(path, model, classes)
    return path


def predict(model: Classifier, images: np.ndarray) -> np.ndarray:
    """Class probabilities float32 (N, K) of images uint8 (N, C, S, S); the model is left in evaluation mode.

    In float32, as registered classifiers predict: bfloat16 logits are so coarse that classes tie.
    """
    model.eval()
    place = next(model.parameters()).device
    parts = [np.empty((0, model.head.out_features), dtype=np.float32)]
    for start in range(0, len(images), _PREDICTION_BATCH):
        batch = torch.from_numpy(np.array(images[start : start + _PREDICTION_BATCH])).to(place)
        with torch.no_grad():
            logits = model(to_unit_range(batch).contiguous(memory_format=torch.channels_last))
        parts.append(logits.softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)
