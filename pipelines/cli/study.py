"""`gtl study`: what an experiment would have said with other data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="What an experiment would have said with other data.")


@app.command()
def budgets(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment: experiments/NAME.yaml.")],
    labelled: Annotated[
        str, typer.Option("--labelled", metavar="N,N,...", help="Labelled images a class, one run each.")
    ] = "1,3,5,10,20,50",
    json_: Json = False,
) -> None:
    """Run an experiment with several label counts: the learning curve, and how many real labels the GAN is worth.

    What is learned from the source is shared. A stopped command goes on where it was; nothing is registered.
    """
    from gtl_core.homes import Homes
    from pipelines.budgets import budgets_folder, run_budgets
    from pipelines.cli.progress import terminal_progress
    from pipelines.preflight import named_experiment

    counts = _counts(labelled)
    homes = Homes.locate()
    chosen = named_experiment(experiment, homes)
    with terminal_progress() as on_progress:
        found = run_budgets(chosen, counts, homes, on_progress)
    folder = budgets_folder(chosen, homes)
    if json_:
        show_json({"experiment": chosen.name, **found, "folder": folder})
    else:
        _show(chosen.name, found)
        say(f"numbers and picture: {folder}")


def _counts(text: str) -> list[int]:
    """The numbers of a list with commas."""
    from gtl_core.errors import InputError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--labelled: numbers with commas between them, such as 1,3,5; got {text!r}") from None


def _show(name: str, found: dict[str, Any]) -> None:
    """A row a label count with both arms and their difference, then the sentence."""
    rows = []
    for count in found["differences"]:
        plain, gan = (
            next(
                row
                for row in found["budgets"]
                if row["kind"] == kind and row["labelled_per_class"] == count["labelled_per_class"]
            )
            for kind in ("plain", "gan")
        )
        points = [f"{100 * count[key]:+.1f}".replace("-", "−") for key in ("difference", "low", "high")]
        rows.append(
            [
                count["labelled_per_class"],
                plain["arm"],
                f"{100 * plain['mean']:.1f}",
                gan["arm"],
                f"{100 * gan['mean']:.1f}",
                f"{points[0]} ({points[1]} to {points[2]})",
                count["label"],
            ]
        )
    metric = f"{found['metric'].replace('_', ' ')} %"
    columns = ["labelled a class", "without a GAN", metric, "with a GAN", metric, "points (95 % interval)", "the GAN"]
    show_table(columns, rows, title=f"Learning curve of {name}")
    say(found["worth"])
