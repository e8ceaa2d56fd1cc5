"""What the stages of one experiment left behind, found by their keys: folders, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gtl_core.config import DaganConfig
from gtl_core.errors import DataFailure, InputError
from gtl_core.evaluation.arms import SCRATCH
from gtl_core.files import read_json
from gtl_core.store import Stage
from pipelines.cells import FAILURE
from pipelines.stage_keys import StageKeys, gan_name, images_name

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.validation.report import ValidationReport


@dataclass(frozen=True)
class FinishedStages(StageKeys):
    """The stages of one experiment that are there."""

    def found(self, name: str) -> Stage | None:
        """A stage that is kept as one folder, or None where it was not built yet."""
        return self.store.find(name, self._keys[name])

    def require(self, name: str) -> Stage:
        """A stage that is kept as one folder.

        Raises:
            InputError: it was not built yet.
        """
        return self._found(name, self._keys[name])

    def _found(self, name: str, key: str) -> Stage:
        stage = self.store.find(name, key)
        if stage is None:
            raise InputError(f"{self.experiment.name}: stage {name} is not there yet; run the stages before this one")
        return stage

    def transferred(self, label: str, draw: int, gan_seed: int = 0) -> Stage:
        """The stage of the GAN that the strategy called `label`, or `SCRATCH`, made for a draw."""
        key = self.transferred_key(self._strategy(label), draw, gan_seed)
        return self._found(gan_name(label, draw, gan_seed), key)

    def synthetic(self, label: str, draw: int, gan_seed: int = 0) -> Stage:
        """The stage of the images that were sampled from that GAN."""
        key = self.synthetic_key(self._strategy(label), draw, gan_seed)
        return self._found(images_name(label, draw, gan_seed), key)

    def source_dagan(self, strategy: DaganConfig) -> Stage:
        """The stage of what a strategy of learned augmentation learned on the source.

        Raises:
            InputError: it was not built yet.
        """
        return self._found(f"source_dagan/{strategy.label}", self.source_dagan_key(strategy))

    def validation_report(self) -> ValidationReport:
        """What the data validation found."""
        from gtl_core.validation.report import ValidationReport

        return ValidationReport.load(self.require("data_validation").path)

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

    def load_draws(self) -> list[Draw]:
        """The draws, in order."""
        from gtl_core.data.draws import Draw

        folder = self.require("draws").path
        return [Draw.load(folder / f"{index}.json") for index in range(self.experiment.evaluation.draws)]

    def stopped(self) -> dict[str, str]:
        """Strategies that were stopped after their pilot, with the reason."""
        if self.pilot_key is None:
            return {}
        record = read_json(self.require("pilot").path / "pilot.json")
        return {row["strategy"]: row["reason"] for row in record["strategies"] if row["reason"]}

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

    def finished_gans(self) -> list[Stage]:
        """The stages of all GANs of the target, once they are made."""
        stopped = self.stopped()
        return [self.transferred(label, draw, seed) for label, draw, seed in self._grid if label not in stopped]

    def finished_images(self) -> list[Stage]:
        """The stages of all their images, once they are made."""
        failures = self.failures()
        return [self.synthetic(label, draw, seed) for label, draw, seed in self._grid if label not in failures]

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
