"""Assets of the generative part: source GAN, transferred GANs, synthetic images."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from gtl_core.files import read_json
from gtl_core.store import Stage
from pipelines.assets import asset_options
from pipelines.recording import record_stages
from pipelines.reporting import Reporter, curves, outcome, picture, table
from pipelines.runs import running


@dg.asset(**asset_options("gan", {"torch"}, "source_gan", ["data_validation"]))
def source_gan(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """A conditional GAN pretrained on the source."""
    with running(context, reporter) as chain:
        chain.require_valid()
        if not chain.needs_source_gan:
            unneeded = {"needed": "no strategy of this experiment starts from a source GAN"}
            return dg.MaterializeResult(metadata={**unneeded, "reused": True, "seconds": 0.0})
        stage = chain.source_gan()
        record_stages(chain, [stage], context.run_id)
        samples = picture(stage.path / "samples.png", "Images made by the source GAN, one row a class")
        losses = curves(stage.path / "curves.csv", "Losses of the source GAN over the steps")
        return outcome([stage], {"samples": samples, "losses": losses, "steps": chain.experiment.gan.steps})


@dg.asset(**asset_options("gan", {"torch"}, "transferred_gan", ["source_gan", "source_classifier", "draws", "pilot"]))
def transferred_gans(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """GANs of the target for each draw: by each strategy, and without the source where an arm wants that."""
    with running(context, reporter) as chain:
        learned = list(chain.source_dagans.values())
        stages = chain.transferred_gans()
        record_stages(chain, [*learned, *stages], context.run_id)
        failures = chain.failures()
        for strategy, reason in failures.items():
            context.log.warning(f"{strategy} is left out: {reason}")
        samples = {
            f"samples of {stage.name.split('/')[1]}": picture(
                stage.path / "samples.png", f"Images made by {stage.name}, one row a class"
            )
            for stage in stages
            if stage.name.endswith("draw-0") and (stage.path / "samples.png").is_file()
        }
        losses = {
            f"losses of {stage.name.split('/')[1]}": curves(
                stage.path / "curves.csv", f"Losses of {stage.name} over the steps"
            )
            for stage in stages
            if stage.name.endswith("draw-0") and (stage.path / "curves.csv").is_file()
        }
        failed = {f"{strategy} is left out": reason for strategy, reason in failures.items()}
        return outcome(stages, {**samples, **losses, **failed, "gans": len(stages)})


@dg.asset(**asset_options("gan", {"torch", "pandas"}, "synthetic_images", ["transferred_gans"]))
def synthetic_images(context: dg.AssetExecutionContext, reporter: dg.ResourceParam[Reporter]) -> dg.MaterializeResult:
    """Class-balanced images sampled from every transferred GAN, validated as real ones are."""
    with running(context, reporter) as chain:
        stages = chain.synthetic_images()
        record_stages(chain, stages, context.run_id)
        samples = picture(stages[0].path / "samples.png", f"Synthetic images of {stages[0].name}, one row a class")
        failed = [
            {"set": stage.name, "check": finding["check"], "says": finding["summary"]}
            for stage in stages
            for finding in read_json(stage.path / "validation.json")["findings"]
            if not finding["passed"]
        ]
        validation = table(failed) if failed else "every set passed every check"
        return outcome(
            stages,
            {
                "samples": samples,
                "validation": validation,
                **_selection(stages),
                "sets": len(stages),
                "images a class": chain.experiment.synthesis.per_class,
            },
        )


def _selection(stages: Sequence[Stage]) -> dict[str, Any]:
    """How many images each set's selection leaves out, and some of them; nothing where there is no selection."""
    about = {stage.name: read_json(stage.path / "card.json").get("filter") for stage in stages}
    rows = [
        {"set": name, "kept": found["kept"], **found["dropped"], "kept whole": ", ".join(found["kept_whole"])}
        for name, found in about.items()
        if found
    ]
    shown = {"left out by the selection": table(rows)} if rows else {}
    for stage in stages:
        if (stage.path / "dropped.png").is_file():
            meaning = f"Images of {stage.name} that the selection leaves out, a row for each reason"
            return shown | {"left out": picture(stage.path / "dropped.png", meaning)}
    return shown
