"""What each stage of one experiment is made from, told as its key.

Keys are computed from inputs alone (configuration, data versions, code versions, keys of the stages before), so any
stage can find those before it without being handed anything, in this process or another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gtl_core.config import DaganConfig, Experiment, SemiSupervisedConfig, StrategyConfig
from gtl_core.data.catalog import load_pair
from gtl_core.data.directory_hash import Unchanged
from gtl_core.evaluation.arms import SCRATCH
from gtl_core.homes import Homes
from gtl_core.store import StageStore
from pipelines.stage_rooms import stage_code_version

if TYPE_CHECKING:
    from gtl_core.data.image_set import ImageSet


def gan_name(label: str, draw: int, gan_seed: int) -> str:
    """Name of the stage of a GAN of the target."""
    maker = "scratch_gan/without_source" if label == SCRATCH else f"transferred_gan/{label}"
    return f"{maker}/{_cell_name(draw, gan_seed)}"


def images_name(label: str, draw: int, gan_seed: int) -> str:
    """Name of the stage of a GAN's images."""
    return f"synthetic_images/{label}/{_cell_name(draw, gan_seed)}"


def _cell_name(draw: int, gan_seed: int) -> str:
    """Name of a draw, with that of the GAN seed where it is not the first."""
    return f"draw-{draw}-seed-{gan_seed}" if gan_seed else f"draw-{draw}"


@dataclass(frozen=True)
class StageKeys:
    """The keys of the stages of one experiment, whether they are there or not.

    Attributes:
        experiment: the experiment.
        homes: where data are read and stages are kept.
        only: the draws to make GANs of the target for; all of them where there is None.
    """

    experiment: Experiment
    homes: Homes
    only: tuple[int, ...] | None = field(default=None, kw_only=True)

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
        if strategy is None:  # the others start from networks of the source, whose keys tell the size
            inputs["image"] = self._image
        if gan_seed:
            inputs["gan_seed"] = gan_seed
        if strategy and strategy.uses_source_gan:
            inputs["source_gan"] = self.source_gan_key
        if isinstance(strategy, DaganConfig):
            inputs["source_dagan"] = self.source_dagan_key(strategy)
        if strategy and strategy.uses_source_classifier:
            inputs["source_classifier"] = self.source_classifier_key
        if isinstance(strategy, SemiSupervisedConfig):
            # It trains a classifier for as many steps as an arm; the other settings stand in the key above.
            inputs["classifier_steps"] = self.experiment.classifier.steps
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
        tuned = {"tuned_trials": self.experiment.tuned_trials} if self.experiment.tuned_trials else {}
        return self._key(
            "evaluation",
            **pilot,
            **tuned,
            # The verdict's scope names both sets; the same images may stand under two names.
            names=[self.experiment.source.dataset, self.experiment.target.dataset],
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
                (gan_name(label, draw, seed), chain.transferred_key(strategy, draw, seed)),
                (images_name(label, draw, seed), chain.synthetic_key(strategy, draw, seed)),
            )
        ]
        learned = [
            (f"source_dagan/{strategy.label}", chain.source_dagan_key(strategy))
            for chain in chains
            for strategy in chain._dagans
        ]
        return [*self._keys.items(), *learned, *cells]

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
    def needs_source_gan(self) -> bool:
        """Whether any strategy starts from the source GAN."""
        return any(strategy.uses_source_gan for strategy in self.experiment.transfer.strategies)

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
    def _pilots(self) -> Self:
        """The same of the pilots: each strategy for fewer steps, one GAN a draw, and no selection of its images."""
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
        return replace(self, experiment=experiment)
