"""The chain of stages of one experiment: what each is made from, where it lies, and which part of `gtl_core` makes it.

Keys are computed from inputs alone (configuration, data versions, code versions, keys of the stages before), so any
stage can find those before it without being handed anything, in this process or another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import DaganConfig, Experiment, StrategyConfig
from gtl_core.data.catalog import load_pair
from gtl_core.data.directory_hash import Unchanged
from gtl_core.errors import DataFailure, Diverged, GtlError, InputError
from gtl_core.evaluation.arms import SCRATCH
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.store import Stage, StageStore, code_version
from pipelines.cells import FAILURE, synthesis_cell, transfer_cell

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.data.image_set import ImageSet
    from gtl_core.validation.report import ValidationReport

ROOMS: Mapping[str, tuple[str, ...]] = {
    "data_validation": ("data/image_set", "validation"),
    "draws": ("data/draws",),
    "source_gan": ("config/descriptions", "data/image_set", "networks", "training", "transfer"),
    "source_classifier": ("data/image_set", "networks", "training"),
    "source_dagan": ("data/image_set", "networks", "training", "transfer"),
    "transferred_gan": ("config/descriptions", "data/image_set", "networks", "training", "transfer"),
    "synthetic_images": (
        "data/image_set",
        "networks",
        "training",
        "metrics/neighbours",
        "synthesis/filtering",
        "synthesis/sampling",
        "synthesis/selection",
        "synthesis/synthetic_set",
        "validation",
    ),
    "pilot": (
        "data/image_set",
        "networks",
        "training",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/counted_scores",
        "evaluation/judging",
        "evaluation/pilot",
        "evaluation/scores",
        "evaluation/statistics",
        "evaluation/usefulness",
    ),
    "usefulness": (
        "data/image_set",
        "networks",
        "training",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/judging",
        "evaluation/scores",
        "evaluation/usefulness",
    ),
    "domain_gap": (
        "data/image_set",
        "networks",
        "training",
        "metrics/divergence",
        "metrics/features",
        "metrics/gap_measures",
        "metrics/kernel",
        "metrics/light",
        "metrics/relatedness",
        "metrics/transferability",
    ),
    "synthetic_quality": (
        "data/image_set",
        "networks",
        "training",
        "metrics/distribution",
        "metrics/features",
        "metrics/frechet",
        "metrics/kernel",
        "metrics/manifold",
        "metrics/memorisation",
        "metrics/neighbours",
        "metrics/quality",
        "metrics/shares",
        "metrics/sliced_wasserstein",
        "metrics/trajectory",
    ),
    "evaluation": (
        "data/image_set",
        "networks",
        "training",
        "synthesis/synthetic_set",
        "evaluation/arms",
        "evaluation/cells",
        "evaluation/copies",
        "evaluation/counted_scores",
        "evaluation/forest",
        "evaluation/held_out",
        "evaluation/judging",
        "evaluation/scorecard",
        "evaluation/scores",
        "evaluation/statistics",
        "evaluation/study",
        "evaluation/verdict",
    ),
    "registered_models": ("registry",),
    "report": ("evaluation/report", "evaluation/forest"),
}
"""The rooms of `gtl_core` whose code a stage calls: its code version is their hash."""
_OF_SOURCE_ALONE = ("source_gan", "source_classifier", "source_dagan")


def stage_code_version(name: str) -> str:
    """The code version of a stage."""
    return code_version(*ROOMS[name])


def _gan_name(label: str, draw: int, gan_seed: int) -> str:
    """Name of the stage of a GAN of the target."""
    maker = "scratch_gan/without_source" if label == SCRATCH else f"transferred_gan/{label}"
    return f"{maker}/{_cell_name(draw, gan_seed)}"


def _images_name(label: str, draw: int, gan_seed: int) -> str:
    """Name of the stage of a GAN's images."""
    return f"synthetic_images/{label}/{_cell_name(draw, gan_seed)}"


def _cell_name(draw: int, gan_seed: int) -> str:
    """Name of a draw, with that of the GAN seed where it is not the first."""
    return f"draw-{draw}-seed-{gan_seed}" if gan_seed else f"draw-{draw}"


