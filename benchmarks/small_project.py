"""A project of its own with an experiment that costs next to nothing, so that everything around it can be measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.files import write_text
from gtl_core.homes import Homes

CHECKOUT = Path(__file__).resolve().parents[1]
EXPERIMENT = """\
name: small
source: {dataset: inverted}
target: {dataset: digits, labelled_per_class: 5, validation_per_class: 5}
image: {size: 16, channels: 1}
gan: {width: 4, latent: 8, steps: 10, batch: 16}
transfer: {strategies: [finetune], steps: 10}
synthesis: {per_class: 5}
classifier: {width: 4, steps: 20, source_steps: 40, batch: 16}
evaluation: {arms: [real, source_finetuned, best_plus_gan], draws: 2, bootstrap: 100}
promotion: {approval: automatic, min_gain: -1.0}
retrain: {on_new_data: true}
"""


@dataclass(frozen=True)
class SmallProject:
    """A git checkout with data under DVC, homes of state of its own, and the experiment `small`."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> SmallProject:
        """Makes one in an empty folder; the code is that which is installed."""
        project = cls(root)
        for name in ("dagster.yaml", "pyproject.toml", "requirements.lock", ".gitignore"):
            shutil.copy(CHECKOUT / name, root)
        write_text(root / "experiments" / "small.yaml", EXPERIMENT)
        write_text(root / ".dvc" / "config", (CHECKOUT / ".dvc" / "config").read_text())
        identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost"]
        for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "start"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        project.new_data(0)
        return project

    @property
    def homes(self) -> Homes:
        """Its homes of state."""
        root = self.root
        return Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that works in it, which has nothing of this process's own project."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("GTL_", "DAGSTER_", "MLFLOW_"))
        }
        return own | self.homes.environment()

    def new_data(self, version: int) -> None:
        """Writes both sets: handwritten digits, of which each version leaves another one out, and their negatives.

        The source stays as it is from version to version.
        """
        from sklearn.datasets import load_digits

        from gtl_core.data.image_set import ImageSetWriter, fitted

        bunch = load_digits()
        images = fitted(np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None], 16)
        chosen = [index for label in range(10) for index in np.flatnonzero(bunch.target == label)[:60]]
        sets = {"digits": [index for rank, index in enumerate(chosen) if rank != version]}
        if not (self.homes.data / "inverted").exists():
            sets["inverted"] = chosen
        for name, indices in sets.items():
            folder = self.homes.data / name
            shutil.rmtree(folder, ignore_errors=True)
            with ImageSetWriter(folder, classes=tuple("0123456789")) as writer:
                for rank, index in enumerate(indices):
                    image = images[index] if name == "digits" else 255 - images[index]
                    split = "test" if rank % 3 == 0 else "train"
                    writer.add(image, label=int(bunch.target[index]), split=split, source_file=str(index))

    def gtl(self, *arguments: str) -> tuple[float, Any]:
        """Runs `gtl … --json`: how many seconds the process took, and what it printed.

        Raises:
            RuntimeError: it failed.
        """
        started = time.perf_counter()
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("gtl")), *arguments, "--json"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if ended.returncode:
            raise RuntimeError(f"gtl {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return seconds, json.loads(ended.stdout)
