"""A whole GAN training: steps, checkpoints, progress, and the files that it leaves."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config import GanConfig
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256, write_text
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.progress import OnProgress, Progress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.interrupts import deferred_interrupts
from gtl_core.training.phases import MakePhases, everything
from gtl_core.training.runtime import autocast, device, to_uint8

FINAL = "gan.safetensors"
LAST = "last.safetensors"
CURVES = "curves.csv"
SAMPLES = "samples.png"

_CURVE_STEPS = 50
_REPORT_SECONDS = 0.5
_SAMPLES_A_CLASS = 10
_SAMPLED_CLASSES = 20


def untrained(spec: GanSpec, classes: tuple[str, ...], seed: int) -> GanCheckpoint:
    """A checkpoint at step 0 with freshly made weights."""
    generator = build_generator(spec, seed).state_dict()
    return GanCheckpoint(
        spec=spec,
        classes=classes,
        step=0,
        recipe="",
        curves=(),
        generator=generator,
        discriminator=build_discriminator(spec, seed + 1).state_dict(),
        ema=generator,
        generator_optimiser={},
        discriminator_optimiser={},
        loop={},
    )


def train_gan(
    start: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: GanConfig,
    *,
    steps: int,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
    task: str,
    phases: MakePhases = everything,
) -> Path:
    """Trains a GAN, going on from `folder/last.safetensors` where an interrupted call of the same training left one.

    On one machine and number of threads the result is the same, bit for bit, however often the training was
    interrupted. Ctrl-C ends it after the step at hand, with a checkpoint.

    Args:
        start: weights to begin with, at step 0.
        images: uint8 (N, C, S, S), the real images.
        labels: int64 (N,), indices of `start.classes`.
        config: losses, optimisers, augmentation, and how often to write a checkpoint.
        steps: steps to make.
        seed: seed of all random numbers.
        folder: gets `gan.safetensors`, `curves.csv` (step, mean losses since the row before) and `samples.png` (the
            averaged generator, one row a class).
        on_progress: called about twice a second with the last losses and images a second.
        task: the name shown for the training.
        phases: which modules learn at which step.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: images or labels do not fit the networks.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    _check(start, images, labels)
    recipe = _recipe(start, images, labels, config, steps, seed, task)
    start = _resumed(folder / LAST, recipe) or replace(start, recipe=recipe)
    trainer = GanTrainer(start, images, labels, config, steps=steps, seed=seed, phases=phases)
    curves = list(start.curves)
    report = _Report(on_progress, task, steps, config.batch, trainer.step)
    with deferred_interrupts() as interruption:
        while trainer.step < steps:
            trainer.advance()
            if trainer.step % _CURVE_STEPS == 0 or trainer.step == steps:
                curves.append((trainer.step, *trainer.take_losses()))
            report.after(trainer.step, curves)
            if interruption.requested or (trainer.step % config.checkpoint_every == 0 and trainer.step < steps):
                trainer.snapshot(tuple(curves)).save(folder / LAST)
            if interruption.requested:
                interruption.pass_on()
    trainer.finish(seed)
    finished = trainer.snapshot(tuple(curves))
    _write_curves(folder / CURVES, curves)
    _draw_samples(folder / SAMPLES, finished, seed)
    finished.save(folder / FINAL)
    (folder / LAST).unlink(missing_ok=True)
    return folder / FINAL


class _Report:
    """Progress about twice a second, with the speed since the last time."""

    def __init__(self, on_progress: OnProgress, task: str, steps: int, batch: int, step: int) -> None:
        self._on_progress, self._task, self._steps, self._batch = on_progress, task, steps, batch
        self._step, self._time = step, time.monotonic()
        on_progress(Progress(task, step, steps))

    def after(self, step: int, curves: list[tuple[int, float, float]]) -> None:
        seconds = time.monotonic() - self._time
        if seconds < _REPORT_SECONDS and step < self._steps:
            return
        values = {"images_per_second": round((step - self._step) * self._batch / max(seconds, 1e-9), 1)}
        if curves:
            values |= {"loss_d": round(curves[-1][1], 4), "loss_g": round(curves[-1][2], 4)}
        self._on_progress(Progress(self._task, step, self._steps, values))
        self._step, self._time = step, time.monotonic()


def _check(start: GanCheckpoint, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
    """Refuses images and labels that do not fit the networks."""
    spec = start.spec
    if not len(images):
        raise InputError("there are no images to train the GAN on")
    if images.shape[1:] != (spec.channels, spec.size, spec.size):
        given = "×".join(map(str, images.shape[1:]))
        raise InputError(f"the GAN draws {spec.channels}×{spec.size}×{spec.size} images and was given {given}")
    if len(labels) != len(images) or labels.min() < 0 or labels.max() >= len(start.classes):
        raise InputError(f"labels must be one for each image, from 0 to {len(start.classes) - 1}")


def _recipe(
    start: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: GanConfig,
    steps: int,
    seed: int,
    task: str,
) -> str:
    """Hash of everything that the result depends on, the code aside."""
    digest = hashlib.sha256()
    for array in (images, labels):
        digest.update(np.ascontiguousarray(array).data)
    for part in (start.generator, start.discriminator, start.ema):
        for name in sorted(part):
            digest.update(part[name].cpu().contiguous().numpy().data)
    settings = config.model_dump(mode="json", exclude={"checkpoint_every", "steps"})
    about = {"spec": asdict(start.spec), "classes": start.classes, "gan": settings, "steps": steps, "seed": seed}
    return canonical_sha256({**about, "task": task, "device": device().type, "arrays": digest.hexdigest()})


def _resumed(path: Path, recipe: str) -> GanCheckpoint | None:
    """The checkpoint of an interrupted training of this recipe, if there is a whole one."""
    try:
        checkpoint = GanCheckpoint.load(path)
    except InputError:
        return None
    return checkpoint if checkpoint.recipe == recipe else None


def _write_curves(path: Path, curves: list[tuple[int, float, float]]) -> None:
    """Writes the losses as a table."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("step", "loss_d", "loss_g"))
    table.writerows((step, f"{loss_d:.6f}", f"{loss_g:.6f}") for step, loss_d, loss_g in curves)
    write_text(path, text.getvalue())


def _draw_samples(path: Path, checkpoint: GanCheckpoint, seed: int) -> None:
    """Draws the same latents for every class, so that a column shows what stays when the class changes."""
    network, where = checkpoint.averaged_generator(), device()
    classes = min(len(checkpoint.classes), _SAMPLED_CLASSES)
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((_SAMPLES_A_CLASS, checkpoint.spec.latent), generator=generator).repeat(classes, 1)
    labels = torch.arange(classes).repeat_interleave(_SAMPLES_A_CLASS)
    with torch.inference_mode(), autocast(where):
        pictures = to_uint8(network(latents.to(where), labels.to(where)))
    save_png(path, contact_sheet(pictures.cpu().contiguous().numpy(), columns=_SAMPLES_A_CLASS))