@dataclass(frozen=True)
class Chain:
    """The stages of one experiment, each built or found by the method of its name.

    Attributes:
        experiment: the experiment.
        homes: where data are read and stages are kept.
        on_progress: shows progress.
        force: build each stage anew, also where it is there.
        only: the draws to make GANs of the target for; all of them where there is None.
    """

    experiment: Experiment
    homes: Homes
    on_progress: OnProgress = silent
    force: bool = False
    only: tuple[int, ...] | None = None

    @cached_property
    def store(self) -> StageStore:
        """Where the stages are kept."""
        return StageStore(self.homes.artifacts, self.experiment.name)

    @cached_property
    def _opened(self) -> tuple[Unchanged, tuple[ImageSet, ImageSet]]:
        """Both sets, and before them the state that they were in, so that no change can come between the two."""
        names = (self.experiment.source.dataset, self.experiment.target.dataset)
        unchanged = Unchanged.since_now(self.homes.data / name for name in names)
        return unchanged, load_pair(self.experiment, self.homes.data)

    @property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """The source and the target image set."""
        return self._opened[1]

    def _store_of(self, name: str) -> StageStore:
        """The store for a stage that is made from the sets: a build under which one of its sets changes is lost."""
        unchanged = self._opened[0]
        of_stage = Unchanged(unchanged.folders[:1]) if name in _OF_SOURCE_ALONE else unchanged
        return replace(self.store, require_same_inputs=of_stage)

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
        inputs = {"version": self.sets[0].version, "image": self._image, "gan": self._gan}
        return self._key("source_gan", **inputs, **self._descriptions(self.sets[0]))

    @cached_property
    def source_classifier_key(self) -> str:
        """Key of the source classifier."""
        # The steps of the arms are none of its business.
        classifier = {name: value for name, value in self._classifier.items() if name != "steps"}
        return self._key("source_classifier", version=self.sets[0].version, image=self._image, classifier=classifier)

    def source_dagan_key(self, strategy: DaganConfig) -> str:
        """Key of what a strategy of learned augmentation learns on the source alone, whatever the draw."""
        settings = strategy.model_dump(mode="json", exclude={"alias", "target_steps"})
        return self._key("source_dagan", version=self.sets[0].version, image=self._image, strategy=settings)

    def transferred_key(self, strategy: StrategyConfig | None, draw: int, gan_seed: int = 0) -> str:
        """Key of the GAN transferred by a strategy to a draw; with no strategy, of one of the target alone."""
        transfer = self.experiment.transfer.model_dump(mode="json", exclude={"strategies", "pilot"})
        transfer["strategy"] = strategy.model_dump(mode="json", exclude={"alias"}) if strategy else None
        inputs = {"draws": self.draws_key, "draw": draw, "transfer": transfer, "gan": self._gan}
        inputs |= self._descriptions(self.sets[1])
        if gan_seed:
            inputs["gan_seed"] = gan_seed
        if strategy and strategy.uses_source_gan:
            inputs["source_gan"] = self.source_gan_key
        if isinstance(strategy, DaganConfig):
            inputs["source_dagan"] = self.source_dagan_key(strategy)
        if strategy and strategy.uses_source_classifier:
            inputs["source_classifier"] = self.source_classifier_key
        return self._key("transferred_gan", **inputs)

    def synthetic_key(self, strategy: StrategyConfig | None, draw: int, gan_seed: int = 0) -> str:
        """Key of the images sampled from a GAN of the target."""
        synthesis = self.experiment.synthesis.model_dump(mode="json")
        inputs: dict[str, Any] = {"gan": self.transferred_key(strategy, draw, gan_seed), "synthesis": synthesis}
        if self.experiment.synthesis.filter:
            inputs |= {"source_classifier": self.source_classifier_key, "classifier": self._classifier}
        return self._key("synthetic_images", **inputs)

    @cached_property
    def pilot_key(self) -> str | None:
        """Key of the judgement on the pilots; None where the experiment has none."""
        if self.experiment.transfer.pilot is None:
            return None
        pilots = self._pilots
        return self._key(
            "pilot",
            synthetic={
                f"{label}/{draw}": pilots.synthetic_key(pilots._strategy(label), draw)
                for label, draw, _ in pilots._grid
            },
            draws=self.draws_key,
            source=self.sets[0].version,
            source_classifier=self.source_classifier_key,
            classifier=self._classifier,
            bootstrap=self.experiment.evaluation.bootstrap,
            metric=self.experiment.promotion.metric,
        )

    @cached_property
    def usefulness_key(self) -> str:
        """Key of the usefulness."""
        return self._key(
            "usefulness",
            synthetic=[self.synthetic_key(self._strategy(label), draw, seed) for label, draw, seed in self._grid],
            draws=self.draws_key,
            source=self.sets[0].version,
            source_classifier=self.source_classifier_key,
            classifier=self._classifier,
            metric=self.experiment.promotion.metric,
        )

    @cached_property
    def domain_gap_key(self) -> str:
        """Key of the domain gap."""
        inputs = {"source": self.sets[0].version, "source_classifier": self.source_classifier_key}
        return self._key("domain_gap", draws=self.draws_key, image=self._image, **inputs)

    @cached_property
    def quality_key(self) -> str:
        """Key of what is measured of the synthetic images."""
        pilot = {"pilot": self.pilot_key} if self.pilot_key else {}
        return self._key(
            "synthetic_quality",
            **pilot,
            synthetic=[self.synthetic_key(self._strategy(label), draw) for label, draw, seed in self._grid if not seed],
            draws=self.draws_key,
            source=self.sets[0].version,
            source_classifier=self.source_classifier_key,
            classifier=self._classifier,
        )

    @cached_property
    def evaluation_key(self) -> str:
        """Key of the evaluation."""
        pilot = {"pilot": self.pilot_key} if self.pilot_key else {}
        return self._key(
            "evaluation",
            **pilot,
            synthetic=[self.synthetic_key(self._strategy(label), draw, seed) for label, draw, seed in self._grid],
            draws=self.draws_key,
            source=self.sets[0].version,
            source_classifier=self.source_classifier_key,
            classifier=self._classifier,
            evaluation=self.experiment.evaluation.model_dump(mode="json"),
            metric=self.experiment.promotion.metric,
            min_gain=self.experiment.promotion.min_gain,
        )

    @cached_property
    def registration_key(self) -> str:
        """Key of the registration."""
        promotion = self.experiment.promotion.model_dump(mode="json")
        screened = {"quality": self.quality_key} if self.experiment.promotion.asks_for_memorisation else {}
        return self._key("registered_models", evaluation=self.evaluation_key, promotion=promotion, **screened)

    def stage_keys(self) -> list[tuple[str, str]]:
        """Name and key of every stage that today's settings, data and code ask for, whether it is there or not."""
        chains = [self, self._pilots] if self.pilot_key else [self]
        cells = [
            pair
            for chain in chains
            for label, draw, seed in chain._grid
            for strategy in [chain._strategy(label)]
            for pair in (
                (_gan_name(label, draw, seed), chain.transferred_key(strategy, draw, seed)),
                (_images_name(label, draw, seed), chain.synthetic_key(strategy, draw, seed)),
            )
        ]
        learned = [
            (f"source_dagan/{strategy.label}", chain.source_dagan_key(strategy))
            for chain in chains
            for strategy in chain._dagans
        ]
        return [*self._keys.items(), *learned, *cells]

    @property
    def _dagans(self) -> list[DaganConfig]:
        """The strategies of learned augmentation."""
        return [strategy for strategy in self.experiment.transfer.strategies if isinstance(strategy, DaganConfig)]

    @property
    def _image(self) -> dict[str, Any]:
        return self.experiment.image.model_dump(mode="json")

    @property
    def _gan(self) -> dict[str, Any]:
        return self.experiment.gan.model_dump(mode="json")

    def _descriptions(self, images: ImageSet) -> dict[str, Any]:
        """What a GAN of a set is told of its classes; nothing where it learns them as free rows."""
        told = self.experiment.gan.condition == "text"
        return {"descriptions": [self.experiment.descriptions[name] for name in images.classes]} if told else {}

    @cached_property
    def _classifier(self) -> dict[str, Any]:
        """The classifier's settings, where a backbone from a folder is told by its content."""
        settings = self.experiment.classifier.model_dump(mode="json")
        if self._checkpoint is None:
            return settings
        from gtl_core.training.pretrained import checkpoint_sha256

        return {**settings, "backbone": checkpoint_sha256(self._checkpoint)}

    @property
    def _checkpoint(self) -> Path | None:
        """Folder of the checkpoint that the classifier begins as; None where its backbone is one of ours."""
        folder = self.experiment.classifier.checkpoint
        return None if folder is None else self.homes.root / folder

    @property
    def _grid(self) -> list[tuple[str, int, int]]:
        """What makes a GAN of the target, with every draw and every GAN seed."""
        evaluation = self.experiment.evaluation
        labels = [strategy.label for strategy in self.experiment.transfer.strategies]
        if SCRATCH in evaluation.arms and self.experiment.target.has_labels:
            labels.append(SCRATCH)
        draws, seeds = self.only or range(evaluation.draws), range(evaluation.gan_seeds)
        return [(label, draw, seed) for label in labels for draw in draws for seed in seeds]

    def _strategy(self, label: str) -> StrategyConfig | None:
        """The strategy of that label; None for `SCRATCH`, which has none."""
        found = {strategy.label: strategy for strategy in self.experiment.transfer.strategies}
        return None if label == SCRATCH else found[label]

    @cached_property
    def _pilots(self) -> Chain:
        """The chain of the pilots: each strategy for fewer steps, one GAN a draw, and no selection of its images."""
        transfer, evaluation, synthesis = (
            self.experiment.transfer,
            self.experiment.evaluation,
            self.experiment.synthesis,
        )
        arms = tuple(arm for arm in evaluation.arms if arm != SCRATCH)
        short = tuple(transfer.piloted(strategy) for strategy in transfer.strategies)
        experiment = self.experiment.model_copy(
            update={
                "transfer": transfer.model_copy(update={"strategies": short, "pilot": None}),
                "evaluation": evaluation.model_copy(update={"arms": arms, "gan_seeds": 1}),
                "synthesis": synthesis.model_copy(update={"filter": ()}),
            }
        )

        def on_progress(progress: Progress) -> None:
            self.on_progress(replace(progress, task=f"pilots: {progress.task}"))

        return replace(self, experiment=experiment, on_progress=on_progress)

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
            made[strategy.label] = store.build(name, self.source_dagan_key(strategy), make, force=self.force)
        return made

    def source_dagan(self, strategy: DaganConfig) -> Stage:
        """The stage of what a strategy of learned augmentation learned on the source.

        Raises:
            InputError: it was not built yet.
        """
        return self._found(f"source_dagan/{strategy.label}", self.source_dagan_key(strategy))

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
            judge_pilots(
                self.experiment,
                source=self.homes.data / self.experiment.source.dataset,
                target=self.homes.data / self.experiment.target.dataset,
                draws=self.load_draws(),
                source_classifier=self.require("source_classifier").path / "classifier.safetensors",
                synthetic=synthetic,
                failures=failures,
                folder=folder,
                on_progress=self.on_progress,
            )

        return self._build("pilot", self.pilot_key, make)

    def stopped(self) -> dict[str, str]:
        """Strategies that were stopped after their pilot, with the reason."""
        if self.pilot_key is None:
            return {}
        record = read_json(self.require("pilot").path / "pilot.json")
        return {row["strategy"]: row["reason"] for row in record["strategies"] if row["reason"]}

    def transferred_gans(self) -> list[Stage]:
        """Makes the GANs of the target: for every draw and GAN seed by every strategy, and without; a stage each."""
        draws, stopped = self.require("draws").path, self.stopped()
        source_gan = self.require("source_gan").path / "gan.safetensors" if self.needs_source_gan else None
        dagans = {label: stage.path / "gan.safetensors" for label, stage in self.source_dagans.items()}
        source_classifier = self.require("source_classifier").path / "classifier.safetensors"
        cells = [
            {
                "store": self._store_of("transferred_gan"),
                "name": _gan_name(label, draw, seed),
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

    def failures(self) -> dict[str, str]:
        """Strategies, or `SCRATCH`, that are left out, with the reason: stopped, or gone wrong on a draw."""
        stopped = self.stopped()
        failures = dict(stopped)
        for label, draw, seed in self._grid:
            if label in stopped:
                continue
            record = self.transferred(label, draw, seed).path / FAILURE
            if record.is_file():
                where = f"draw {draw}, seed {seed}" if seed else f"draw {draw}"
                failures.setdefault(label, f"{read_json(record)['reason']} ({where})")
        return failures

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
                "name": _images_name(label, draw, seed),
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

    def synthetic_folders(self, gan_seed: int = 0) -> dict[str, list[Path]]:
        """Folders of the synthetic sets of one GAN seed: a list over the draws for each strategy that worked."""
        made = self._made(self.synthetic)
        return {label: [seeds[gan_seed] for seeds in made[label]] for label in made if label != SCRATCH}

    def _made(self, stage: Callable[[str, int, int], Stage]) -> dict[str, list[list[Path]]]:
        """Folders of stages by label, draw and GAN seed, of what worked."""
        folders: dict[str, list[list[Path]]] = {}
        failures = self.failures()
        for label, draw, seed in self._grid:
            if label not in failures:
                of_draws = folders.setdefault(label, [])
                if not seed:
                    of_draws.append([])
                of_draws[-1].append(stage(label, draw, seed).path)
        return folders

    def _adapted_classifiers(self) -> dict[str, list[list[Path]]]:
        """Classifiers that learned beside a generator, by strategy, draw and GAN seed, where a strategy has them."""
        found = {
            label: [[folder / "classifier.safetensors" for folder in folders] for folders in of_draws]
            for label, of_draws in self._made(self.transferred).items()
        }
        return {
            label: of_draws
            for label, of_draws in found.items()
            if all(file.is_file() for files in of_draws for file in files)
        }

    def transferred(self, label: str, draw: int, gan_seed: int = 0) -> Stage:
        """The stage of the GAN that the strategy called `label`, or `SCRATCH`, made for a draw."""
        key = self.transferred_key(self._strategy(label), draw, gan_seed)
        return self._found(_gan_name(label, draw, gan_seed), key)

    def synthetic(self, label: str, draw: int, gan_seed: int = 0) -> Stage:
        """The stage of the images that were sampled from that GAN."""
        key = self.synthetic_key(self._strategy(label), draw, gan_seed)
        return self._found(_images_name(label, draw, gan_seed), key)

    def finished_gans(self) -> list[Stage]:
        """The stages of all GANs of the target, once they are made."""
        stopped = self.stopped()
        return [self.transferred(label, draw, seed) for label, draw, seed in self._grid if label not in stopped]

    def finished_images(self) -> list[Stage]:
        """The stages of all their images, once they are made."""
        failures = self.failures()
        return [self.synthetic(label, draw, seed) for label, draw, seed in self._grid if label not in failures]

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
            measure_usefulness(
                self.experiment,
                source=self.homes.data / self.experiment.source.dataset,
                target=self.homes.data / self.experiment.target.dataset,
                draws=[draws[index] for index in self.only or range(len(draws))],
                source_classifier=self.require("source_classifier").path / "classifier.safetensors",
                synthetic=self.synthetic_folders(),
                folder=folder,
                on_progress=self.on_progress,
            )

        return self._build("usefulness", self.usefulness_key, make)

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
        pilot = {"pilot": self.pilot_key} if self.pilot_key else {}
        return {
            **pilot,
            "data_validation": self.validation_key,
            "draws": self.draws_key,
            "source_gan": self.source_gan_key,
            "source_classifier": self.source_classifier_key,
            "domain_gap": self.domain_gap_key,
            "synthetic_quality": self.quality_key,
            "evaluation": self.evaluation_key,
            "registered_models": self.registration_key,
        }

    def _build(self, name: str, key: str, make: Any) -> Stage:
        return self._store_of(name).build(name, key, make, force=self.force)

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
