"""`gtl ui`: the pages of Dagster and MLflow."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.browser import open_pages
from pipelines.cli.output import note, say


def ui(
    dagster_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Dagster's page.", show_default="3000 or the next free")
    ] = None,
    mlflow_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of MLflow's page.", show_default="5000 or the next free")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open both pages in the browser.")] = True,
) -> None:
    """Open Dagster (runs, assets, checks) and MLflow (curves, models) together; Ctrl-C stops both.

    Dagster's daemon runs beside its page, so that runs which are started on the page, schedules and sensors work.
    """
    import os
    import time

    from gtl_core.homes import Homes
    from pipelines.instance import open_instance
    from pipelines.servers import (
        DAGSTER_PORT,
        MLFLOW_PORT,
        dagster_server,
        free_port,
        mlflow_server,
        require_alive,
        running,
    )

    homes = Homes.locate()
    # A damaged database is told before anything starts, and the queue knows its pool before its first look.
    with open_instance(homes):
        pass
    specs = [dagster_server(homes, free_port(dagster_port, DAGSTER_PORT, [mlflow_port] if mlflow_port else []))]
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not tracking.startswith("http"):
        specs.append(mlflow_server(homes, free_port(mlflow_port, MLFLOW_PORT, {specs[0].port})))
    addresses = {spec.name: spec.address for spec in specs} | ({"MLflow": tracking} if len(specs) == 1 else {})

    note("starting " + " and ".join(spec.name for spec in specs) + " ...")
    try:
        with running(homes, specs) as processes:
            for name, address in addresses.items():
                say(f"{name.ljust(7)}  {address}")
            note("Ctrl-C stops " + ("both" if len(specs) == 2 else "Dagster; MLflow is a server of its own"))
            if browser:
                open_pages(list(addresses.values()))
            while True:
                require_alive(specs, processes)
                time.sleep(0.5)
    except KeyboardInterrupt:
        note("stopped")
