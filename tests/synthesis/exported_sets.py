"""A small synthetic set with unusual class names, the lineage record of its generator, and a key: what exports take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gtl_core.data.image_set import ImageSetWriter
from gtl_core.synthesis.sampling import picture_name
from gtl_core.synthesis.synthetic_set import synthetic_manifest_sha256

CLASSES = ("eins", "zwei/drei", "λ")
GENERATOR = "ab" * 32
SEED = 7
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def synthetic_set(
    folder: Path, per_class: int = 2, channels: int = 1, reasons: tuple[str, ...] = (), family: str | None = None
) -> Path:
    """Writes a set of random images of 8×8 pixels; `reasons` fill its column `filter`, from the first image on.

    With no `family` its card is like those from when there were GANs only.
    """
    rng = np.random.default_rng(0)
    card = {"generator_sha256": GENERATOR, "seed": SEED, "per_class": per_class, "latent": 4}
    card |= {"family": family} if family else {}
    columns: dict[str, type] = {"generator_sha256": str, "seed": int, "class": str}
    if reasons:
        columns["filter"] = str
    with ImageSetWriter(folder, CLASSES, card, columns) as writer:
        for label, name in enumerate(CLASSES):
            for index in range(per_class):
                said = {"filter": reasons[writer.count] if writer.count < len(reasons) else ""} if reasons else {}
                writer.add(
                    rng.integers(0, 256, (channels, 8, 8), dtype=np.uint8),
                    label=label,
                    source_file=picture_name(name, index),
                    extra={"generator_sha256": GENERATOR, "seed": SEED, "class": name, **said},
                )
    return folder


def lineage_record(folder: Path) -> dict[str, Any]:
    """The lineage record of the generator of that set."""
    return {
        "model": {"name": "gtl-scans-generator", "version": "3", "aliases": [], "created": "2026-01-02T03:04:05+00:00"},
        "mlflow_run_id": "0123456789abcdef",
        "git_commit": "c0ffee",
        "data_version": "1234.dir",
        "datasets": [
            {"name": "scans-old", "role": "source", "version": "aa.dir", "images": 900, "licence": "CC0 1.0"},
            {"name": "scans-new", "role": "target", "version": "bb.dir", "images": 90, "licence": None},
        ],
        "checkpoints": [
            {"stage": "source_gan", "sha256": "cd" * 32},
            {"stage": "transferred_gan/finetune", "sha256": GENERATOR},
            {"stage": "classifier", "sha256": "ef" * 32},
        ],
        "synthetic": {"manifest_sha256": synthetic_manifest_sha256(folder), "images": 6},
        "verdict": {"label": "inconclusive", "sentence": "Inconclusive it is.", "scope": "Holds for these scans only."},
    }
