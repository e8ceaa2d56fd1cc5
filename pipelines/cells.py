"""Cells of work that run side by side in other processes: each builds one stage of one strategy and one draw."""

from __future__ import annotations

from pathlib import Path

from gtl_core.config import Experiment, StrategyConfig
from gtl_core.errors import Diverged
from gtl_core.files import write_json
from gtl_core.progress import OnProgress
from gtl_core.store import Stage, StageStore

FAILURE = "failure.json"
"""In the stage of a transfer that went wrong, instead of a GAN: the strategy is left out and the others go on."""


def transfer_cell(
    *,
    store: StageStore,
    name: str,
    key: str,
    force: bool,
    experiment: Experiment,
    source: Path,
    target: Path,
    strategy: StrategyConfig,
    source_gan: Path | None,
    source_classifier: Path | None,
    draw: Path,
    on_progress: OnProgress,
) -> Stage:
    """Makes a GAN of the target for one draw by one strategy, or a record of why its training failed."""

    def make(folder: Path) -> None:
        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet, fitted
        from gtl_core.transfer.inputs import TransferInputs
        from gtl_core.transfer.strategies import transfer

        size = experiment.image.size
        origin, images, chosen = ImageSet.load(source), ImageSet.load(target), Draw.load(draw)
        rows = origin.training_rows()
        pool = chosen.unlabelled if experiment.target.use_unlabelled else chosen.unlabelled[:0]
        inputs = TransferInputs(
            images=fitted(images.images[chosen.labelled], size),
            labels=images.labels[chosen.labelled],
            classes=images.classes,
            unlabelled=fitted(images.images[pool], size),
            source_images=fitted(origin.images[rows], size),
            source_labels=origin.labels[rows],
            source_classes=origin.classes,
            source_gan=source_gan,
            source_classifier=source_classifier,
            seed=chosen.seed,
            photometric=experiment.classifier.photometric,
        )
        try:
            transfer(strategy, inputs, experiment.gan, experiment.transfer, folder, on_progress)
        except Diverged as error:
            write_json(folder / FAILURE, {"reason": str(error)})

    return store.build(name, key, make, force=force)


def synthesis_cell(
    *,
    store: StageStore,
    name: str,
    key: str,
    force: bool,
    experiment: Experiment,
    target: Path,
    gan: Path,
    draw: Path,
    on_progress: OnProgress,
) -> Stage:
    """Samples a class-balanced set from one transferred GAN, and validates it as real data are validated."""

    def make(folder: Path) -> None:
        import numpy as np

        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet
        from gtl_core.synthesis.sampling import synthesise
        from gtl_core.validation.suite import validate_synthetic

        real, chosen = ImageSet.load(target), Draw.load(draw)
        made = synthesise(gan, experiment.synthesis.per_class, chosen.seed, folder, on_progress)
        seen = [chosen.labelled, chosen.unlabelled] if experiment.target.use_unlabelled else [chosen.labelled]
        validate_synthetic(made.as_image_set(), real, np.concatenate(seen)).save(folder)

    return store.build(name, key, make, force=force)
