"""`gtl tune`: better settings for an experiment, found on validation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

if TYPE_CHECKING:
    from pipelines.tuning import Trial


def tune(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment with ranges.", metavar="EXPERIMENT")],
    trials: Annotated[
        int, typer.Option("--trials", min=1, metavar="N", help="Trials in all; those of an earlier command count.")
    ] = 20,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="GTL_TUNING_STORAGE",
            metavar="URL",
            help="SQLite or PostgreSQL database of the trials; by default a file below the experiment's artifacts. "
            "An address with a password belongs in GTL_TUNING_STORAGE, where no list of processes shows it.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Try settings within declared ranges, and write the best as a new experiment.

    Ranges stand in the experiment file by key path, below gan, transfer,
    synthesis or classifier:

        tuning:
          transfer.steps: {low: 200, high: 2000, log: true}
          transfer.strategies.finetune.lecam: [0.0, 0.3]

    A trial makes GANs with its values and trains classifiers with and without
    their images. What counts is how well those with images do on the
    validation part; trials that do worse than half of the others after their
    first draws are stopped. The test part stays closed: gtl run
    EXPERIMENT-tuned gives the verdict, and the best of many trials often does
    less well there than it did here. A stopped command goes on where it was.
    """
    from gtl_core.homes import Homes
    from pipelines.cli.progress import terminal_progress
    from pipelines.preflight import named_experiment
    from pipelines.tuning import Tuning

    homes = Homes.locate()
    chosen = named_experiment(experiment, homes)
    with terminal_progress() as on_progress:
        study = Tuning(chosen, homes, storage, on_progress)
        found = study.run(trials, lambda trial: note(_line(trial)))
        best = study.write_best(found)
    if json_:
        rows = [asdict(trial) for trial in found]
        result = {"study": study.name, "measure": study.measure, "trials": rows, "best": best.number}
        show_json({"experiment": chosen.name, **result, "file": study.file})
        return
    keys = list(chosen.tuning or {})
    show_table(
        ["trial", "state", *keys, f"{study.measure}, with images", "without", "of strategy", "draws"],
        [_row(trial, keys) for trial in found],
        title=f"Trials of {chosen.name}, on validation",
    )
    say(f"best: trial {best.number}, written as {study.file}")
    note(
        f"the best of {len(found)} trials, on {best.validation_images} validation images, looks better than it is; "
        f"gtl run {study.file.stem} tells what it is worth"
    )


def _row(trial: Trial, keys: list[str]) -> list[Any]:
    values = [_short(trial.values[key]) if key in trial.values else None for key in keys]
    return [trial.number, trial.state, *values, trial.score, trial.without, trial.strategy, trial.draws]


def _line(trial: Trial) -> str:
    """A trial that has ended, in a line."""
    values = ", ".join(f"{key} {_short(value)}" for key, value in trial.values.items())
    came = trial.reason or f"{trial.score:.4f} with images, {trial.without:.4f} without"
    return f"trial {trial.number} ({values}): {trial.state}, {came}"


def _short(value: Any) -> str:
    """A value with four digits that count, because rates are small."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
