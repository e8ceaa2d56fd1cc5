"""`gtl resume`: goes on with what was left unfinished."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table


def resume(
    experiment: Annotated[
        str, typer.Argument(help="Name of an experiment; without one, what is unfinished is listed.")
    ] = "",
    json_: Json = False,
) -> None:
    """Go on with an experiment whose last run was killed, stopped or failed; without a name, list such experiments.

    Finished stages are reused, an unfinished training goes on from its last checkpoint, and a registration that was
    cut off is completed. The result is the same as that of a run that was never interrupted. With --json the summary
    of gtl run gets a key "resumed", null where nothing was unfinished.
    """
    from gtl_core.homes import Homes
    from pipelines.instance import prepare

    homes = Homes.locate()
    prepare(homes)
    if experiment:
        _go_on(experiment, homes, json_)
    else:
        _list(homes, json_)


def _go_on(name: str, homes: Any, json_: bool) -> None:
    """Runs an experiment on, where its last run was left unfinished."""
    from pipelines.cli.run import carry_out
    from pipelines.instance import open_instance
    from pipelines.preflight import named_experiment
    from pipelines.recovery import close_dead_runs, unfinished

    chosen = named_experiment(name, homes).name
    with open_instance(homes) as instance:
        close_dead_runs(instance, chosen, again=False)
        left = unfinished(instance, homes, [chosen])
    if left:
        note(f"{left[0].sentence}; going on")
        carry_out(chosen, homes, force=False, json_=json_, more={"resumed": left[0].to_json()})
    elif json_:
        show_json({"experiment": chosen, "resumed": None})
    else:
        say(f"nothing of {chosen} is unfinished; gtl run {chosen} runs it again")


def _list(homes: Any, json_: bool) -> None:
    """Lists what was left unfinished, the newest first."""
    from pipelines.instance import open_instance
    from pipelines.partitions import experiment_names
    from pipelines.recovery import close_dead_runs, close_their_tracking, unfinished

    with open_instance(homes) as instance:
        close_their_tracking(instance, homes, close_dead_runs(instance))
        found = unfinished(instance, homes, experiment_names(homes))
    left = sorted(found, key=lambda run: run.at, reverse=True)
    if json_:
        show_json([run.to_json() for run in left])
        return
    rows = [
        [
            run.experiment,
            run.run_id[:8],
            run.ended,
            run.at,
            run.stage,
            [f"{kept['stage']}: {'begun' if kept['step'] is None else kept['step']}" for kept in run.checkpoints],
            run.reason,
        ]
        for run in left
    ]
    columns = ["experiment", "run", "ended", "at", "stage", "checkpoints (step)", "reason"]
    show_table(columns, rows, empty="nothing is unfinished")
    if left:
        note(f"go on with: gtl resume {left[0].experiment}")
