"""Resources that assets are handed."""

import dagster as dg

from pipelines.reporting import Reporter


@dg.definitions
def resources() -> dg.Definitions:
    """How assets report."""
    return dg.Definitions(resources={"reporter": Reporter()})
