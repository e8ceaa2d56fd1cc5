"""Small checkpoints as people get them from Hugging Face, but with random weights: no test has to fetch one."""

from __future__ import annotations

import json
from pathlib import Path

import torch

KINDS = ("resnet", "convnext", "vit")


def save_checkpoint(folder: Path, kind: str, seed: int = 0) -> Path:
    """A checkpoint of an image classifier with 5 classes, which takes images of 32 pixels."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    settings = {"num_labels": 5, "num_channels": 3}
    stages = {"hidden_sizes": [8, 12, 16], "depths": [1, 1, 1]}
    layers = {"hidden_size": 16, "num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 24}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "resnet":
            config = transformers.ResNetConfig(**settings, **stages, embedding_size=8, layer_type="basic")
            model = transformers.ResNetForImageClassification(config)
        elif kind == "convnext":
            config = transformers.ConvNextConfig(**settings, **stages, num_stages=3, patch_size=2, drop_path_rate=0.3)
            model = transformers.ConvNextForImageClassification(config)
        else:
            config = transformers.ViTConfig(**settings, **layers, image_size=32, patch_size=8, hidden_dropout_prob=0.3)
            model = transformers.ViTForImageClassification(config)
    model.save_pretrained(folder)
    preprocessing = {"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def features_of(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    """What the checkpoint's own head would read, computed by `transformers` alone, of pixels ready for the network."""
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        found = model(pixels)
    vit = model.config.model_type == "vit"
    return found.last_hidden_state[:, 0] if vit else found.pooler_output.flatten(1)
