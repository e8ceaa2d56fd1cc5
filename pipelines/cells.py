"""Cells of work that run side by side in other processes: each builds one stage of one strategy and one draw."""

from __future__ import annotations

from pathlib import Path

from gtl_core.config import Experiment, StrategyConfig
from gtl_core.progress import OnProgress
from gtl_core.store import Stage, StageStore


def transfer_cell(
    *,
    store: StageStore,
    name: str,
    key: str,
    force: bool,
    experiment: Experiment,
    target: Path,
    strategy: StrategyConfig,
    source: Path,
    draw: Path,
    on_progress: OnProgress,
) -> Stage:
    """Transfers the source GAN to the labelled images of one draw by one strategy."""

    def make(folder: Path) -> None:
        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet, fitted
        from gtl_core.transfer.strategies import transfer

        images, chosen = ImageSet.load(target), Draw.load(draw)
        gan = experiment.gan.model_copy(update={"augmentation": experiment.transfer.augmentation})
        transfer(
            strategy,
            source,
            fitted(images.images[chosen.labelled], experiment.image.size),
            images.labels[chosen.labelled],
            images.classes,
            gan,
            experiment.transfer.steps,
            chosen.seed,
            folder,
            on_progress,
        )

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
        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet
        from gtl_core.synthesis.sampling import synthesise
        from gtl_core.validation.suite import validate_synthetic

        real, chosen = ImageSet.load(target), Draw.load(draw)
        made = synthesise(gan, experiment.synthesis.per_class, chosen.seed, folder, on_progress)
        validate_synthetic(made.as_image_set(), real, chosen.labelled).save(folder)

    return store.build(name, key, make, force=force)
