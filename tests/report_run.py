"""The folders of one finished run, written by hand: small files with everything that a report can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.evaluation.report.inputs import Inputs, Part
from gtl_core.files import write_json

STRATEGIES = ("freeze_d", "finetune")
SIZE = 16


@dataclass
class Run:
    """Folders that a test may change before it makes the report."""

    experiment: Experiment
    folders: dict[Part, Path]
    provenance: dict[str, Any] = field(default_factory=dict)
    synthetic: dict[str, list[Path]] = field(default_factory=dict)

    def inputs(self) -> Inputs:
        return Inputs(self.experiment, self.folders, self.synthetic, self.provenance)


def finished_run(folder: Path, classes: Sequence[str] = ("nut", "bolt", "ring")) -> Run:
    """A run of three draws and two strategies in which everything was measured."""
    experiment = Experiment.model_validate(
        {
            "name": "parts",
            "description": "From catalogue pictures to the new camera",
            "source": {"dataset": "catalogue"},
            "target": {"dataset": "camera", "labelled_per_class": 5},
            "image": {"size": SIZE, "channels": 1},
            "transfer": {"strategies": list(STRATEGIES)},
            "evaluation": {"draws": 3},
        }
    )
    rng = np.random.default_rng(0)
    target = _target(folder / "data" / "camera", classes, rng)
    _draws(folder / "draws", target)
    _evaluation(folder / "evaluation", classes, rng)
    _quality(folder / "quality", classes, rng)
    write_json(folder / "gap" / "gap.json", _gap(classes))
    write_json(folder / "budgets" / "budgets.json", _budgets())
    write_json(folder / "validation" / "validation.json", _validation())
    parts: tuple[Part, ...] = ("evaluation", "quality", "gap", "validation", "draws", "budgets")
    folders: dict[Part, Path] = {part: folder / part for part in parts}
    folders["target"] = folder / "data" / "camera"
    provenance = {
        "facts": {"seed": 0, "git commit": "50b329fd1c", "data version": "ccd0448361f5bcd76b774ef5aa0d9dd7.dir"},
        "datasets": [{"role": "target", "name": "camera", "images": len(target), "version": "ab" * 16}],
        "models": [{"name": "gtl-parts-classifier", "version": "1", "alias": "champion", "gate": "passed"}],
        "stages": [{"name": "evaluation", "key": "7a3b7e500d362140", "version": "cd" * 32, "seconds": 81.5}],
    }
    return Run(experiment, folders, provenance)


def shapes(label: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rings of one radius a class, a little noisy: uint8 (count, 1, S, S)."""
    middle = (SIZE - 1) / 2
    rows, columns = np.mgrid[:SIZE, :SIZE]
    offsets = rng.normal(0, 0.7, (count, 2, 1, 1))
    radius = np.hypot(rows - middle - offsets[:, 0], columns - middle - offsets[:, 1])
    wanted = 2.0 + 4.5 * ((label * 0.37) % 1) + rng.normal(0, 0.3, (count, 1, 1))
    bright = 235 * np.exp(-((radius - wanted) ** 2) / 2) + rng.normal(0, 8, radius.shape)
    return np.clip(bright, 0, 255).astype(np.uint8)[:, None]


def _target(folder: Path, classes: Sequence[str], rng: np.random.Generator) -> ImageSet:
    with ImageSetWriter(folder, classes=tuple(classes)) as writer:
        for label in range(len(classes)):
            for rank, image in enumerate(shapes(label, 30, rng)):
                split = "train" if rank < 20 else "test"
                writer.add(image, label=label, split=split, source_file=f"{label}/{rank}.png")
    return ImageSet.load(folder)


def _draws(folder: Path, target: ImageSet) -> None:
    train, test = target.indices("train"), target.indices("test")
    by_rank = np.arange(len(train)) % 20
    for index in range(3):
        labelled, validation = train[by_rank < 5], train[(by_rank >= 5) & (by_rank < 15)]
        draw = Draw(index, labelled, train[by_rank >= 15], validation, test)
        draw.save(folder / f"{index}.json")


def _interval(mean: float, half: float = 0.02) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": min(1.0, mean + half)}


