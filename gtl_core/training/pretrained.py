"""Checkpoints of Hugging Face as backbones: read from a local folder, safetensors alone, and told by their hash."""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from gtl_core.config import Experiment
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.backbones import build_classifier
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.pretrained import MODELS

CONFIG, WEIGHTS, PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"

_COLOURS = 3
_SMALLEST_SIDE, _LARGEST_SIDE = 8, 1024
_MOST_JSON_BYTES = 2**20
_MOST_WEIGHT_BYTES = 4 * 2**30
_NOT_OF_THE_NETWORK = (
    *("_name_or_path", "transformers_version", "architectures", "auto_map"),
    *("dtype", "torch_dtype", "quantization_config"),
    *("id2label", "label2id", "num_labels", "problem_type", "out_features", "out_indices", "stage_names"),
)
"""Of a configuration: where it came from, its old classes, and how it was stored."""
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate")


def checkpoint_sha256(folder: Path) -> str:
    """Hash of a checkpoint: its configuration, its preprocessing where it says any, and its weights.

    Raises:
        InputError: the folder is no checkpoint that can be read.
    """
    _check_files(folder)
    digest = hashlib.sha256()
    for name in (CONFIG, PREPROCESSOR, WEIGHTS):
        if (folder / name).is_file():
            digest.update(f"{name} {file_sha256(folder / name)}\n".encode())
    return digest.hexdigest()


def check_backbone(experiment: Experiment, root: Path) -> None:
    """Looks whether an experiment's classifier can begin as what it names, before anything is trained.

    Args:
        experiment: the experiment.
        root: of the project, where a folder may be named from.

    Raises:
        InputError: as `load_checkpoint` raises it.
    """
    if experiment.classifier.checkpoint is not None:
        image = experiment.image
        load_checkpoint(root / experiment.classifier.checkpoint, size=image.size, channels=image.channels, classes=2)


def load_checkpoint(folder: Path, *, size: int, channels: int, classes: int) -> Classifier:
    """A classifier whose trunk is a checkpoint and whose head means nothing yet.

    Nothing is fetched and no code of the checkpoint is run. Dropout is taken out of the network, so that equal seeds
    train equal classifiers.

    Args:
        folder: has `config.json` and `model.safetensors`, and perhaps `preprocessor_config.json`.
        size: height and width of the images that it will see, which it brings to its own size.
        channels: 1 or 3.
        classes: number of logits.

    Raises:
        InputError: the folder is no checkpoint that can be read, its network is of no known kind, its weights do not
            fit its configuration, it does not take images of this kind, or `transformers` is not installed.
    """
    sha256 = checkpoint_sha256(folder)
    network = _json(folder / CONFIG)
    kind = network.get("model_type")
    if not isinstance(kind, str) or kind not in MODELS:
        raise InputError(f"{folder}: model_type is {kind!r}; a backbone is one of {', '.join(MODELS)}")
    if find_spec("transformers") is None:
        raise InputError(f"classifier.backbone {folder} needs transformers; pip install 'gtl[backbones]'")
    network = {name: value for name, value in network.items() if name not in _NOT_OF_THE_NETWORK}
    network |= {name: 0.0 for name in _DROPOUTS if name in network}
    if network.get("num_channels", _COLOURS) not in {_COLOURS, channels}:
        raise InputError(
            f"{folder}: takes images of {network['num_channels']} channels, and image.channels is {channels}; "
            "change image.channels, or take another backbone"
        )
    options = {"size": size, "channels": channels, "classes": classes, "checkpoint": network, "sha256": sha256}
    try:
        model = build_classifier("pretrained", {**options, **_preprocessing(folder, network, size)})
        model.trunk.load_state_dict({f"model.{name}": value for name, value in _weights(folder, network).items()})
        with torch.no_grad():
            model.eval()(torch.zeros(1, channels, size, size))
    except InputError:
        raise
    except Exception as error:  # whatever the library raises where configuration, weights and images disagree
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{folder} does not work as a backbone: {type(error).__name__}: {reason}; take another checkpoint, or save "
            "this one anew with save_pretrained"
        ) from error
    return model


def _check_files(folder: Path) -> None:
    """Refuses what is not a folder with a configuration and safetensors, or is too big."""
    if not folder.is_dir():
        raise InputError(
            f"classifier.backbone: there is no folder {folder}; name cnn, resnet, or a folder with {CONFIG} and "
            f"{WEIGHTS}"
        )
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder}: there is no {CONFIG}; a backbone is a folder as save_pretrained of transformers writes it"
        )
    if not (folder / WEIGHTS).is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        said = f" {pickled[0]} is a pickle, which can run code, and is not read." if pickled else ""
        raise InputError(f"{folder}: there is no {WEIGHTS}.{said} Save the model with save_pretrained, in one file")
    for name, most in ((CONFIG, _MOST_JSON_BYTES), (PREPROCESSOR, _MOST_JSON_BYTES), (WEIGHTS, _MOST_WEIGHT_BYTES)):
        if (folder / name).is_file() and (folder / name).stat().st_size > most:
            raise InputError(
                f"{folder / name} is bigger than {most:,} bytes, so it is not read; take a smaller checkpoint"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is not JSON: {reason}; save the model anew with save_pretrained") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected keys and values, found {type(content).__name__}; save it anew with save_pretrained"
        )
    return content


def _preprocessing(folder: Path, network: dict[str, Any], size: int) -> dict[str, Any]:
    """Side, means and deviations: the checkpoint's, or else the side that its network names and pixels in [-1, 1]."""
    said = _json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}
    wanted = said.get("crop_size") if said.get("do_center_crop") else said.get("size")
    if isinstance(wanted, dict):
        wanted = wanted.get("height", wanted.get("shortest_edge"))
    side = wanted or network.get("image_size") or size
    channels = network.get("num_channels", _COLOURS)
    means = (said.get(f"image_{name}") for name in ("mean", "std"))
    mean, std = (value if said.get("do_normalize", True) and value else [0.5] * channels for value in means)
    if not isinstance(side, int) or not _SMALLEST_SIDE <= side <= _LARGEST_SIDE:
        raise InputError(
            f"{folder}: its images are {side} pixels, and a backbone's are {_SMALLEST_SIDE} to {_LARGEST_SIDE}"
        )
    if len(mean) != channels or len(std) != channels or not all(float(value) > 0 for value in std):
        raise InputError(
            f"{folder / PREPROCESSOR}: image_mean and image_std need {channels} numbers, image_std positive ones"
        )
    return {"side": side, "mean": [float(value) for value in mean], "std": [float(value) for value in std]}


def _weights(folder: Path, network: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint's network in today's names, without the head that it was stored with.

    Raises:
        InputError: some are missing, and would have been random.
    """
    import transformers

    kind = network["model_type"]
    config_class, model_class = (getattr(transformers, name) for name in MODELS[kind])
    transformers.utils.logging.disable_progress_bar()
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, report = model_class.from_pretrained(
            folder,
            config=config_class.from_dict(network),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            **({"add_pooling_layer": False} if kind == "vit" else {}),
        )
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    if report["missing_keys"]:
        raise InputError(
            f"{folder / WEIGHTS} lacks {', '.join(sorted(report['missing_keys'])[:3])}; save the model anew"
        )
    weights: dict[str, torch.Tensor] = model.state_dict()
    return weights
