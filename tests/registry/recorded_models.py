"""Registered versions with real lineage records, made without any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.config import Experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.data.versions import data_version
from gtl_core.files import write_json
from gtl_core.homes import Homes
from gtl_core.registry.lineage import build_record
from gtl_core.registry.packaging import Package, log_package
from gtl_core.registry.seen import write_seen
from gtl_core.registry.tracking import TrackingStore
from tests.synthesis.exported_sets import synthetic_set

CLASSES = ("eins", "zwei")
PATIENTS = 6
"""Patients of each set that `write_scans` makes; each has as many images of either class."""


def write_scans(homes: Homes, name: str, seed: int = 0, per_patient: int = 4) -> ImageSet:
    """Writes a set of random images of 16×16 pixels whose groups are patients; the last patient's are its test part."""
    rng = np.random.default_rng(seed)
    with ImageSetWriter(homes.data / name, CLASSES) as writer:
        for patient in range(PATIENTS):
            for index in range(per_patient):
                writer.add(
                    rng.integers(0, 256, (1, 16, 16), dtype=np.uint8),
                    label=index % len(CLASSES),
                    split="test" if patient == PATIENTS - 1 else "train",
                    group=f"patient-{patient}",
                    source_file=f"scans/{patient}/{index}.png",
                )
    return ImageSet.load(homes.data / name)


def scans_experiment(name: str = "scans", source: str = "old", target: str = "new") -> Experiment:
    """An experiment over such sets."""
    return Experiment.model_validate(
        {
            "name": name,
            "source": {"dataset": source},
            "target": {"dataset": target, "labelled_per_class": 2, "validation_per_class": 2},
            "image": {"size": 16, "channels": 1},
            "transfer": {"strategies": ["finetune"]},
            "evaluation": {"draws": 2},
        }
    )


def register_version(
    store: TrackingStore,
    homes: Homes,
    scratch: Path,
    experiment: Experiment,
    *,
    kinds: Sequence[str] = ("classifier",),
    with_seen: bool = True,
    documents: dict[str, Path] | None = None,
    gan: Path | None = None,
) -> list[tuple[str, str]]:
    """Registers versions of one run whose weights are a few bytes; everything that lineage reads of them is real.

    Args:
        store: the MLflow store.
        homes: the project, with both sets of the experiment in `data/`.
        scratch: an empty folder.
        experiment: what was run.
        kinds: which models; the record and the list of seen images are the same for all.
        with_seen: False for records as they were written before seen images were listed.
        documents: further files of the run.
        gan: checkpoint of a real GAN, to stand where the transferred one does.

    Returns:
        Name and version of each.
    """
    source, target = (ImageSet.load(homes.data / part.dataset) for part in (experiment.source, experiment.target))
    draws = make_draws(target, 2, 2, 0.3, 2, experiment.seed)
    run_id = store.start_run(f"gtl-{experiment.name}", experiment.name)
    for images, role in ((source, "source"), (target, "target")):
        store.log_dataset_input(run_id, images.name, role, images.version, len(images))
    seen = scratch / "seen.parquet"
    write_seen(seen, source, target, draws, 0, pool=False, transferred=True)
    stages = homes.artifacts / experiment.name
    checkpoints = []
    for stage in ("source_gan", "source_classifier", "transferred_gan/finetune"):
        file = stages / stage / "key" / "weights.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gan.read_bytes() if gan and stage.startswith("transferred") else stage.encode())
        checkpoints.append((stage, file))
    if not (stages / "synthetic").exists():
        synthetic_set(stages / "synthetic")
    for path, document in (documents or {}).items():
        store.log_artifact(run_id, document, Path(path).parent.as_posix())
    record: dict[str, Any] = build_record(
        homes,
        experiment,
        mlflow_run_id=run_id,
        dagster_run_id="a-dagster-run",
        data_version=data_version(homes),
        datasets=[
            {"name": images.name, "role": role, "version": images.version, "images": len(images), "licence": None}
            for images, role in ((source, "source"), (target, "target"))
        ],
        seen=seen,
        documents=documents or {},
        checkpoints=[*checkpoints, ("classifier", checkpoints[1][1])],
        synthetic=stages / "synthetic",
        verdict={"label": "helps", "metric": "balanced_accuracy", "sentence": "It helps.", "scope": "Scans."},
        arms=[{"arm": "best_plus_gan/finetune", "mean": 0.9, "low": 0.85, "high": 0.95}],
        best={
            "arm": "best_plus_gan/finetune",
            "strategy": "finetune",
            "draw": 0,
            "gan_seed": 0,
            "chosen_by": "balanced accuracy on the labelled validation part",
            "recipe": {"initial": "source", "source_weight": None},
        },
    )
    if not with_seen:
        record = {name: value for name, value in record.items() if name not in ("seen", "experiment", "arms", "best")}
    return [
        (
            f"gtl-{experiment.name}-{kind}",
            log_package(
                store,
                run_id,
                _package(scratch / kind, kind),
                name=f"gtl-{experiment.name}-{kind}",
                lineage=record,
                seen=seen,
                card=f"# {kind}\n",
                tags={"gtl.experiment": experiment.name, "gtl.data_version": record["data_version"]},
                description="",
            ),
        )
        for kind in kinds
    ]


def _package(folder: Path, kind: Any) -> Package:
    """A packaged model that holds nothing."""
    from mlflow.models import Model

    folder.mkdir()
    Model().save(str(folder / "MLmodel"))
    write_json(folder / f"{kind}.py", "")
    return Package(kind, folder, {})
