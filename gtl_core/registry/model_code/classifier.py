"""The MLflow model of a classifier: images in, the name and the probability of every class out."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from safetensors import safe_open

from gtl_core.networks.cnn import Network

BATCH = 256


class ImageClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined]
    """Names the class of images."""

    def load_context(self, context: Any) -> None:
        """Builds the network and reads its weights; safetensors cannot run code."""
        with safe_open(context.artifacts["weights"], framework="pt") as weights:
            about = json.loads(weights.metadata()["gtl"])
            state = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118 - not a dict
        self.classes = about["classes"]
        self.network = Network(**about["options"])
        self.network.load_state_dict(state)
        self.network.eval()

    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classifies images.

        Args:
            context: unused; the network was built in `load_context`.
            model_input: uint8 (N, C, H, W), pixels 0 to 255, of the size and channels that the signature names.
            params: none are known.

        Returns:
            N rows: `label`, the name of the likeliest class, and `p(NAME)`, the probability of each class.
        """
        images = torch.from_numpy(np.array(model_input, dtype=np.uint8))
        with torch.inference_mode():
            parts = [self.network(part.float() / 127.5 - 1.0).softmax(dim=1) for part in images.split(BATCH)]
        probabilities = torch.cat(parts).numpy()
        table = pd.DataFrame(probabilities, columns=[f"p({name})" for name in self.classes])
        table.insert(0, "label", [self.classes[index] for index in probabilities.argmax(axis=1)])
        return table


mlflow.models.set_model(ImageClassifier())
