"""The chain of stages of one experiment: what each is made from, where it lies, and which part of `gtl_core` makes it.

Keys are computed from inputs alone (configuration, data versions, code versions, keys of the stages before), so any
stage can find those before it without being handed anything, in this process or another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import Experiment, StrategyConfig
from gtl_core.data.catalog import load_pair
from gtl_core.errors import DataFailure, GtlError, InputError
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress, silent
from gtl_core.store import Stage, StageStore, code_version
from pipelines.cells import FAILURE, synthesis_cell, transfer_cell

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.data.image_set import ImageSet
    from gtl_core.validation.report import ValidationReport

ROOMS: Mapping[str, tuple[str, ...]] = {
    "data_validation": ("data/image_set", "validation"),
    "draws": ("data/draws",),
    "source_gan": ("data/image_set", "networks", "training", "transfer"),
    "source_classifier": ("data/image_set", "networks", "training"),
    "transferred_gan": ("data/image_set", "networks", "training", "transfer"),
    "synthetic_images": ("data/image_set", "networks", "training", "synthesis", "validation"),
    "evaluation": ("data/image_set", "networks", "training", "evaluation"),
    "registered_models": ("registry",),
}
"""The rooms of `gtl_core` whose code a stage calls: its code version is their hash."""


def stage_code_version(name: str) -> str:
    """The code version of a stage."""
    return code_version(*ROOMS[name])


@dataclass(frozen=True)
class Chain:
    """The stages of one experiment, each built or found by the method of its name.

    Attributes:
        experiment: the experiment.
        homes: where data are read and stages are kept.
        on_progress: shows progress.
        force: build each stage anew, also where it is there.
    """

    experiment: Experiment
    homes: Homes
    on_progress: OnProgress = silent
    force: bool = False

    @cached_property
    def store(self) -> StageStore:
        """Where the stages are kept."""
        return StageStore(self.homes.artifacts, self.experiment.name)

    @cached_property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """The source and the target image set."""
        return load_pair(self.experiment, self.homes.data)

    # Keys: what each stage is made from.

    def _key(self, name: str, **inputs: Any) -> str:
        return self.store.key({"seed": self.experiment.seed, **inputs}, stage_code_version(name))

    @cached_property
    def validation_key(self) -> str:
        """Key of the data validation."""
        source, target = self.sets
        labelled = self.experiment.target.has_labels
        return self._key("data_validation", source=source.version, target=target.version, labelled=labelled)

    @cached_property
    def draws_key(self) -> str:
        """Key of the draws."""
        target, count = self.experiment.target.model_dump(mode="json"), self.experiment.evaluation.draws
        return self._key("draws", version=self.sets[1].version, target=target, draws=count)

    @cached_property
    def source_gan_key(self) -> str:
        """Key of the source GAN."""
        return self._key("source_gan", version=self.sets[0].version, image=self._image, gan=self._gan)

    @cached_property
    def source_classifier_key(self) -> str:
        """Key of the source classifier."""
        # The steps of the arms are none of its business.
        classifier = self.experiment.classifier.model_dump(mode="json", exclude={"steps"})
        return self._key("source_classifier", version=self.sets[0].version, image=self._image, classifier=classifier)

    def transferred_key(self, strategy: StrategyConfig, draw: int) -> str:
        """Key of the GAN transferred by a strategy to a draw."""
        transfer = self.experiment.transfer.model_dump(mode="json", exclude={"strategies"})
        transfer["strategy"] = strategy.model_dump(mode="json", exclude={"alias"})
        inputs = {"draws": self.draws_key, "draw": draw, "transfer": transfer, "gan": self._gan}
        if strategy.uses_source_gan:
            inputs["source_gan"] = self.source_gan_key
        if strategy.uses_source_classifier:
            inputs["source_classifier"] = self.source_classifier_key
        return self._key("transferred_gan", **inputs)

    def synthetic_key(self, strategy: StrategyConfig, draw: int) -> str:
        """Key of the images sampled from a transferred GAN."""
        synthesis = self.experiment.synthesis.model_dump(mode="json")
        return self._key("synthetic_images", gan=self.transferred_key(strategy, draw), synthesis=synthesis)

    @cached_property
    def evaluation_key(self) -> str:
        """Key of the evaluation."""
        return self._key(
            "evaluation",
            synthetic=[self.synthetic_key(strategy, draw) for strategy, draw in self._grid],
            draws=self.draws_key,
            source=self.sets[0].version,
            source_classifier=self.source_classifier_key,
            classifier=self._classifier,
            evaluation=self.experiment.evaluation.model_dump(mode="json"),
            metric=self.experiment.promotion.metric,
        )

    @cached_property
    def registration_key(self) -> str:
        """Key of the registration."""
        promotion = self.experiment.promotion.model_dump(mode="json")
        return self._key("registered_models", evaluation=self.evaluation_key, promotion=promotion)

    @property
    def _image(self) -> dict[str, Any]:
        return self.experiment.image.model_dump(mode="json")

    @property
    def _gan(self) -> dict[str, Any]:
        return self.experiment.gan.model_dump(mode="json")

    @property
    def _classifier(self) -> dict[str, Any]:
        return self.experiment.classifier.model_dump(mode="json")

    @property
    def _grid(self) -> list[tuple[StrategyConfig, int]]:
        """Every strategy with every draw."""
        draws = range(self.experiment.evaluation.draws)
        return [(strategy, draw) for strategy in self.experiment.transfer.strategies for draw in draws]

    # Stages: how each is made.

    def data_validation(self) -> Stage:
        """Validates both sets; the stage holds `validation.json` and `quarantine.csv`."""

        def make(folder: Path) -> None:
            from gtl_core.validation.suite import validate_experiment

            validate_experiment(*self.sets, labelled=self.experiment.target.has_labels).save(folder)

        return self._build("data_validation", self.validation_key, make)

    def require_valid(self) -> None:
        """Refuses to go on with data that failed a critical validation.

        Raises:
            DataFailure: names the checks that failed and the quarantine file.
        """
        report = self.validation_report()
        if not report.passed:
            folder = self.require("data_validation").path
            failed = "; ".join(finding.summary for finding in report.blocking)
            raise DataFailure(f"{self.experiment.name}: {failed} (rows: {folder / 'quarantine.csv'})")

    def validation_report(self) -> ValidationReport:
        """What the data validation found."""
        from gtl_core.validation.report import ValidationReport

        return ValidationReport.load(self.require("data_validation").path)

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

    def load_draws(self) -> list[Draw]:
        """The draws, in order."""
        from gtl_core.data.draws import Draw

        folder = self.require("draws").path
        return [Draw.load(folder / f"{index}.json") for index in range(self.experiment.evaluation.draws)]

    def source_gan(self) -> Stage:
        """Trains a GAN on the source."""

        def make(folder: Path) -> None:
            from gtl_core.transfer.pretrain import pretrain_source

            pretrain_source(*self._source(), self.experiment.gan, self.experiment.seed, folder, self.on_progress)

        return self._build("source_gan", self.source_gan_key, make)

    def source_classifier(self) -> Stage:
        """Trains a classifier on the source."""

        def make(folder: Path) -> None:
            from gtl_core.training.classifier import train_source_classifier

            train_source_classifier(
                *self._source(), self.experiment.classifier, self.experiment.seed, folder, self.on_progress
            )

        return self._build("source_classifier", self.source_classifier_key, make)

    def _source(self) -> tuple[Any, Any, tuple[str, ...]]:
        """What is learned from the source: uint8 (N, C, S, S) of the experiment's size, int64 (N,), class names."""
        from gtl_core.data.image_set import fitted

        source = self.sets[0]
        rows = source.training_rows()
        return fitted(source.images[rows], self.experiment.image.size), source.labels[rows], source.classes

    @property
    def needs_source_gan(self) -> bool:
        """Whether any strategy starts from the source GAN."""
        return any(strategy.uses_source_gan for strategy in self.experiment.transfer.strategies)

    def transferred_gans(self) -> list[Stage]:
        """Makes a GAN of the target for every draw by every strategy; a stage each."""
        draws = self.require("draws").path
        source_gan = self.require("source_gan").path / "gan.safetensors" if self.needs_source_gan else None
        source_classifier = self.require("source_classifier").path / "classifier.safetensors"
        cells = [
            {
                "store": self.store,
                "name": f"transferred_gan/{strategy.label}/draw-{draw}",
                "key": self.transferred_key(strategy, draw),
                "force": self.force,
                "experiment": self.experiment,
                "source": self.homes.data / self.experiment.source.dataset,
                "target": self.homes.data / self.experiment.target.dataset,
                "strategy": strategy,
                "source_gan": source_gan if strategy.uses_source_gan else None,
                "source_classifier": source_classifier if strategy.uses_source_classifier else None,
                "draw": draws / f"{draw}.json",
            }
            for strategy, draw in self._grid
        ]
        return self._run(transfer_cell, cells, "transferred_gans")

    def failures(self) -> dict[str, str]:
        """Strategies whose training went wrong on a draw, with the reason; they are left out from there on."""
        failures: dict[str, str] = {}
        for strategy, draw in self._grid:
            record = self.transferred(strategy.label, draw).path / FAILURE
            if record.is_file():
                failures.setdefault(strategy.label, f"{read_json(record)['reason']} (draw {draw})")
        return failures

    def synthetic_images(self) -> list[Stage]:
        """Samples images from the GANs of every strategy that worked, and validates them; a stage each.

        Raises:
            GtlError: none worked.
        """
        draws, failures = self.require("draws").path, self.failures()
        if len(failures) == len(self.experiment.transfer.strategies):
            reasons = "; ".join(f"{strategy}: {reason}" for strategy, reason in failures.items())
            raise GtlError(f"{self.experiment.name}: no strategy worked ({reasons}); name others or change settings")
        cells = [
            {
                "store": self.store,
                "name": f"synthetic_images/{strategy.label}/draw-{draw}",
                "key": self.synthetic_key(strategy, draw),
                "force": self.force,
                "experiment": self.experiment,
                "target": self.homes.data / self.experiment.target.dataset,
                "gan": self.transferred(strategy.label, draw).path / "gan.safetensors",
                "draw": draws / f"{draw}.json",
            }
            for strategy, draw in self._grid
            if strategy.label not in failures
        ]
        return self._run(synthesis_cell, cells, "synthetic_images")

    def synthetic_folders(self) -> dict[str, list[Path]]:
        """Folders of the synthetic sets: a list over the draws for each strategy that worked."""
        folders: dict[str, list[Path]] = {}
        failures = self.failures()
        for strategy, draw in self._grid:
            if strategy.label not in failures:
                name, key = f"synthetic_images/{strategy.label}/draw-{draw}", self.synthetic_key(strategy, draw)
                folders.setdefault(strategy.label, []).append(self._found(name, key).path)
        return folders

    def adapted_classifiers(self) -> dict[str, list[Path]]:
        """Classifiers that learned beside a generator: a list over the draws for each strategy that has them."""
        draws = range(self.experiment.evaluation.draws)
        found = {
            label: [self.transferred(label, draw).path / "classifier.safetensors" for draw in draws]
            for label in self.synthetic_folders()
        }
        return {label: files for label, files in found.items() if all(file.is_file() for file in files)}

    def transferred(self, label: str, draw: int) -> Stage:
        """The stage of the GAN that the strategy called `label` made for a draw."""
        config = next(config for config in self.experiment.transfer.strategies if config.label == label)
        return self._found(f"transferred_gan/{label}/draw-{draw}", self.transferred_key(config, draw))

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
                synthetic=self.synthetic_folders(),
                adapted=self.adapted_classifiers(),
                failures=self.failures(),
                folder=folder,
                on_progress=self.on_progress,
            )

        return self._build("evaluation", self.evaluation_key, make)

    def found(self, name: str) -> Stage | None:
        """A stage that is kept as one folder, or None where it was not built yet."""
        return self.store.find(name, self._keys[name])

    def require(self, name: str) -> Stage:
        """A stage that is kept as one folder.

        Raises:
            InputError: it was not built yet.
        """
        return self._found(name, self._keys[name])

    @property
    def _keys(self) -> dict[str, str]:
        """Keys of the stages that are kept as one folder."""
        return {
            "data_validation": self.validation_key,
            "draws": self.draws_key,
            "source_gan": self.source_gan_key,
            "source_classifier": self.source_classifier_key,
            "evaluation": self.evaluation_key,
            "registered_models": self.registration_key,
        }

    def _build(self, name: str, key: str, make: Any) -> Stage:
        return self.store.build(name, key, make, force=self.force)

    def _found(self, name: str, key: str) -> Stage:
        stage = self.store.find(name, key)
        if stage is None:
            raise InputError(f"{self.experiment.name}: stage {name} is not there yet; run the stages before this one")
        return stage

    def _run(self, function: Any, cells: list[dict[str, Any]], task: str) -> list[Stage]:
        """Runs the cells that are not there yet, in parallel."""
        from gtl_core.training.parallel import run_cells

        missing = [cell for cell in cells if self.force or not self.store.find(cell["name"], cell["key"])]
        made = {stage.name: stage for stage in run_cells(function, missing, self.on_progress, task=task)}
        return [made.get(cell["name"]) or self._found(cell["name"], cell["key"]) for cell in cells]
