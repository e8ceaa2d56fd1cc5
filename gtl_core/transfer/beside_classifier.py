"""The way that a training runs in which a classifier learns beside the generator, and what it leaves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gtl_core.config import SganConfig, TranslationConfig
from gtl_core.files import canonical_sha256
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import save_classifier
from gtl_core.training.companion_trainer import AVERAGED_CLASSIFIER, CompanionTrainer
from gtl_core.training.gan import arrays_sha256
from gtl_core.training.loop import run_training
from gtl_core.training.runtime import device
from gtl_core.transfer.inputs import TransferInputs


def train_beside_classifier(
    strategy: TranslationConfig | SganConfig,
    inputs: TransferInputs,
    start: GanCheckpoint,
    classifier: Classifier,
    make_trainer: Callable[[GanCheckpoint], CompanionTrainer],
    *,
    settings: Mapping[str, Any],
    checkpoint_every: int,
    real_spread: float,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Trains, and puts the averaged classifier beside the generator as `classifier.safetensors`; see `run_training`.

    Args:
        strategy: its settings.
        inputs: what the strategy may look at.
        start: weights to begin with, at step 0.
        classifier: what the classifier starts as; it stays as it is.
        make_trainer: takes the training up at a checkpoint.
        settings: what else the result depends on, the images and what holds for all strategies among it.
        checkpoint_every: steps between two checkpoints.
        real_spread: spread within classes of the images that what is drawn is to be as varied as.
        folder: gets the files of `run_training` and the classifier.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        Diverged: the training went wrong, and again with smaller learning rates.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    recipe = {
        "strategy": strategy.model_dump(mode="json", exclude={"alias"}),
        "photometric": inputs.classifier.photometric,
        "classes": inputs.classes,
        "classifier": arrays_sha256(*(tensor.cpu().numpy() for tensor in classifier.state_dict().values())),
        "weights": start.weights_sha256(),
        "seed": inputs.seed,
        "device": device().type,
        **settings,
    }
    path = run_training(
        start,
        make_trainer,
        steps=strategy.steps,
        batch=strategy.batch,
        checkpoint_every=checkpoint_every,
        recipe=canonical_sha256(recipe),
        seed=inputs.seed,
        folder=folder,
        on_progress=on_progress,
        task=strategy.label,
        real_spread=real_spread,
    )
    taught = copy.deepcopy(classifier)
    taught.load_state_dict(GanCheckpoint.load(path).companion(AVERAGED_CLASSIFIER))
    save_classifier(folder / "classifier.safetensors", taught, inputs.classes)
    return path
