"""The asset of the early verdicts: which strategies are stopped after a short transfer."""

import dagster as dg

from gtl_core.files import read_json
from pipelines.assets import asset_options
from pipelines.recording import record_stages
from pipelines.reporting import Reporter, outcome, table
from pipelines.runs import running


@dg.asset(**asset_options("gan", {"torch"}, "pilot", ["source_gan", "source_classifier", "draws"]))
def pilot(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """A short transfer by each strategy; one that clearly harms on validation is stopped, but never the best."""
    with running(context, reporter) as chain:
        if chain.experiment.transfer.pilot is None:
            unneeded = {"needed": "transfer.pilot is not set, so every strategy goes on"}
            return dg.MaterializeResult(metadata={**unneeded, "reused": True, "seconds": 0.0})
        stage = chain.pilot()
        record_stages(chain, [stage], context.run_id)
        record = read_json(stage.path / "pilot.json")
        for strategy, reason in chain.stopped().items():
            context.log.warning(f"{strategy}: {reason}")
        rows = [
            {
                "strategy": row["strategy"],
                **{name: round(row[name], 4) for name in ("difference", "low", "high")},
                "goes on": row["reason"] is None,
            }
            for row in record["strategies"]
        ]
        notes = {f"{strategy} is not judged": reason for strategy, reason in record["unjudged"].items()}
        if record["note"]:
            notes["note"] = record["note"]
        return outcome([stage], {"difference on validation": table(rows), "measure": record["measure"], **notes})
