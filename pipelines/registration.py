"""The last stage: hands what an experiment has made to the registry, and remembers under which versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import DaganConfig
from gtl_core.data.versions import data_version
from gtl_core.files import canonical_sha256, file_sha256, read_json, write_json
from gtl_core.registry.lineage import git_commit, list_models
from gtl_core.registry.register import classifier_name, generator_name, register_experiment
from gtl_core.registry.seen import SEEN_FILE, write_seen
from gtl_core.registry.tracking import open_store
from gtl_core.registry.unfinished import begun
from gtl_core.store import Stage
from pipelines.recording import close_parent, parent_run
from pipelines.stages import Chain

if TYPE_CHECKING:
    from gtl_core.data.image_set import ImageSet


def registered_models(chain: Chain, dagster_run_id: str) -> Stage:
    """Registers the best classifier and its generator, unless just these are registered already.

    A registration that a killed process has begun is gone on with, in the MLflow run that it was begun in.

    Args:
        chain: the chain, evaluated.
        dagster_run_id: the Dagster run.

    Returns:
        The stage, whose `registration.json` says `mlflow_run_id, dagster_run_id, git_commit, data_version, models,
        stages`.
    """

    def make(folder: Path) -> None:
        store, registration = open_store(chain.homes), _registration(chain, dagster_run_id if anew else None)
        names = classifier_name(chain.experiment.name), generator_name(chain.experiment.name)
        earlier = begun(store, names, registration)
        parent = earlier.run if earlier else parent_run(store, chain, dagster_run_id)
        version = data_version(chain.homes)
        models = _register(chain, parent, dagster_run_id, version, registration, folder)
        if earlier:
            store.finish(parent)
        record = {
            "mlflow_run_id": parent,
            "dagster_run_id": dagster_run_id,
            "git_commit": git_commit(chain.homes.root),
            "data_version": version,
            "models": models,
            "stages": chain.stage_keys(),  # what gtl gc keeps as long as it keeps this run
        }
        write_json(folder / "registration.json", record)

    known = chain.found("registered_models")
    anew = chain.force or (known is not None and not _still_there(chain, known))
    stage = chain.store.build("registered_models", chain.registration_key, make, force=anew)
    close_parent(chain, dagster_run_id, "FINISHED")
    return stage


def _still_there(chain: Chain, stage: Stage) -> bool:
    """Whether the registry still has the versions that were registered, with their weights."""
    there = {(model["name"], str(model["version"])) for model in list_models(chain.homes) if not model["collected"]}
    return {
        (model["name"], str(model["version"])) for model in read_json(stage.path / "registration.json")["models"]
    } <= there


def _registration(chain: Chain, only_of_run: str | None) -> str:
    """Hash of what is registered; with a run, one that no other run's registration has."""
    weights = chain.require("evaluation").path / "best" / "classifier.safetensors"
    generator = chain.transferred(*_chosen(chain)).path / "gan.safetensors"
    hashes = [file_sha256(path) for path in (weights, generator)]
    return canonical_sha256([chain.registration_key, *hashes, only_of_run])


def _chosen(chain: Chain) -> tuple[str, int, int]:
    """Strategy, draw and GAN seed of the generator that goes with the best classifier."""
    evaluation = chain.require("evaluation").path
    best = read_json(evaluation / "best" / "best.json")
    # A classifier trained without a GAN goes with the strategy that the verdict is about.
    strategy = best["strategy"] or read_json(evaluation / "verdict.json")["strategy"]
    return strategy, int(best["draw"]), int(best["gan_seed"] or 0)


def _register(
    chain: Chain, parent: str, dagster_run_id: str, version: str, registration: str, folder: Path
) -> list[dict[str, Any]]:
    """Gathers what the registry needs from the stages; `folder` takes what is written for it."""
    from gtl_core.training.classifier import UNTRAINED

    evaluation = chain.require("evaluation").path
    strategy, draw, gan_seed = _chosen(chain)
    made = chain.transferred(strategy, draw, gan_seed)
    generator = made.path / "gan.safetensors"
    configs = {config.label: config for config in chain.experiment.transfer.strategies}
    source_gan = []
    if strategy in configs and configs[strategy].uses_source_gan:
        source_gan.append(("source_gan", chain.require("source_gan").path / "gan.safetensors"))
    if isinstance(config := configs.get(strategy), DaganConfig):
        learned = chain.source_dagan(config)
        source_gan.append((learned.name, learned.path / "gan.safetensors"))
    backbone = []
    if chain.experiment.classifier.checkpoint is not None:
        backbone.append(("backbone", chain.require("source_classifier").path / UNTRAINED))
    draws = chain.load_draws()
    seen = folder / SEEN_FILE
    # Of all that makes a GAN only `SCRATCH` is no configured strategy, and it alone learns nothing from the source.
    transferred, pool = strategy in configs, chain.experiment.target.use_unlabelled
    write_seen(seen, *chain.sets, draws, draw, pool=pool, transferred=transferred)
    validation = chain.require("data_validation").path
    return register_experiment(
        chain.experiment,
        chain.homes,
        parent_run_id=parent,
        dagster_run_id=dagster_run_id,
        evaluation=evaluation,
        generator=generator,
        synthetic=chain.synthetic(strategy, draw, gan_seed).path,
        target=chain.sets[1],
        draw=draws[draw],
        checkpoints=[
            *source_gan,
            *backbone,
            ("source_classifier", chain.require("source_classifier").path / "classifier.safetensors"),
            (made.name.rpartition("/")[0], generator),
        ],
        datasets=[recorded_set(images, role) for images, role in zip(chain.sets, ("source", "target"), strict=True)],
        seen=seen,
        documents={f"validation/{name}": validation / name for name in ("validation.json", "quarantine.csv")},
        data_version=version,
        registration=registration,
        memorisation=_memorisation(chain, strategy),
    )


def recorded_set(images: ImageSet, role: str) -> dict[str, Any]:
    """What a lineage record tells of an image set; of pictures of sounds also what turns them back."""
    facts = {"name": images.name, "role": role, "version": images.version, "images": len(images)}
    sound = {"sound": images.card["sound"]} if "sound" in images.card else {}
    return {**facts, "licence": images.card.get("licence"), **sound}


def _memorisation(chain: Chain, strategy: str) -> dict[str, Any] | None:
    """What was measured of a strategy: empty where it could not be measured, None where the gate does not ask."""
    if not chain.experiment.promotion.asks_for_memorisation:
        return None
    measured = read_json(chain.require("synthetic_quality").path / "quality.json")["strategies"].get(strategy, {})
    return measured.get("memorisation") or {}
