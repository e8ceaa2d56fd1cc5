"""`gtl run` and `gtl demo`: an experiment from data to registered models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

Force = Annotated[bool, typer.Option("--force", help="Make every stage anew, also where nothing has changed.")]


def run(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment: experiments/NAME.yaml.")],
    force: Force = False,
    json_: Json = False,
) -> None:
    """Run an experiment: validate, pretrain, transfer, synthesise, evaluate, register.

    What is unchanged since an earlier run is reused; what was interrupted goes on from its last checkpoint.
    """
    from gtl_core.homes import Homes
    from pipelines.instance import prepare

    homes = Homes.locate()
    prepare(homes)
    _run(experiment, homes, force, json_)


def demo(force: Force = False, json_: Json = False) -> None:
    """Run the whole chain on two built-in sets of digits: typeset (many) and handwritten (few). No download."""
    from gtl_core.data.versions import pull
    from gtl_core.homes import Homes
    from pipelines.instance import prepare

    homes = Homes.locate()
    prepare(homes)
    pulled = pull(homes)
    if pulled.trouble:
        note(f"gtl: {pulled.trouble}")
    if pulled.rebuilt:
        note(f"made the built-in sets {' and '.join(pulled.rebuilt)}")
    _run("demo", homes, force, json_)


def _run(name: str, homes: Any, force: bool, json_: bool) -> None:
    """Checks, launches with progress on standard error, and prints what came out."""
    from gtl_core.errors import GateRefused
    from pipelines.cli.progress import terminal_progress
    from pipelines.launch import launch
    from pipelines.preflight import check_ready, named_experiment

    experiment = named_experiment(name, homes)
    check_ready(experiment, homes)
    with terminal_progress() as on_progress:
        summary = launch(experiment, homes, force=force, on_progress=on_progress)
    if json_:
        show_json(summary)
    else:
        _show(summary)
    refused = not summary["gate"]["passed"] and summary["models"][0]["alias"] != "champion"
    if refused and experiment.promotion.approval == "automatic":
        raise GateRefused(f"the run is complete, but not promoted: {'; '.join(summary['gate']['reasons'])}")


def _show(summary: dict[str, Any]) -> None:
    """The verdict first, then what it rests on, then where to go on."""
    from pipelines.reporting import verdict_sentence

    verdict = summary["verdict"]
    say()
    say(verdict_sentence(verdict))
    say(verdict["scope"])
    say()
    arms = [[arm["arm"], 100 * arm["mean"], 100 * arm["low"], 100 * arm["high"]] for arm in summary["arms"]]
    show_table(["arm", f"{verdict['metric']} %", "low", "high"], arms)
    say()
    show_table(
        ["model", "version", "alias"],
        [[model["name"], model["version"], model["alias"]] for model in summary["models"]],
    )
    say(f"gate {'passed' if summary['gate']['passed'] else 'refused'}: {'; '.join(summary['gate']['reasons'])}")
    reused = sum(stage["reused"] for stage in summary["stages"])
    say()
    say(
        f"{summary['seconds']:.0f} s, {reused} of {len(summary['stages'])} stages reused; pictures: {summary['folder']}"
    )
    note(f"go on with: gtl lineage {summary['models'][0]['name']}, gtl ui")
