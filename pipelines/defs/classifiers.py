"""Assets of the classifiers: the source's, and the evaluation of every arm."""

import dagster as dg

from gtl_core.files import read_json
from pipelines.assets import asset_options
from pipelines.recording import record_stages
from pipelines.reporting import Reporter, outcome, picture, table, verdict_sentence
from pipelines.runs import running

SCORES = ("mean", "low", "high")


@dg.asset(**asset_options("classifiers", {"torch"}, "source_classifier", ["data_validation"]))
def source_classifier(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """A classifier trained on the source, from which several arms start."""
    with running(context, reporter) as chain:
        chain.require_valid()
        stage = chain.source_classifier()
        record_stages(chain, [stage], context.run_id)
        return outcome([stage], {"steps": chain.experiment.classifier.source_steps})


@dg.asset(
    **asset_options(
        "classifiers", {"torch", "pandas"}, "evaluation", ["synthetic_images", "source_classifier", "draws"]
    )
)
def evaluation(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """Every arm on every draw, the test part opened once, and the verdict on the GAN."""
    with running(context, reporter) as chain:
        stage = chain.evaluation()
        record_stages(chain, [stage], context.run_id)
        verdict, arms = read_json(stage.path / "verdict.json"), read_json(stage.path / "arms.json")
        return outcome(
            [stage],
            {
                "verdict": verdict_sentence(verdict),
                "forest": picture(
                    stage.path / "arms.png", "Score of every arm on the test part, with its 95 % interval"
                ),
                "arms": table([{"arm": arm["arm"]} | {key: round(arm[key], 4) for key in SCORES} for arm in arms]),
                "difference": round(verdict["difference"], 4),
                "scope": verdict["scope"],
            },
        )
