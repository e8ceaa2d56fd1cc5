"""The asset of the registry: the best classifier and its generator, as versions of registered models."""

import dagster as dg

from gtl_core.files import read_json
from gtl_core.registry.tracking import open_store
from pipelines.assets import asset_options
from pipelines.gating import gate_results, gate_specs, rules_table
from pipelines.promotions import tell
from pipelines.registration import registered_models as register
from pipelines.reporting import Reporter, outcome, run_link, table
from pipelines.runs import running


@dg.asset(
    **asset_options("registry", {"mlflow"}, "registered_models", ["evaluation", "synthetic_quality"]),
    check_specs=gate_specs("registered_models"),
)
def registered_models(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """The best classifier by validation and its generator, challengers or champions after the gate."""
    with running(context, reporter) as chain:
        stage = register(chain, context.run_id)
        record = read_json(stage.path / "registration.json")
        models = [{"model": model["name"], "version": str(model["version"])} for model in record["models"]]
        store = open_store(chain.homes)
        tell(context.instance, store, models[0]["model"])
        gate = record["models"][0]["gate"]
        return outcome(
            [stage],
            {
                "models": table(models),
                "gate": "passed" if gate["passed"] else "refused",
                "gate rules": rules_table(gate["rules"]),
                "MLflow run": run_link(store, record["mlflow_run_id"]),
                "data version": record["data_version"],
            },
            gate_results(gate),
        )
