"""`GanCheckpoint`: everything that a GAN's training needs to go on, in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from gtl_core.errors import InputError
from gtl_core.files import atomic_path
from gtl_core.networks.registry import GanSpec, build_generator
from gtl_core.training.class_texts import ClassTexts
from gtl_core.training.runtime import device, placed

State = dict[str, torch.Tensor]
CurveRow = tuple[float, ...]
"""A step, and the means of the losses since the row before."""

_KEY = "gtl"
_FORMAT = "gtl-gan-2"
_PARTS = (
    "generator",
    "discriminator",
    "ema",
    "companions",
    "generator_optimiser",
    "discriminator_optimiser",
    "companions_optimiser",
    "loop",
)


def part_of(states: Mapping[str, torch.Tensor], name: str) -> State:
    """Those entries of several networks' states in one that belong to one of them, without its name."""
    return {key.removeprefix(f"{name}."): value for key, value in states.items() if key.startswith(f"{name}.")}


def _texts(about: Mapping[str, Sequence[str]] | None) -> ClassTexts | None:
    """The classes' descriptions, from JSON."""
    return None if about is None else ClassTexts(tuple(about["texts"]), tuple(about["learned"]))


@dataclass(frozen=True)
class GanCheckpoint:
    """A GAN at one step of its training.

    Attributes:
        spec: shapes of both networks.
        classes: names of the classes, in the order of the labels.
        step: steps made.
        recipe: hash of what the training is made from, so that another training is never taken up by mistake.
        curves: rows (step, means of the trainer's losses) recorded so far.
        generator: state of the generator in training.
        discriminator: state of the discriminator, or of a VAE's encoder, which stands in its place; empty where a
            companion tells real images from generated ones.
        ema: state of the averaged generator; in a finished training with batch norm statistics that fit it.
        generator_optimiser: Adam's moments, by parameter name; empty before the first step.
        discriminator_optimiser: the same for the discriminator.
        loop: state of random numbers, which augmentation draws from too, and of the running means of the losses.
        companions: states of the networks that learn beside the two, such as a translator's classifier or a
            VAE-GAN's encoder, in one; a name is that of the network, a dot, and the name inside it.
        companions_optimiser: their Adam's moments.
        learning_rate_factor: what the learning rates are multiplied with: less than 1 once the training has diverged
            and was taken up again.
        texts: the classes' descriptions, where the networks are told classes by them.
    """

    spec: GanSpec
    classes: tuple[str, ...]
    step: int
    recipe: str
    curves: tuple[CurveRow, ...]
    generator: State
    discriminator: State
    ema: State
    generator_optimiser: State
    discriminator_optimiser: State
    loop: State
    companions: State = field(default_factory=dict)
    companions_optimiser: State = field(default_factory=dict)
    learning_rate_factor: float = 1.0
    texts: ClassTexts | None = None

    def save(self, path: Path) -> None:
        """Writes the file in one atomic step; equal checkpoints give equal bytes."""
        tensors = {
            f"{part}/{name}": tensor.detach().to("cpu").contiguous().clone()
            for part in _PARTS
            for name, tensor in getattr(self, part).items()
        }
        about = {
            "format": _FORMAT,
            "spec": asdict(self.spec),
            "classes": self.classes,
            "step": self.step,
            "recipe": self.recipe,
            "curves": self.curves,
            "learning_rate_factor": self.learning_rate_factor,
            "texts": self.texts and asdict(self.texts),
        }
        with atomic_path(path) as temporary:
            # One metadata key, because safetensors writes several in no fixed order.
            save_file(tensors, temporary, metadata={_KEY: json.dumps(about, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> GanCheckpoint:
        """Reads a checkpoint, onto the processor.

        Raises:
            InputError: the file is missing, damaged or not a GAN checkpoint.
        """
        parts: dict[str, State] = {part: {} for part in _PARTS}
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})[_KEY])
                if about["format"] != _FORMAT:
                    raise ValueError(about["format"])
                for key in file.keys():  # noqa: SIM118 - not a dict
                    part, name = key.split("/", 1)
                    parts[part][name] = file.get_tensor(key)
            return cls(
                spec=GanSpec(**about["spec"]),
                classes=tuple(about["classes"]),
                step=about["step"],
                recipe=about["recipe"],
                curves=tuple(tuple(row) for row in about["curves"]),
                learning_rate_factor=about.get("learning_rate_factor", 1.0),
                texts=_texts(about.get("texts")),
                **parts,
            )
        except FileNotFoundError:
            raise InputError(f"no GAN checkpoint {path}; train the GAN first") from None
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: not a GAN checkpoint, or a damaged one ({error}); train it anew") from error

    def companion(self, name: str) -> State:
        """The state of one of the networks that learned beside the two."""
        return part_of(self.companions, name)

    def weights_sha256(self) -> str:
        """SHA-256 of the weights of all networks, in the order of their names."""
        digest = hashlib.sha256()
        for part in (self.generator, self.discriminator, self.ema, self.companions):
            for name in sorted(part):
                digest.update(part[name].cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def averaged_generator(self) -> nn.Module:
        """The generator that images are drawn with, on the training device and in evaluation mode."""
        network = build_generator(self.spec, seed=0)
        network.load_state_dict(self.ema)
        return placed(network, device()).eval()