def _arm(name: str, mean: float, classes: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    count = len(classes)
    confusion = np.full((count, count), 3) + rng.integers(0, 3, (count, count))
    np.fill_diagonal(confusion, round(300 * mean))
    confusion[0, 1] = 60
    recalls = np.clip(mean + rng.normal(0, 0.02, count), 0, 0.99)
    scores = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "ece", "brier", "worst_class", "worst_group")
    return {
        "arm": name,
        **_interval(mean),
        "validation_mean": mean,
        "validation_measure": "balanced_accuracy",
        "draws": [mean - 0.01, mean, mean + 0.01],
        "per_class_recall": {label: float(recall) for label, recall in zip(classes, recalls, strict=True)},
        "per_class": {
            label: {"recall": float(recall), "low": float(recall - 0.05), "high": float(recall + 0.01), "images": 100}
            for label, recall in zip(classes, recalls, strict=True)
        },
        "scores": {score: _interval(0.04 if score in ("ece", "brier") else mean) for score in scores}
        | {"group_gap": _interval(0.03)},
        "confusion": confusion.tolist(),
        "reliability": [
            {"confidence": c, "accuracy": min(1.0, c * (0.9 + 0.1 * mean)), "images": int(20 + 400 * c**4)}
            for c in np.linspace(0.3, 0.98, 9).tolist()
        ],
        "groups": {
            f"lot {index}": {
                "score": mean - 0.01 * index,
                "low": mean - 0.05,
                "high": min(1.0, mean + 0.02),
                "images": n,
            }
            for index, n in enumerate((120, 90, 12))
        },
    }


def _evaluation(folder: Path, classes: Sequence[str], rng: np.random.Generator) -> None:
    means = {
        "source_only": 0.61,
        "real_augmented": 0.905,
        "source_finetuned": 0.921,
        "joint": 0.93,
        "best_plus_gan/freeze_d": 0.951,
        "best_plus_gan/finetune": 0.934,
        "synthetic_only/freeze_d": 0.842,
        "synthetic_only/finetune": 0.815,
    }
    write_json(folder / "arms.json", [_arm(name, mean, classes, rng) for name, mean in means.items()])
    verdict = {
        "label": "helps",
        "strategy": "freeze_d",
        "arm": "best_plus_gan/freeze_d",
        "baseline_arm": "joint",
        "chosen_by": "balanced accuracy on the labelled validation part",
        "metric": "balanced_accuracy",
        "difference": 0.021,
        "low": 0.009,
        "high": 0.032,
        "p": 0.004,
        "detectable": 0.016,
        "p_mcnemar": 0.02,
        "mcnemar_draw": 1,
        "draws": 3,
        "test_images": 800,
        "min_gain": 0.0,
        "needed_draws": None,
        "needed_images": None,
        "comparisons": [
            {
                "arm": "best_plus_gan/freeze_d",
                "difference": 0.021,
                "low": 0.009,
                "high": 0.032,
                "p": 0.004,
                "p_holm": 0.008,
            },
            {
                "arm": "best_plus_gan/finetune",
                "difference": 0.004,
                "low": -0.007,
                "high": 0.015,
                "p": 0.4,
                "p_holm": 0.4,
            },
        ],
        "left_out": {"self_trained": "the draws leave no unlabelled target image"},
        "scope": "Holds for catalogue → camera with 5 labelled images a class, over 3 draws and 800 test images.",
        "sentence": "GAN transfer helps you by +2.1 points of balanced accuracy (95 % interval +0.9 to +3.2) over the "
        "best that was done without it.",
    }
    write_json(folder / "verdict.json", verdict)


