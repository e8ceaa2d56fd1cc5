"""`gtl run` and `gtl demo`: an experiment from data to registered models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

DEMOS = ("demo_unlabelled", "demo")
"""The experiments of `gtl demo`."""

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
    carry_out(experiment, homes, force=force, json_=json_)


def carry_out(name: str, homes: Any, *, force: bool, json_: bool, more: Mapping[str, Any] | None = None) -> None:
    """Runs an experiment, shows what came out, with `more` in the JSON, and heeds the gate."""
    summary = _run(name, homes, force)
    if json_:
        show_json({**summary, **(more or {})})
    else:
        _show(summary)
    _heed_gate(summary)


def demo(force: Force = False, json_: Json = False) -> None:
    """Run the whole chain on two built-in sets of digits: typeset (many) and handwritten. No download.

    Two experiments: `demo_unlabelled`, where no handwritten digit is labelled, and `demo`, where five of each are. With
    --json they come as a list.
    """
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
    summaries = []
    for name in DEMOS:
        summaries.append(_run(name, homes, force))
        if not json_:
            _show(summaries[-1])
    if json_:
        show_json(summaries)
    for summary in summaries:
        _heed_gate(summary)


def _run(name: str, homes: Any, force: bool) -> dict[str, Any]:
    """Checks, launches with progress on standard error, and gives what came out."""
    from pipelines.cli.progress import terminal_progress
    from pipelines.launch import launch
    from pipelines.preflight import check_ready, named_experiment

    experiment = named_experiment(name, homes)
    check_ready(experiment, homes)
    with terminal_progress() as on_progress:
        return launch(experiment, homes, force=force, on_progress=on_progress)


def _heed_gate(summary: dict[str, Any]) -> None:
    """Ends with the gate's exit code where it refused what would have been promoted by itself."""
    from gtl_core.errors import GateRefused

    gate = summary["gate"]
    refused = not gate["passed"] and summary["models"][0]["alias"] != "champion"
    if refused and gate["approval"] == "automatic":
        raise GateRefused(f"the run is complete, but not promoted: {'; '.join(gate['reasons'])}")


def _show(summary: dict[str, Any]) -> None:
    """The verdict first, then what it rests on, then where to go on."""
    from pipelines.reporting import verdict_sentence

    verdict = summary["verdict"]
    say()
    say(f"{summary['experiment']}: {verdict_sentence(verdict)}")
    say(verdict["scope"])
    say()
    arms = [[arm["arm"], 100 * arm["mean"], 100 * arm["low"], 100 * arm["high"]] for arm in summary["arms"]]
    show_table(["arm", f"{verdict['metric']} %", "low", "high"], arms)
    for reason in dict.fromkeys(verdict["left_out"].values()):
        say(f"left out, {reason}: {', '.join(arm for arm, why in verdict['left_out'].items() if why == reason)}")
    if summary["pilot"] and summary["pilot"]["note"]:
        say(summary["pilot"]["note"])
    say()
    show_table(
        ["model", "version", "alias"],
        [[model["name"], model["version"], model["alias"]] for model in summary["models"]],
    )
    gate = summary["gate"]
    if gate["passed"]:
        say(f"gate passed: {'; '.join(gate['reasons'])}")
    else:
        say("gate refused:")
        for reason in gate["reasons"]:
            say(f"  {reason}")
    if gate["waits"] and summary["models"][0]["alias"] == "challenger":
        say(gate["waits"])
    reused = sum(stage["reused"] for stage in summary["stages"])
    say()
    say(
        f"{summary['seconds']:.0f} s, {reused} of {len(summary['stages'])} stages reused; pictures: {summary['folder']}"
    )
    if summary["report"]:
        say(f"report: {summary['report']}")
    note(f"go on with: gtl lineage {summary['models'][0]['name']}, gtl ui")
