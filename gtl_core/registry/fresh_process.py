"""Loads packaged models in a process of its own and predicts: run as a script, never imported.

It blocks this project's packages first, so that a model which works here needs none of their code. Its one argument is
a folder with `jobs.json`, a list of `{model, inputs, kind, timed}`. For job number i it writes `i.npy` (what the model
gave) and, for classifiers, `i.json` (`columns`, their names, and where the job is timed `milliseconds` and `machine`);
or, where the model failed, `i.error`.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

for package in ("gtl_core", "pipelines"):
    sys.modules[package] = None  # type: ignore[assignment]

import mlflow.pyfunc  # noqa: E402 - the block above comes first
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

WARM_UP, TIMED = 5, 30
"""Predictions of one image: the first ones take longer, and the median of the others is little moved by what else the
machine does."""


def main(folder: Path) -> None:
    """Runs every job; a model that fails does not keep the others from being tried."""
    for index, job in enumerate(json.loads((folder / "jobs.json").read_text(encoding="utf-8"))):
        try:
            model = mlflow.pyfunc.load_model(job["model"], suppress_warnings=True)
            if job["kind"] == "classifier":
                images = np.load(job["inputs"], allow_pickle=False)
                table = model.predict(images)
                columns = [name for name in table.columns if name != "label"]
                about = {"columns": columns, **(latency(model, images) if job["timed"] else {})}
                (folder / f"{index}.json").write_text(json.dumps(about), encoding="utf-8")
                result = table[columns].to_numpy(np.float32)
            else:
                labels = pd.DataFrame({"label": json.loads(Path(job["inputs"]).read_text(encoding="utf-8"))})
                result = np.asarray(model.predict(labels, params={"seed": 0}))
            np.save(folder / "unfinished.npy", result, allow_pickle=False)
            (folder / "unfinished.npy").replace(folder / f"{index}.npy")
        except Exception as error:  # noqa: BLE001 - whatever the model's code raises is its failure to load or predict
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            (folder / f"{index}.error").write_text(reason, encoding="utf-8")


def latency(model: Any, images: np.ndarray) -> dict[str, Any]:
    """How long a model takes for one image, and on what.

    Args:
        model: a loaded classifier.
        images: uint8 (N, C, S, S), which it is given one by one.

    Returns:
        `milliseconds`, the median, and `machine`.
    """
    seconds = []
    for turn in range(WARM_UP + TIMED):
        image = images[turn % len(images)][None]
        started = time.perf_counter()
        model.predict(image)
        seconds.append(time.perf_counter() - started)
    return {"milliseconds": 1000 * median(seconds[WARM_UP:]), "machine": machine()}


def machine() -> str:
    """The processor, by its name where the system tells it, and how many threads the model had."""
    import torch

    name = platform.processor() or platform.machine()
    told = Path("/proc/cpuinfo")
    if told.is_file():
        names = [line.partition(":")[2].strip() for line in told.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    threads = torch.get_num_threads()
    return f"{name} with {threads} thread{'s' if threads > 1 else ''}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
