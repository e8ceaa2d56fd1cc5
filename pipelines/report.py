"""The report's stage: gathers the folders of a run's stages, and says where everything comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.store import Stage
from pipelines.budgets import budgets_folder
from pipelines.stage_rooms import stage_code_version
from pipelines.stages import Chain

if TYPE_CHECKING:
    from gtl_core.evaluation.report.inputs import Part

_STAGES: dict[Part, str] = {
    "evaluation": "evaluation",
    "quality": "synthetic_quality",
    "gap": "domain_gap",
    "validation": "data_validation",
    "draws": "draws",
}
"""The stage that each part of the report is read from."""
_BEFORE = ("data_validation", "draws", "domain_gap", "source_gan", "source_classifier", "synthetic_quality")
"""Stages of one folder that come before the evaluation; those with a pilot have one more."""


def make_report(chain: Chain) -> Stage:
    """The report of a run, made unless it is there: `report.html` and `report.json`.

    Only the evaluation has to be there; of every other stage the report shows what there is, and says what is missing.

    Raises:
        InputError: the experiment has not been evaluated in its present form.
    """
    if chain.found("evaluation") is None:
        raise InputError(
            f"{chain.experiment.name} has no evaluation of its present settings, data and code; run it first: "
            f"gtl run {chain.experiment.name}"
        )

    def make(folder: Path) -> None:
        from gtl_core.evaluation.report.inputs import Inputs
        from gtl_core.evaluation.report.making import write_report

        write_report(Inputs(chain.experiment, _folders(chain), _synthetic(chain), _provenance(chain)), folder)

    return chain.store.build("report", _key(chain), make, force=chain.force)


def find_report(chain: Chain) -> Stage | None:
    """The report of a run as it is now, or None where it was not made yet."""
    return chain.store.find("report", _key(chain))


def report_folder(chain: Chain) -> Path:
    """Where the report of a run as it is now lies, or would lie."""
    return chain.store.path("report", _key(chain))


def _key(chain: Chain) -> str:
    """Key of the report: what is there, how it is shown, and the models that were registered."""
    from gtl_core.evaluation.budgets import BUDGETS
    from gtl_core.evaluation.report.page import design_version

    found = {name: chain.found(name) for name in (*_STAGES.values(), "registered_models")}
    budgets = budgets_folder(chain.experiment, chain.homes) / BUDGETS
    inputs = {
        "experiment": chain.experiment.model_dump(mode="json"),
        "stages": {name: stage.version for name, stage in found.items() if stage},
        "budgets": file_sha256(budgets) if budgets.is_file() else None,
        "design": design_version(),
    }
    return chain.store.key(inputs, stage_code_version("report"))


def _folders(chain: Chain) -> dict[Part, Path]:
    """Folder of every part that is there."""
    from gtl_core.evaluation.budgets import BUDGETS

    folders = {part: stage.path for part, name in _STAGES.items() if (stage := chain.found(name))}
    budgets = budgets_folder(chain.experiment, chain.homes)
    if (budgets / BUDGETS).is_file():
        folders["budgets"] = budgets
    folders["target"] = chain.homes.data / chain.experiment.target.dataset
    return folders


def _synthetic(chain: Chain) -> dict[str, list[Path]]:
    """Folders of the synthetic sets, none where they have been cleaned up."""
    try:
        return chain.synthetic_folders()
    except InputError:
        return {}


def _provenance(chain: Chain) -> dict[str, Any]:
    """Data versions, stages, seed and models, as the report's section about them shows them."""
    registration = chain.found("registered_models")
    record = read_json(registration.path / "registration.json") if registration else {}
    names = [*_BEFORE, *(["pilot"] if chain.pilot_key else []), "evaluation", "registered_models"]
    stages = [stage for name in names if (stage := chain.found(name))]
    facts = {"experiment": chain.experiment.name, "seed": chain.experiment.seed}
    recorded = {
        "git commit": "git_commit",
        "data version": "data_version",
        "Dagster run": "dagster_run_id",
        "MLflow run": "mlflow_run_id",
    }
    return {
        "facts": facts | {title: record[name] for title, name in recorded.items() if name in record},
        "datasets": [
            {"role": role, "name": images.name, "images": len(images), "version": images.version}
            for images, role in zip(chain.sets, ("source", "target"), strict=True)
        ],
        "models": [
            {
                "name": model["name"],
                "version": str(model["version"]),
                "alias": model["alias"],
                "gate": "passed" if model["gate"]["passed"] else "refused: " + "; ".join(model["gate"]["reasons"]),
            }
            for model in record.get("models", [])
        ],
        "stages": [
            {"name": stage.name, "key": stage.key, "version": stage.version, "seconds": round(stage.seconds, 2)}
            for stage in [*stages, *_made(chain)]
        ],
    }


def _made(chain: Chain) -> list[Stage]:
    """The stages of every strategy: its GANs and their images."""
    seeds = range(chain.experiment.evaluation.gan_seeds)
    return [
        stage
        for label, folders in _synthetic(chain).items()
        for draw in range(len(folders))
        for seed in seeds
        for stage in (chain.transferred(label, draw, seed), chain.synthetic(label, draw, seed))
    ]
