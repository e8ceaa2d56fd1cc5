"""How assets show themselves: progress while they run, pictures and tables when they are done."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dagster as dg

from gtl_core.progress import OnProgress, Progress
from gtl_core.store import Stage

if TYPE_CHECKING:
    from gtl_core.registry.tracking import TrackingStore

_LOG_SECONDS = 5.0
_PICTURE_BYTES = 150_000
"""Dagster's page grows slow with Markdown metadata of more than about 200 kB; base64 adds a third to a picture."""


class Reporter:
    """Shows progress of long work in Dagster's log."""

    def on_progress(self, context: dg.AssetExecutionContext) -> OnProgress:
        """A callback that writes a line to the run's log every few seconds."""
        last = time.monotonic()

        def log(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _LOG_SECONDS:
                last = time.monotonic()
                values = ", ".join(f"{name} {value:.4g}" for name, value in sorted(progress.values.items()))
                context.log.info(f"{progress.task}: {progress.step:g} of {progress.total} {values}".rstrip())

        return log


def outcome(stages: Sequence[Stage], metadata: Mapping[str, Any], checks: Sequence[Any] = ()) -> dg.MaterializeResult:
    """What Dagster is told of one or several finished stages.

    Args:
        stages: the stages that the asset stands for.
        metadata: what to show on the asset's page beside version, time and place.
        checks: results of the asset's checks.
    """
    reused = all(stage.reused for stage in stages)
    version = stages[0].version if len(stages) == 1 else "-".join(stage.version[:8] for stage in stages)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata={
            **metadata,
            "reused": reused,
            "seconds": round(sum(stage.seconds for stage in stages if not stage.reused), 3),
            "folder": dg.MetadataValue.path(os.path.commonpath([stage.path for stage in stages])),
        },
        check_results=list(checks),
    )


def picture(path: Path, meaning: str) -> Any:
    """A PNG as Markdown metadata, made smaller until it is small enough for Dagster's page.

    Args:
        path: the PNG.
        meaning: what it shows; also its alternative text.
    """
    return _embedded(path.read_bytes(), meaning)


def curves(path: Path, meaning: str) -> Any:
    """The curves of a CSV file with a column `step` as a small plot, a panel for each group of like columns.

    Args:
        path: the CSV.
        meaning: what it shows; also its alternative text.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    rows = pd.read_csv(path, index_col="step")
    losses = [name for name in rows.columns if name.startswith("loss")]
    panels = [names for names in (losses, [name for name in rows.columns if name not in losses]) if names]
    figure = Figure(figsize=(4.5 * len(panels), 2.8), layout="constrained")
    for axes, names in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name in names:
            axes.plot(rows.index, rows[name], label=name, linewidth=1)
        axes.set_xlabel("step")
        axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return _embedded(buffer.getvalue(), meaning)


def _embedded(content: bytes, meaning: str) -> Any:
    """A PNG inside Markdown, with its meaning as alternative text and below it."""
    from PIL import Image

    while len(content) > _PICTURE_BYTES:
        image = Image.open(io.BytesIO(content))
        smaller = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))
        buffer = io.BytesIO()
        smaller.save(buffer, format="PNG", optimize=True)
        content = buffer.getvalue()
    return dg.MetadataValue.md(f"![{meaning}](data:image/png;base64,{base64.b64encode(content).decode()})\n\n{meaning}")


def table(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows of equal keys as a table on the asset's page."""
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def run_link(store: TrackingStore, run_id: str, artifact: str = "") -> Any:
    """A link to a run on MLflow's page: that of the server which is set, else the one that `gtl ui` opens.

    Args:
        store: where the run is.
        run_id: the run.
        artifact: a file of the run to show.
    """
    from pipelines.servers import HOST, MLFLOW_PORT

    server = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    # A password in the server's address is none of the page's business.
    page = f"{server.scheme}://{server.netloc.rpartition('@')[2]}{server.path.rstrip('/')}"
    page = page if server.scheme.startswith("http") else f"http://{HOST}:{MLFLOW_PORT}"
    experiment = store.client.get_run(run_id).info.experiment_id
    shown = f"/artifacts/{artifact}" if artifact else ""
    return dg.MetadataValue.url(f"{page}/#/experiments/{experiment}/runs/{run_id}{shown}")


def verdict_sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in a sentence or two, its difference in points with the interval."""
    return str(verdict["sentence"])