def _quality(folder: Path, classes: Sequence[str], rng: np.random.Generator) -> None:
    metrics = [
        ("frechet", "Fréchet distance", "lower", 0.4, 12.0),
        ("kernel", "Kernel distance", "lower", 0.001, 0.21),
        ("precision", "Precision", "higher", 0.9, 0.2),
        ("recall", "Recall", "higher", 0.88, 0.1),
        ("density", "Density", "higher", 0.97, 0.15),
        ("coverage", "Coverage", "higher", 0.95, 0.2),
        ("sliced_wasserstein", "Sliced Wasserstein distance", "lower", 0.05, 1.1),
    ]
    strategies = {}
    for index, label in enumerate(STRATEGIES):
        nearness = 0.8 - 0.25 * index
        values = {name: ceiling + nearness * (floor - ceiling) for name, _, _, floor, ceiling in metrics}
        strategies[label] = {
            "overall": {
                name: {"mean": v, "low": v * 0.93, "high": v * 1.07, "draws": [v * 0.95, v, v * 1.05]}
                for name, v in values.items()
            },
            "per_class": {
                name: {metric: v * (0.9 + 0.1 * rng.random()) for metric, v in values.items()} for name in classes
            },
            "memorisation": {
                "distance_ratio": 0.97 - 0.2 * index,
                "authenticity": 0.83,
                "c_t": -0.4 - 2 * index,
                "membership_auc": 0.53 + 0.1 * index,
                "membership_low": 0.48,
                "membership_high": 0.59 + 0.1 * index,
                "tpr_at_1_fpr": 0.012,
                "exact_copies": 0,
                "near_copies": 1 + 6 * index,
                "screen": "look" if index else "clear",
                "sentence": "no sign of copies was found; a screen, not a guarantee.",
            },
            "shares": {
                "class": {name: {"real": 1 / len(classes), "synthetic": 1 / len(classes)} for name in classes},
                "group": {f"lot {i}": {"real": 0.4 - 0.1 * i, "synthetic": 0.3 + 0.02 * i} for i in range(3)},
            },
            "trajectory": [
                {"step": step, "frechet": 12 * 0.5**i + index, "coverage": 0.3 + 0.12 * i, "usefulness": 0.5 + 0.09 * i}
                for i, step in enumerate((0, 75, 150, 225, 300))
            ],
        }
    write_json(
        folder / "quality.json",
        {
            "extractor": {"sha256": "9f" * 32, "features": 128},
            "reference": {"images": 60, "what": "60 real images of the validation and unlabelled parts"},
            "metrics": [
                {"name": name, "title": title, "better": better, "floor": floor, "ceiling": ceiling}
                for name, title, better, floor, ceiling in metrics
            ],
            "strategies": strategies,
            "missing": {},
        },
    )
    count = len(classes)
    arrays: dict[str, np.ndarray] = {
        "pca/source": rng.normal((-3, 1), 1, (300, 2)),
        "pca/target": rng.normal((2, 0), 1, (200, 2)),
    }
    for label in STRATEGIES:
        arrays[f"pca/synthetic/{label}"] = rng.normal((1.4, 0.2), 0.9, (250, 2))
        arrays[f"neighbours/{label}"] = np.stack([shapes(i % count, 3, rng) for i in range(8)])
        arrays[f"neighbour_distances/{label}"] = rng.uniform(0.4, 1.2, (8, 2))
        arrays[f"distances_train/{label}"] = rng.gamma(9, 0.1, 500)
        arrays[f"distances_held_out/{label}"] = rng.gamma(10, 0.1, 500)
        arrays[f"examples/{label}"] = np.stack([np.stack([shapes(k, 5, rng) for _ in range(3)]) for k in range(count)])
        arrays[f"walk/{label}"] = np.stack([shapes(k % count, 8, rng) for k in range(5)])
    with (folder / "quality.npz").open("wb") as stream:
        np.savez(stream, **{n: v.astype(np.float32) if v.dtype == np.float64 else v for n, v in arrays.items()})


def _gap(classes: Sequence[str]) -> dict[str, Any]:
    return {
        "light": "amber",
        "sentence": "The source is related to the target, but a classifier tells them apart easily.",
        "measures": [
            {
                "name": "kid",
                "title": "Kernel distance",
                "value": 0.21,
                "low": 0.18,
                "high": 0.24,
                "better": "lower",
                "p": 0.001,
                "meaning": "distance between the features of both sets",
            },
            {
                "name": "leep",
                "title": "LEEP",
                "value": -1.21,
                "low": -1.4,
                "high": -1.1,
                "better": "higher",
                "p": None,
                "meaning": "how well the source's classes tell the target's",
            },
        ],
        "nearest_class": {name: {"source_class": name, "distance": 1.2, "margin": 0.4} for name in classes},
        "missing": {},
    }


def _budgets() -> dict[str, Any]:
    rows = []
    for labelled, plain, gan in (
        (1, 0.71, 0.79),
        (3, 0.84, 0.88),
        (5, 0.9, 0.93),
        (10, 0.94, 0.95),
        (20, 0.957, 0.958),
    ):
        rows += [
            {"labelled_per_class": labelled, "arm": "joint", **_interval(plain, 0.015), "kind": "plain"},
            {"labelled_per_class": labelled, "arm": "best_plus_gan/freeze_d", **_interval(gan, 0.015), "kind": "gan"},
        ]
    return {"metric": "balanced_accuracy", "budgets": rows, "worth": "At 5 labels a class the GAN is worth 3 more."}


def _validation() -> dict[str, Any]:
    findings = [
        ("schema", "critical", True, "The manifest has every column.", 0),
        ("near_duplicates", "warning", False, "near_duplicates failed (4 in camera), such as a/1.png: like a/2.png", 4),
        ("split_leakage", "critical", True, "No image and no group stands in two of train, val and test.", 0),
    ]
    return {
        "passed": True,
        "findings": [
            {"check": check, "severity": severity, "passed": passed, "summary": summary, "failing_rows": rows}
            for check, severity, passed, summary, rows in findings
        ],
    }
