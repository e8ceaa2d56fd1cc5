"""Cells of work that run side by side in other processes: each builds one stage of one strategy, draw and GAN seed."""

from __future__ import annotations

from pathlib import Path

from gtl_core.config import Experiment, FinetuneConfig, StrategyConfig
from gtl_core.errors import Diverged
from gtl_core.files import read_json, write_json
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
    strategy: StrategyConfig | None,
    source_gan: Path | None,
    source_classifier: Path | None,
    draw: Path,
    gan_seed: int,
    on_progress: OnProgress,
) -> Stage:
    """Makes a GAN of the target for one draw, or a record of why its training failed.

    `source_gan` is what the strategy starts from; where its training went wrong, so has this one.

    With no strategy the GAN learns from the labelled target images alone, for the steps that the source GAN had and
    with the help for few images that a transfer has.
    """

    def make(folder: Path) -> None:
        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet, fitted
        from gtl_core.training.class_texts import class_texts
        from gtl_core.transfer.inputs import TransferInputs
        from gtl_core.transfer.pretrain import pretrain_source
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
            seed=chosen.repetition_seed(gan_seed),
            texts=class_texts(experiment, images.classes),
            classifier=experiment.classifier,
        )
        if source_gan and source_gan.with_name(FAILURE).is_file():
            write_json(folder / FAILURE, read_json(source_gan.with_name(FAILURE)))
            return
        try:
            if strategy is None:
                settings = experiment.gan.model_copy(update=experiment.transfer.helps(FinetuneConfig()))
                few = (inputs.images, inputs.labels, inputs.classes)
                pretrain_source(*few, settings, inputs.seed, folder, on_progress, inputs.texts)
            else:
                transfer(strategy, inputs, experiment.gan, experiment.transfer, folder, on_progress)
        except Diverged as error:
            write_json(folder / FAILURE, {"reason": str(error)})

    return store.build(name, key, make, force=force, shared=True)


def synthesis_cell(
    *,
    store: StageStore,
    name: str,
    key: str,
    force: bool,
    experiment: Experiment,
    target: Path,
    gan: Path,
    source_classifier: Path,
    draw: Path,
    gan_seed: int,
    on_progress: OnProgress,
) -> Stage:
    """Samples a class-balanced set from one GAN, selects among it, and validates it as real data are validated."""

    def make(folder: Path) -> None:
        import numpy as np

        from gtl_core.data.draws import Draw
        from gtl_core.data.image_set import ImageSet, fitted
        from gtl_core.synthesis.sampling import synthesise
        from gtl_core.synthesis.selection import KnownImages, select
        from gtl_core.validation.suite import validate_synthetic

        real, chosen = ImageSet.load(target), Draw.load(draw)
        seed = chosen.repetition_seed(gan_seed)
        made = synthesise(gan, experiment.synthesis.per_class, seed, folder, on_progress)
        pool = chosen.unlabelled if experiment.target.use_unlabelled else chosen.unlabelled[:0]
        if experiment.synthesis.filter:
            labelled, unlabelled = (
                fitted(real.images[rows], experiment.image.size) for rows in (chosen.labelled, pool)
            )
            known = KnownImages(labelled, real.labels[chosen.labelled], unlabelled)
            rules, settings = experiment.synthesis.filter, experiment.classifier
            made = select(folder, rules, known, source_classifier, settings, chosen.seed, on_progress)
        validate_synthetic(made.as_image_set(), real, np.concatenate([chosen.labelled, pool])).save(folder)

    return store.build(name, key, make, force=force, shared=True)
