"""Loads packaged models in a process of its own and predicts: run as a script, never imported.

It blocks this project's packages first, so that a model which works here needs none of their code. Its one argument is
a folder with `jobs.json`, a list of `{model, inputs, kind}`. For job number i it writes `i.npy` (what the model gave)
and, for classifiers, `i.json` (the names of the columns); or, where the model failed, `i.error`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

for package in ("gtl_core", "pipelines"):
    sys.modules[package] = None  # type: ignore[assignment]

import mlflow.pyfunc  # noqa: E402 - the block above comes first
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402


def main(folder: Path) -> None:
    """Runs every job; a model that fails does not keep the others from being tried."""
    for index, job in enumerate(json.loads((folder / "jobs.json").read_text(encoding="utf-8"))):
        try:
            model = mlflow.pyfunc.load_model(job["model"], suppress_warnings=True)
            if job["kind"] == "classifier":
                table = model.predict(np.load(job["inputs"], allow_pickle=False))
                columns = [name for name in table.columns if name != "label"]
                (folder / f"{index}.json").write_text(json.dumps(columns), encoding="utf-8")
                result = table[columns].to_numpy(np.float32)
            else:
                labels = pd.DataFrame({"label": json.loads(Path(job["inputs"]).read_text(encoding="utf-8"))})
                result = np.asarray(model.predict(labels, params={"seed": 0}))
            np.save(folder / f"{index}.npy", result, allow_pickle=False)
        except Exception as error:  # noqa: BLE001 - whatever the model's code raises is its failure to load or predict
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            (folder / f"{index}.error").write_text(reason, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
