"""The asset of the domain gap: how related source and target are, before anything is trained on the target."""

import dagster as dg

from gtl_core.files import read_json
from gtl_core.metrics.relatedness import NUMBERS
from pipelines.assets import asset_options
from pipelines.recording import record_stages
from pipelines.reporting import Reporter, outcome, table
from pipelines.runs import running


@dg.asset(**asset_options("metrics", {"torch"}, "domain_gap", ["source_classifier", "draws"]))
def domain_gap(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """How related source and target are: a traffic light that describes and never decides."""
    with running(context, reporter) as chain:
        stage = chain.domain_gap()
        record_stages(chain, [stage], context.run_id)
        gap = read_json(stage.path / NUMBERS)
        measures = [
            {
                "measure": measure["title"],
                "value": f"{measure['value']:.3f}",
                "95 % interval": f"{measure['low']:.3f} to {measure['high']:.3f}",
                "better": measure["better"],
                "beside": "–" if measure["reference"] is None else f"{measure['reference']:.3f}",
                "which is": measure["reference_is"],
                "p": "–" if measure["p"] is None else f"{measure['p']:.3f}",
                "meaning": measure["meaning"],
            }
            for measure in gap["measures"]
        ]
        nearest = [
            {"class": name, "nearest source class": row["source_class"], "distance": f"{row['distance']:.2f}"}
            for name, row in gap["nearest_class"].items()
        ]
        missing = [{"part": part, "reason": reason} for part, reason in gap["missing"].items()]
        tables = {"measures": measures, "nearest classes": nearest, "missing": missing}
        return outcome(
            [stage],
            {
                "light": gap["light"],
                "sentence": gap["sentence"],
                **{name: table(rows) for name, rows in tables.items() if rows},
                "what": gap["what"],
            },
        )
