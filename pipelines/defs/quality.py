"""The asset of what is measured of the synthetic images: distances, memorisation, shares."""

import dagster as dg

from gtl_core.files import read_json
from gtl_core.metrics.quality import NUMBERS
from pipelines.assets import asset_options
from pipelines.recording import record_stages
from pipelines.reporting import Reporter, outcome, picture, table
from pipelines.runs import running


@dg.asset(
    **asset_options(
        "metrics", {"torch", "pandas"}, "synthetic_quality", ["synthetic_images", "source_classifier", "draws"]
    )
)
def synthetic_quality(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """How near the synthetic images come to real ones, and whether they give training images away."""
    with running(context, reporter) as chain:
        stage = chain.synthetic_quality()
        record_stages(chain, [stage], context.run_id)
        quality = read_json(stage.path / NUMBERS)
        measured = quality["strategies"].items()
        rows = [
            {"metric": metric["title"], "floor": _rounded(metric["floor"]), "ceiling": _rounded(metric["ceiling"])}
            | {name: _rounded(found["overall"].get(metric["name"], {}).get("mean")) for name, found in measured}
            for metric in quality["metrics"]
        ]
        screens = {
            f"memorisation of {name}": found["memorisation"]["sentence"]
            for name, found in measured
            if found["memorisation"]
        }
        neighbours = "Rows: synthetic images, the training images nearest to them, the held-out images nearest to them"
        walk = "A walk from one class to another; a row for each milestone of the training"
        pictures = {
            f"{kind} of {name}": picture(path, meaning)
            for name, _ in measured
            for kind, meaning in (("neighbours", neighbours), ("walk", walk))
            if (path := stage.path / f"{kind}-{name}.png").is_file()
        }
        missing = [{"part": part, "reason": reason} for part, reason in quality["missing"].items()]
        tables = {"metrics": table(rows) if rows else "none"} | ({"missing": table(missing)} if missing else {})
        return outcome([stage], {**tables, **screens, **pictures})


def _rounded(value: float | None) -> str:
    """A number for the table; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"
