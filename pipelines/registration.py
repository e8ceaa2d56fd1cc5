"""The last stage: hands what an experiment has made to the registry, and remembers under which versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gtl_core.data.versions import data_version
from gtl_core.files import read_json, write_json
from gtl_core.registry.lineage import git_commit, list_models
from gtl_core.registry.register import register_experiment
from gtl_core.registry.tracking import open_store
from gtl_core.store import Stage
from pipelines.recording import close_parent, parent_run
from pipelines.stages import Chain


def registered_models(chain: Chain, dagster_run_id: str) -> Stage:
    """Registers the best classifier and its generator, unless just these are registered already.

    Args:
        chain: the chain, evaluated.
        dagster_run_id: the Dagster run.

    Returns:
        The stage, whose `registration.json` says `mlflow_run_id, dagster_run_id, git_commit, data_version, models`.
    """

    def make(folder: Path) -> None:
        parent = parent_run(open_store(chain.homes), chain, dagster_run_id)
        version = data_version(chain.homes)
        models = _register(chain, parent, dagster_run_id, version)
        record = {
            "mlflow_run_id": parent,
            "dagster_run_id": dagster_run_id,
            "git_commit": git_commit(chain.homes.root),
            "data_version": version,
            "models": models,
        }
        write_json(folder / "registration.json", record)

    known = chain.found("registered_models")
    gone = known is not None and not _still_there(chain, known)
    stage = chain.store.build("registered_models", chain.registration_key, make, force=chain.force or gone)
    close_parent(chain, dagster_run_id, "FINISHED")
    return stage


def _still_there(chain: Chain, stage: Stage) -> bool:
    """Whether the registry still has the versions that were registered."""
    there = {(model["name"], str(model["version"])) for model in list_models(chain.homes)}
    return {
        (model["name"], str(model["version"])) for model in read_json(stage.path / "registration.json")["models"]
    } <= there


def _register(chain: Chain, parent: str, dagster_run_id: str, version: str) -> list[dict[str, Any]]:
    """Gathers what the registry needs from the stages."""
    evaluation = chain.require("evaluation").path
    best = read_json(evaluation / "best" / "best.json")
    # A classifier trained without a GAN goes with the strategy that the verdict is about.
    strategy = best["strategy"] or read_json(evaluation / "verdict.json")["strategy"]
    draw, gan_seed = int(best["draw"]), int(best["gan_seed"] or 0)
    made = chain.transferred(strategy, draw, gan_seed)
    generator = made.path / "gan.safetensors"
    configs = {config.label: config for config in chain.experiment.transfer.strategies}
    source_gan = []
    if strategy in configs and configs[strategy].uses_source_gan:
        source_gan.append(("source_gan", chain.require("source_gan").path / "gan.safetensors"))
    return register_experiment(
        chain.experiment,
        chain.homes,
        parent_run_id=parent,
        dagster_run_id=dagster_run_id,
        evaluation=evaluation,
        generator=generator,
        synthetic=chain.synthetic(strategy, draw, gan_seed).path,
        target=chain.sets[1],
        draw=chain.load_draws()[draw],
        checkpoints=[
            *source_gan,
            ("source_classifier", chain.require("source_classifier").path / "classifier.safetensors"),
            (made.name.rpartition("/")[0], generator),
        ],
        datasets=[
            {
                "name": images.name,
                "role": role,
                "version": images.version,
                "images": len(images),
                "licence": images.card.get("licence"),
            }
            for images, role in zip(chain.sets, ("source", "target"), strict=True)
        ],
        data_version=version,
        memorisation=_memorisation(chain, strategy),
    )


def _memorisation(chain: Chain, strategy: str) -> dict[str, Any] | None:
    """What the screen found of a strategy: empty where it could not look, None where the gate is not to ask."""
    if chain.experiment.promotion.memorisation == "ignore":
        return None
    measured = read_json(chain.require("synthetic_quality").path / "quality.json")["strategies"].get(strategy, {})
    return measured.get("memorisation") or {}
