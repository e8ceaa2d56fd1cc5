"""`gtl models`: what is registered."""

from __future__ import annotations

from pipelines.cli.output import Json, show_json, show_table


def models(json_: Json = False) -> None:
    """List the registered models: versions, aliases, verdicts and scores on the test images."""
    import os

    from gtl_core.homes import Homes

    homes = Homes.locate()
    # Looking must not make a store: its tables take seconds.
    if os.environ.get("MLFLOW_TRACKING_URI") or (homes.mlruns / "mlflow.db").is_file():
        from gtl_core.registry.lineage import list_models

        rows = list_models(homes)
    else:
        rows = []
    if json_:
        show_json(rows)
        return
    columns = ["name", "version", "aliases", "verdict", "metric", "score", "created"]
    table = [[row[column] for column in columns] for row in rows]
    show_table(columns, table, empty="no models yet; gtl demo or gtl run EXPERIMENT registers some")
