"""The asset of the report: one page for people, and its numbers."""

import dagster as dg

from gtl_core.evaluation.report.making import HTML, JSON
from gtl_core.files import read_json
from gtl_core.registry.tracking import open_store
from pipelines.assets import asset_options
from pipelines.report import make_report
from pipelines.reporting import Reporter, outcome, run_link
from pipelines.runs import running


@dg.asset(**asset_options("registry", {"html"}, "report", ["registered_models", "domain_gap"]))
def report(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """The verdict and everything behind it on one page, which opens from disk; logged beside the models."""
    with running(context, reporter) as chain:
        stage = make_report(chain)
        run_id = read_json(chain.require("registered_models").path / "registration.json")["mlflow_run_id"]
        store = open_store(chain.homes)
        for name in (HTML, JSON):
            store.log_artifact(run_id, stage.path / name)
        sections = read_json(stage.path / JSON)["sections"].values()
        missing = [section["title"] for section in sections if "missing" in section]
        return outcome(
            [stage],
            {
                "report": run_link(store, run_id, HTML),
                "page": dg.MetadataValue.path(str(stage.path / HTML)),
                "MLflow run": run_link(store, run_id),
                "missing": ", ".join(missing) or "nothing",
            },
        )
