"""The chain of stages of one experiment: which part of `gtl_core` makes each, and from the files of which others.

What a stage's key is made from stands in `stage_keys.py`, which code in `stage_rooms.py`, and how a finished one is
found again in `finished_stages.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import DaganConfig
from gtl_core.data.directory_hash import Unchanged
from gtl_core.errors import Diverged, GtlError, InputError
from gtl_core.files import write_json
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.store import Stage, StageStore
from pipelines.cells import FAILURE, synthesis_cell, transfer_cell
from pipelines.finished_stages import FinishedStages
from pipelines.stage_keys import gan_name, images_name

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.evaluation.usefulness import Comparison

_OF_SOURCE_ALONE = ("source_gan", "source_classifier", "source_dagan")


@dataclass(frozen=True)
class Chain(FinishedStages):
    """The stages of one experiment, each built by the method of its name.

    Attributes (besides those of `StageKeys`):
        on_progress: shows progress.
        force: build each stage anew, also where it is there.
    """

    on_progress: OnProgress = silent
    force: bool = False

    def data_validation(self) -> Stage:
        """Validates both sets; the stage holds `validation.json` and `quarantine.csv`."""

        def make(folder: Path) -> None:
            from gtl_core.validation.suite import validate_experiment

            validate_experiment(*self.sets, labelled=self.experiment.target.has_labels).save(folder)

        return self._build("data_validation", self.validation_key, make)

    def draws(self) -> Stage:
        """Makes the few-shot draws, one JSON file each."""

        def make(folder: Path) -> None:
            from gtl_core.data.draws import make_draws

            target = self.experiment.target
            draws = make_draws(
                self.sets[1],
                labelled_per_class=target.labelled_per_class,
                validation_per_class=target.validation_per_class,
                test_fraction=target.test_fraction,
                draws=self.experiment.evaluation.draws,
                seed=self.experiment.seed,
            )
            for index, draw in enumerate(draws):
                draw.save(folder / f"{index}.json")

        return self._build("draws", self.draws_key, make)

    def source_gan(self) -> Stage:
        """Trains a GAN on the source."""

        def make(folder: Path) -> None:
            from gtl_core.training.class_texts import class_texts
            from gtl_core.transfer.pretrain import pretrain_source

            source, experiment = self._source(), self.experiment
            texts = class_texts(experiment, source[2])
            pretrain_source(*source, experiment.gan, experiment.seed, folder, self.on_progress, texts)

        return self._build("source_gan", self.source_gan_key, make)

    def source_classifier(self) -> Stage:
        """Trains a classifier on the source."""

        def make(folder: Path) -> None:
            from gtl_core.training.classifier import train_source_classifier

            train_source_classifier(
                *self._source(),
                self.experiment.classifier,
                self.experiment.seed,
                folder,
                self.on_progress,
                self._checkpoint,
            )

        return self._build("source_classifier", self.source_classifier_key, make)

    @cached_property
    def source_dagans(self) -> dict[str, Stage]:
        """What each strategy of learned augmentation learns on the source alone, by label, once for all draws.

        Where the training went wrong the stage holds a record of why.
        """
        from gtl_core.transfer.dagan import pretrain_dagan

        made, stopped = {}, self.stopped()
        for strategy in self._dagans:
            if strategy.label in stopped:
                continue

            def make(folder: Path, strategy: DaganConfig = strategy) -> None:
                try:
                    pretrain_dagan(strategy, *self._source(), self.experiment.seed, folder, self.on_progress)
                except Diverged as error:
                    write_json(folder / FAILURE, {"reason": str(error)})

            name = f"source_dagan/{strategy.label}"
            store = self._store_of("source_dagan")
            key = self.source_dagan_key(strategy)
            made[strategy.label] = store.build(name, key, make, force=self.force, shared=True)
        return made

    def _source(self) -> tuple[Any, Any, tuple[str, ...]]:
        """What is learned from the source: uint8 (N, C, S, S) of the experiment's size, int64 (N,), class names."""
        from gtl_core.data.image_set import fitted

        source = self.sets[0]
        rows = source.training_rows()
        return fitted(source.images[rows], self.experiment.image.size), source.labels[rows], source.classes

    def pilot(self) -> Stage:
        """Transfers every strategy for a share of its steps, and judges it on validation; `pilot.json` says how.

        Raises:
            InputError: the experiment has no pilot.
        """
        if self.pilot_key is None:
            raise InputError(f"{self.experiment.name}: transfer.pilot is not set, so there is no pilot to judge")

        def make(folder: Path) -> None:
            from gtl_core.evaluation.pilot import judge_pilots

            pilots = self._pilots
            pilots.transferred_gans()
            failures = pilots.failures()
            synthetic: dict[str, list[Path]] = {}
            if len(failures) < len(self.experiment.transfer.strategies):
                pilots.synthetic_images()
                synthetic = pilots.synthetic_folders()
            judge_pilots(self._comparison(self.load_draws(), synthetic), failures, folder, self.on_progress)

        return self._build("pilot", self.pilot_key, make)

    @cached_property
    def _pilots(self) -> Chain:
        """The chain of the pilots: each strategy for fewer steps, one GAN a draw, and no selection of its images."""

        def on_progress(progress: Progress) -> None:
            self.on_progress(replace(progress, task=f"pilots: {progress.task}"))

        return replace(super()._pilots, on_progress=on_progress)

    def transferred_gans(self) -> list[Stage]:
        """Makes the GANs of the target: for every draw and GAN seed by every strategy, and without; a stage each."""
        draws, stopped = self.require("draws").path, self.stopped()
        source_gan = self.require("source_gan").path / "gan.safetensors" if self.needs_source_gan else None
        dagans = {label: stage.path / "gan.safetensors" for label, stage in self.source_dagans.items()}
        source_classifier = self.require("source_classifier").path / "classifier.safetensors"
        cells = [
            {
                "store": self._store_of("transferred_gan"),
                "name": gan_name(label, draw, seed),
                "key": self.transferred_key(strategy, draw, seed),
                "force": self.force,
                "experiment": self.experiment,
                "source": self.homes.data / self.experiment.source.dataset,
                "target": self.homes.data / self.experiment.target.dataset,
                "strategy": strategy,
                "source_gan": dagans.get(label, source_gan if strategy and strategy.uses_source_gan else None),
                "source_classifier": source_classifier if strategy and strategy.uses_source_classifier else None,
                "draw": draws / f"{draw}.json",
                "gan_seed": seed,
            }
            for label, draw, seed in self._grid
            if label not in stopped
            for strategy in [self._strategy(label)]
        ]
        return self._run(transfer_cell, cells, "transferred_gans")

    def synthetic_images(self) -> list[Stage]:
        """Samples images from the GANs that worked, and validates them; a stage each.

        Raises:
            GtlError: no strategy worked.
        """
        draws, failures = self.require("draws").path, self.failures()
        if {strategy.label for strategy in self.experiment.transfer.strategies} <= failures.keys():
            reasons = "; ".join(f"{strategy}: {reason}" for strategy, reason in failures.items())
            raise GtlError(f"{self.experiment.name}: no strategy worked ({reasons}); name others or change settings")
        cells = [
            {
                "store": self._store_of("synthetic_images"),
                "name": images_name(label, draw, seed),
                "key": self.synthetic_key(self._strategy(label), draw, seed),
                "force": self.force,
                "experiment": self.experiment,
                "target": self.homes.data / self.experiment.target.dataset,
                "gan": self.transferred(label, draw, seed).path / "gan.safetensors",
                "source_classifier": self.require("source_classifier").path / "classifier.safetensors",
                "draw": draws / f"{draw}.json",
                "gan_seed": seed,
            }
            for label, draw, seed in self._grid
            if label not in failures
        ]
        return self._run(synthesis_cell, cells, "synthetic_images")

    def domain_gap(self) -> Stage:
        """Measures how related source and target are, by what the first draw may see; the stage holds `gap.json`."""

        def make(folder: Path) -> None:
            from gtl_core.metrics.relatedness import NUMBERS, gap_of_draw

            gap = gap_of_draw(
                *self.sets,
                self.load_draws()[0],
                self.require("source_classifier").path / "classifier.safetensors",
                size=self.experiment.image.size,
                use_labels=self.experiment.target.has_labels,
                seed=self.experiment.seed,
            )
            write_json(folder / NUMBERS, gap)

        return self._build("domain_gap", self.domain_gap_key, make)

    def synthetic_quality(self) -> Stage:
        """Measures the synthetic images, those of each strategy's first GAN seed; no test image is looked at."""

        def make(folder: Path) -> None:
            from gtl_core.metrics.quality import measure

            made = {label: [seeds[0] for seeds in draws] for label, draws in self._made(self.synthetic).items()}
            gans = {label: [seeds[0] for seeds in draws] for label, draws in self._made(self.transferred).items()}
            measure(
                self.experiment,
                source=self.homes.data / self.experiment.source.dataset,
                target=self.homes.data / self.experiment.target.dataset,
                draws=self.load_draws(),
                source_classifier=self.require("source_classifier").path / "classifier.safetensors",
                synthetic=made,
                gans={label: [gan / "gan.safetensors" for gan in of_draws] for label, of_draws in gans.items()},
                failures=self.failures(),
                folder=folder,
                on_progress=self.on_progress,
            )

        return self._build("synthetic_quality", self.quality_key, make)

    def usefulness(self) -> Stage:
        """Measures, on validation alone, what the synthetic images of the draws add; it holds `usefulness.json`."""

        def make(folder: Path) -> None:
            from gtl_core.evaluation.usefulness import measure_usefulness

            draws = self.load_draws()
            chosen = [draws[index] for index in self.only or range(len(draws))]
            measure_usefulness(self._comparison(chosen, self.synthetic_folders()), folder, self.on_progress)

        return self._build("usefulness", self.usefulness_key, make)

    def _comparison(self, draws: Sequence[Draw], synthetic: Mapping[str, Sequence[Path]]) -> Comparison:
        """The synthetic images of each strategy, those of one set a draw, and all that they are compared by."""
        from gtl_core.evaluation.usefulness import Comparison

        return Comparison(
            self.experiment,
            source=self.homes.data / self.experiment.source.dataset,
            target=self.homes.data / self.experiment.target.dataset,
            draws=draws,
            source_classifier=self.require("source_classifier").path / "classifier.safetensors",
            synthetic=synthetic,
        )

    def evaluation(self) -> Stage:
        """Trains every arm on every draw, opens the test part once, and gives the verdict."""

        def make(folder: Path) -> None:
            from gtl_core.evaluation.study import evaluate

            evaluate(
                self.experiment,
                source=self.homes.data / self.experiment.source.dataset,
                target=self.homes.data / self.experiment.target.dataset,
                draws=self.load_draws(),
                source_classifier=self.require("source_classifier").path / "classifier.safetensors",
                synthetic=self._made(self.synthetic),
                adapted=self._adapted_classifiers(),
                failures=self.failures(),
                folder=folder,
                on_progress=self.on_progress,
            )

        return self._build("evaluation", self.evaluation_key, make)

    def _build(self, name: str, key: str, make: Any) -> Stage:
        shared = name in _OF_SOURCE_ALONE
        return self._store_of(name).build(name, key, make, force=self.force, shared=shared)

    def _store_of(self, name: str) -> StageStore:
        """The store for a stage that is made from the sets: a build under which one of its sets changes is lost."""
        unchanged = self._opened[0]
        of_stage = Unchanged(unchanged.folders[:1]) if name in _OF_SOURCE_ALONE else unchanged
        return replace(self.store, require_same_inputs=of_stage)

    def _run(self, function: Any, cells: list[dict[str, Any]], task: str) -> list[Stage]:
        """Runs the cells that are not there yet, in parallel."""
        from gtl_core.training.parallel import run_cells

        missing = [cell for cell in cells if self.force or not self.store.find(cell["name"], cell["key"])]
        made = {stage.name: stage for stage in run_cells(function, missing, self.on_progress, task=task)}
        return [made.get(cell["name"]) or self._found(cell["name"], cell["key"]) for cell in cells]
