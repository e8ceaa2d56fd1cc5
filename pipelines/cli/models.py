"""`gtl models`: what is registered."""

from __future__ import annotations

from pipelines.cli.output import Json, show_json, show_table


def models(json_: Json = False) -> None:
    """List the registered models: versions, aliases, verdicts and scores on the test images."""
    from gtl_core.homes import Homes
    from gtl_core.registry.tracking import has_store

    homes = Homes.locate()
    if has_store(homes):
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
