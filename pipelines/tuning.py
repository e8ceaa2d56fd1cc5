"""Tuning: many short answers to "which settings make images that help a classifier", on validation alone.

A trial is the experiment with other values, run through the same stages as a run up to its synthetic images, so what
a value does not change is made once. Then classifiers with and without the images are compared on the validation part
of each draw. The test part stays closed: what the settings are worth is told by a run of the tuned experiment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from gtl_core.config import Experiment, load_experiment, read_content, tuned
from gtl_core.config.base import LONGEST_SLUG
from gtl_core.config.tuning import Span, value_at, with_values
from gtl_core.errors import GtlError, InputError
from gtl_core.evaluation.usefulness import USEFULNESS
from gtl_core.files import canonical_sha256, read_json, write_text
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress, Progress, silent
from pipelines.busy import experiment_lock
from pipelines.stage_rooms import stage_code_version
from pipelines.stages import Chain

_RUNG = 2
"""Draws after which a trial is compared with the others: a fixed number, so that no machine prunes otherwise."""
_FIRST_TRIALS = 5
"""Trials that are never pruned: a median of fewer says little."""
_HEAD = "# Written by gtl tune; it may write this file again."
_LEFT_OUT = ("tuning", "schedule", "retrain", "drift")
_AGAIN = "again for trial"
_REASON = "reason"
_PER_STRATEGY = "strategies"
_WITHOUT = "without"
_DRAWS = "draws"
_VALIDATION = "validation images"


@dataclass(frozen=True)
class Trial:
    """One set of values, and what came of it.

    Attributes:
        number: from 0.
        state: `complete`, `pruned`, `failed`, or `running` where the command was stopped in it.
        values: by key path.
        score: on validation, with the images of the best strategy: mean over the draws that were tried; None where
            there is none.
        without: the same without synthetic images.
        strategy: whose images these were.
        draws: how many draws were tried.
        validation_images: how many validation images these have together.
        reason: why it failed.
    """

    number: int
    state: str
    values: dict[str, Any]
    score: float | None
    without: float | None
    strategy: str | None
    draws: int
    validation_images: int
    reason: str | None


@dataclass(frozen=True)
class Tuning:
    """The study of one experiment's ranges.

    Attributes:
        experiment: the checked experiment.
        homes: where data are read and stages are kept.
        url: of the database that holds the trials; None for the one below the experiment's artifacts.
        on_progress: shows progress.
    """

    experiment: Experiment
    homes: Homes
    url: str | None = None
    on_progress: OnProgress = silent

    @property
    def name(self) -> str:
        """Name of the study: trials of other data, code, settings or ranges are another study's."""
        asked = self.experiment.model_dump(mode="json", exclude={"schedule", "retrain", "drift", "description"})
        chain = Chain(self.experiment, self.homes)
        code = {stage: stage_code_version(stage) for stage in ("transferred_gan", "synthetic_images", "usefulness")}
        made_of = {"experiment": asked, "sets": [images.version for images in chain.sets], "code": code}
        return f"{self.experiment.name}-{canonical_sha256(made_of)[:12]}"

    @property
    def file(self) -> Path:
        """The experiment file that the best trial becomes."""
        return self.homes.experiments / f"{self.experiment.name}-tuned.yaml"

    def check(self) -> None:
        """Looks at everything that would stop the tuning later.

        Raises:
            InputError: there are no ranges, an end of one does not fit the data or the networks, or the best trial
                could not become an experiment file, because its name is too long or there is one of somebody's own.
        """
        from gtl_core.training.pretrained import check_backbone
        from gtl_core.transfer.strategies import check_strategies

        name = self.experiment.name
        if not self.experiment.tuning:
            raise InputError(
                f"{name} declares no ranges; add to experiments/{name}.yaml, for instance, "
                "tuning: {transfer.steps: {low: 200, high: 2000, log: true}, synthesis.per_class: [100, 500]}"
            )
        if len(self.file.stem) > LONGEST_SLUG:
            raise InputError(
                f"{name}: the best trial could not be called {self.file.stem}, which is longer than {LONGEST_SLUG} "
                "letters; give the experiment a shorter name"
            )
        sets = Chain(self.experiment, self.homes).sets
        for key, values in self.experiment.tuning.items():
            for end in values.ends:
                try:
                    trial = tuned(self.experiment, {key: end})
                    check_strategies(trial, *sets)
                    check_backbone(trial, self.homes.root)
                except InputError as error:
                    raise InputError(f"{name}: tuning.{key}: {end!r}: {error}") from None
        if self.file.is_file() and not self.file.read_text(encoding="utf-8").startswith(_HEAD):
            raise InputError(f"{self.file} was not written by gtl tune; rename it, so that it is not lost")

    def run(self, trials: int, on_trial: Callable[[Trial], None] = lambda _: None) -> list[Trial]:
        """Tries values until there are so many trials in all; those of an earlier command count.

        Args:
            trials: how many.
            on_trial: told each trial when it has ended.

        Returns:
            All trials of the study.

        Raises:
            InputError: as `check`; the data failed validation; the database cannot be reached; the experiment is
                being run.
        """
        self.check()
        with experiment_lock(self.homes, self.experiment.name, "gtl tune"), self._opened() as study:
            self._take_up(study)
            base = Chain(self.experiment, self.homes, self.on_progress)
            base.data_validation()
            base.require_valid()
            while (number := _ended(study)) < trials:
                study.sampler = self._sampler(number)
                trial = study.ask()
                self._try(study, trial, f"trial {number + 1} of {trials}")
                on_trial(_as_trial(study.trials[trial.number]))
            return [_as_trial(trial) for trial in study.trials if trial.state != TrialState.WAITING]

    def write_best(self, trials: list[Trial]) -> Trial:
        """Writes the experiment file of the best complete trial, and gives that trial.

        What is left out of it starts runs by itself: schedule, retraining and drift.

        Raises:
            GtlError: no trial was completed.
            InputError: the experiment file is no more what was tuned.
        """
        complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
        if not complete:
            reasons = "; ".join(sorted({trial.reason for trial in trials if trial.reason}))
            raise GtlError(f"{self.experiment.name}: no trial was completed ({reasons or 'all were pruned'})")
        best = max(complete, key=lambda trial: trial.score or 0.0)
        path = self.homes.experiments / f"{self.experiment.name}.yaml"
        if load_experiment(path) != self.experiment:
            raise InputError(
                f"{path} has changed since the tuning began; run gtl tune again, which keeps what still holds"
            )
        content = with_values(read_content(path), best.values)
        content |= {
            "name": self.file.stem,
            "tuned_trials": len([trial for trial in trials if trial.score is not None]),
            "description": f"{self.experiment.name} as trial {best.number} of {len(trials)} of study {self.name} found "
            f"best on validation ({self.measure} {best.score:.4f}).",
        }
        kept = {key: value for key, value in content.items() if key not in _LEFT_OUT}
        Experiment.model_validate(kept)
        write_text(self.file, f"{_HEAD}\n{yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)}")
        return best

    @property
    def measure(self) -> str:
        """What a score is, in words."""
        from gtl_core.evaluation.judging import Judge

        return Judge.of(self.experiment).measure.replace("_", " ")

    @cached_property
    def _storage_url(self) -> str:
        if self.url:
            return self.url
        path = self.homes.artifacts / self.experiment.name / "tuning" / "trials.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{path}"

    @contextmanager
    def _opened(self) -> Iterator[optuna.Study]:
        """The study in its database, made where it is not there."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        try:
            shown = make_url(self._storage_url).render_as_string(hide_password=True)
        except SQLAlchemyError:
            raise InputError("--storage: no address of a database, such as postgresql://user@host/name") from None
        try:
            storage = optuna.storages.RDBStorage(self._storage_url)
            pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS)
            study = optuna.create_study(
                storage=storage, study_name=self.name, direction="maximize", pruner=pruner, load_if_exists=True
            )
        except (SQLAlchemyError, ImportError, RuntimeError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise InputError(f"--storage: {shown} cannot be used: {reason}") from None
        try:
            yield study
        finally:
            storage.remove_session()

    def _take_up(self, study: optuna.Study) -> None:
        """Puts the experiment's own values first, and what a killed command was at once more.

        The lock is held, so a trial that is said to run runs nowhere.
        """
        assert self.experiment.tuning is not None  # noqa: S101 - looked at in `check`
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={_AGAIN: trial.number})
        if not study.trials:
            content = self.experiment.model_dump(mode="json")
            own = {key: value_at(content, key) for key in self.experiment.tuning}
            if all(own[key] in values for key, values in self.experiment.tuning.items()):
                study.enqueue_trial(own)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """A sampler for one trial alone, by how many have ended: a stopped study goes on as if it had not been."""
        seed = np.random.SeedSequence([self.experiment.seed, number]).generate_state(1)[0]
        return optuna.samplers.TPESampler(seed=int(seed), n_startup_trials=_FIRST_TRIALS)

    def _try(self, study: optuna.Study, trial: optuna.Trial, task: str) -> None:
        """Runs one trial to its end, or until it is clear that it is none of the better ones."""

        def told(progress: Progress) -> None:
            self.on_progress(replace(progress, task=f"{task}: {progress.task}"))

        values = {key: _suggest(trial, key, values) for key, values in (self.experiment.tuning or {}).items()}
        found: list[dict[str, Any]] = []
        count = self.experiment.evaluation.draws
        try:
            # Pilots spare long transfers of strategies that harm; a trial compares all of them anyway.
            experiment = tuned(self.experiment, {**values, "transfer.pilot": None})
            for first in range(0, count, _RUNG):
                rung = tuple(range(first, min(first + _RUNG, count)))
                found.append(_usefulness(Chain(experiment, self.homes, told, only=rung)))
                score = _scored(trial, found)
                trial.report(score, step=rung[-1])
                if rung[-1] + 1 < count and trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    return
        except GtlError as error:
            trial.set_user_attr(_REASON, str(error))
            study.tell(trial, state=TrialState.FAIL)
            return
        study.tell(trial, score)


def _usefulness(chain: Chain) -> dict[str, Any]:
    """Makes the stages of some draws that are not there yet, and gives what the last one says."""
    chain.draws()
    chain.source_classifier()
    if chain.needs_source_gan:
        chain.source_gan()
    chain.transferred_gans()
    chain.synthetic_images()
    return dict(read_json(chain.usefulness().path / USEFULNESS))


def _scored(trial: optuna.Trial, found: list[dict[str, Any]]) -> float:
    """The score so far, which is kept with what it is made of: that of the best strategy that worked on every draw."""
    labels = [label for label in found[0]["with"] if all(label in of_rung["with"] for of_rung in found)]
    if not labels:
        raise GtlError("no strategy worked on every draw")
    means = {label: float(np.mean([value for rung in found for value in rung["with"][label]])) for label in labels}
    trial.set_user_attr(_PER_STRATEGY, means)
    without = [value for rung in found for value in rung["without"]]
    trial.set_user_attr(_WITHOUT, float(np.mean(without)))
    trial.set_user_attr(_DRAWS, len(without))
    trial.set_user_attr(_VALIDATION, sum(sum(rung["validation_images"]) for rung in found))
    return max(means.values())


def _suggest(trial: optuna.Trial, key: str, values: Any) -> Any:
    """A value out of a range."""
    if not isinstance(values, Span):
        return trial.suggest_categorical(key, values.values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(key, values.low, values.high, log=values.log)
    return trial.suggest_float(key, float(values.low), float(values.high), log=values.log)


def _ended(study: optuna.Study) -> int:
    """How many trials have ended by themselves; one that was killed and is done again counts once."""
    ended = [trial for trial in study.trials if trial.state.is_finished()]
    again = [trial for trial in study.trials if _AGAIN in trial.user_attrs]
    return len(ended) - len(again)


def _as_trial(trial: FrozenTrial) -> Trial:
    attributes: Mapping[str, Any] = trial.user_attrs
    means: dict[str, float] = attributes.get(_PER_STRATEGY, {})
    best = max(means, key=lambda label: means[label], default=None)
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.RUNNING: "running"}
    return Trial(
        number=trial.number,
        state=states.get(trial.state, "failed"),
        values=dict(trial.params),
        score=means[best] if best else None,
        without=attributes.get(_WITHOUT),
        strategy=best,
        draws=attributes.get(_DRAWS, 0),
        validation_images=attributes.get(_VALIDATION, 0),
        reason=attributes.get(_REASON) or ("killed; tried again" if trial.state == TrialState.FAIL else None),
    )
