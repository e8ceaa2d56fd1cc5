"""The MLflow model of a generator: names of classes in, one new image for each out."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from safetensors import safe_open

from gtl_core.networks.dcgan import Generator

BATCH = 256


class ImageGenerator(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined]
    """Draws images of named classes."""

    def load_context(self, context: Any) -> None:
        """Builds the network and reads its weights; safetensors cannot run code."""
        with safe_open(context.artifacts["weights"], framework="pt") as weights:
            about = json.loads(weights.metadata()["gtl"])
            state = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118 - not a dict
        self.classes = about["classes"]
        self.latent = about["options"]["latent"]
        self.network = Generator(**about["options"])
        self.network.load_state_dict(state)
        self.network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> np.ndarray:
        """Draws one image for each row.

        Args:
            context: unused; the network was built in `load_context`.
            model_input: table with a column `label`, the name of the class to draw.
            params: `seed`: the same seed, labels and machine give the same images.

        Returns:
            uint8 (N, C, H, W), pixels 0 to 255.

        Raises:
            ValueError: a label that the generator has not learned.
        """
        names = [str(name) for name in model_input["label"]]
        unknown = sorted(set(names) - set(self.classes))
        if unknown:
            raise ValueError(f"this generator draws {', '.join(self.classes)}; it was asked for {', '.join(unknown)}")
        labels = torch.tensor([self.classes.index(name) for name in names], dtype=torch.int64)
        source = torch.Generator().manual_seed(int((params or {}).get("seed", 0)))
        latents = torch.randn((len(labels), self.latent), generator=source)
        with torch.inference_mode():
            pairs = zip(latents.split(BATCH), labels.split(BATCH), strict=True)
            parts = [((self.network(*pair) + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8) for pair in pairs]
        return torch.cat(parts).numpy()


mlflow.models.set_model(ImageGenerator())
