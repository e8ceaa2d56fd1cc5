"""The one loop of every GAN training: steps, checkpoints, progress, and the files that it leaves."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.errors import Diverged, InputError
from gtl_core.files import write_text
from gtl_core.progress import OnProgress, Progress
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint
from gtl_core.training.health import ROW_STEPS, drawn_spread, finite, suspicious, trouble
from gtl_core.training.interrupts import deferred_interrupts
from gtl_core.training.runtime import autocast, device, keep_memory, to_uint8

FINAL = "gan.safetensors"
LAST = "last.safetensors"
GOOD = "good.safetensors"
EVENTS = "events.jsonl"
CURVES = "curves.csv"
SAMPLES = "samples.png"
MILESTONES = "milestones"

_MILESTONE_SHARES = (0.0, 0.25, 0.5, 0.75)
_SLOWER = 1.0 / 3.0
_REPORT_SECONDS = 0.5
_SAMPLES_A_CLASS = 10
_SAMPLED_CLASSES = 20


class Trainer(Protocol):
    """Networks, optimisers and random numbers of one training.

    Its learning rates are the settings' times the `learning_rate_factor` of the checkpoint that it was made from.
    """

    @property
    def generator(self) -> nn.Module:
        """The generator in training."""
        ...

    @property
    def loss_names(self) -> tuple[str, ...]:
        """What `take_losses` gives; where there is a discriminator, `loss_d` and `loss_g` come first."""
        ...

    @property
    def step(self) -> int:
        """Steps made."""
        ...

    def advance(self) -> None:
        """Makes one step."""
        ...

    def take_losses(self) -> tuple[float, ...]:
        """Means of the losses since this was called last."""
        ...

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        ...

    def finish(self) -> None:
        """What there is to do after the last step."""
        ...


def run_training(
    start: GanCheckpoint,
    make_trainer: Callable[[GanCheckpoint], Trainer],
    *,
    steps: int,
    batch: int,
    checkpoint_every: int,
    recipe: str,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
    task: str,
    real_spread: float = 0.0,
) -> Path:
    """Trains, going on from `folder/last.safetensors` where an interrupted call of the same training left one.

    On one machine and number of threads the result is the same, bit for bit, however often the training was
    interrupted. Ctrl-C ends it after the step at hand, with a checkpoint.

    Every 50 steps it looks whether the training has diverged (see `health`). Where it has, it says so in
    `events.jsonl` and goes back, once, to the last checkpoint at which nothing was wrong, with a third of the learning
    rates.

    Args:
        start: weights to begin with, at step 0.
        make_trainer: takes a training up at a checkpoint: at `start`, or at one that an interrupted call left.
        steps: steps to make.
        batch: images in a step, for the speed that is shown.
        checkpoint_every: steps between two checkpoints.
        recipe: hash of everything that the result depends on, the code aside.
        seed: seed of the sample pictures.
        folder: gets `gan.safetensors`, `curves.csv` (step, mean losses since the row before, spread within classes as
            a share of the real images'), `samples.png` (the averaged generator, one row a class) and, in
            `milestones/`, the averaged generator before the first step and after each quarter of the steps.
        on_progress: called about twice a second with the last losses and images a second.
        task: the name shown for the training.
        real_spread: spread of the real images within their classes (`health.spread_within_classes`); where it is 0,
            it is not known, and nobody looks whether the drawn ones collapse.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        Diverged: the training went wrong a second time.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    keep_memory()
    start = replace(start, recipe=recipe)
    current = _resumed(folder / LAST, recipe) or start
    if current.step == 0 and current.learning_rate_factor == 1.0:
        for left in (GOOD, EVENTS):
            (folder / left).unlink(missing_ok=True)
        shutil.rmtree(folder / MILESTONES, ignore_errors=True)
    trainer, curves = make_trainer(current), list(current.curves)
    milestones = {round(share * steps) for share in _MILESTONE_SHARES} - {steps}
    names = (*trainer.loss_names, "spread") if real_spread else trainer.loss_names
    looks = {"has_spread": real_spread > 0.0, "is_game": "loss_d" in names}
    report = _Report(on_progress, _called(task, current), steps, batch, trainer.step, names)
    with deferred_interrupts() as interruption:
        if trainer.step == 0:
            _keep_milestone(folder, current, make_trainer)
        while trainer.step < steps:
            trainer.advance()
            seen = None
            if trainer.step % ROW_STEPS == 0 or trainer.step == steps:
                curves.append((trainer.step, *trainer.take_losses(), *_spread(trainer, start, real_spread, seed)))
                seen = trouble(curves, **looks)
                if seen is None and not finite(trainer.snapshot(())):
                    seen = "weights are no numbers any more"
            if seen is not None:
                current = _second_try(seen, trainer.step, current, start, folder, task)
                trainer, curves = make_trainer(current), list(current.curves)
                report = _Report(on_progress, _called(task, current), steps, batch, trainer.step, names)
            else:
                report.after(trainer.step, curves)
                if trainer.step in milestones:
                    _keep_milestone(folder, _snapshot(trainer, curves, current), make_trainer)
            due = seen is None and trainer.step % checkpoint_every == 0 and trainer.step < steps
            if due or interruption.requested:
                checkpoint = _snapshot(trainer, curves, current)
                if due and not suspicious(curves, **looks) and finite(checkpoint):
                    checkpoint.save(folder / GOOD)
                checkpoint.save(folder / LAST)
            if interruption.requested:
                interruption.pass_on()
    trainer.finish()
    finished = _snapshot(trainer, curves, current)
    _write_curves(folder / CURVES, curves, names)
    _draw_samples(folder / SAMPLES, finished, seed)
    finished.save(folder / FINAL)
    for left in (LAST, GOOD):
        (folder / left).unlink(missing_ok=True)
    return folder / FINAL


def _snapshot(trainer: Trainer, curves: list[CurveRow], current: GanCheckpoint) -> GanCheckpoint:
    """The trainer's state, with what only the loop knows."""
    return replace(trainer.snapshot(tuple(curves)), learning_rate_factor=current.learning_rate_factor)


def _keep_milestone(folder: Path, checkpoint: GanCheckpoint, make_trainer: Callable[[GanCheckpoint], Trainer]) -> None:
    """Writes the averaged generator that there would be if the training ended now; a second trainer finishes it.

    Only its weights: whole numbers, such as a translator's source images, are those of the finished generator.
    """
    trainer = make_trainer(checkpoint)
    trainer.finish()
    finished = trainer.snapshot(())
    kept = GanCheckpoint(
        spec=finished.spec,
        classes=finished.classes,
        step=finished.step,
        recipe=finished.recipe,
        curves=(),
        generator={},
        discriminator={},
        ema={name: tensor for name, tensor in finished.ema.items() if tensor.is_floating_point()},
        generator_optimiser={},
        discriminator_optimiser={},
        loop={},
    )
    kept.save(folder / MILESTONES / f"{finished.step:06d}.safetensors")


def _spread(trainer: Trainer, start: GanCheckpoint, real_spread: float, seed: int) -> tuple[float, ...]:
    """What is drawn within a class, as a share of the real images' spread; nothing where that is not known."""
    if not real_spread:
        return ()
    return (drawn_spread(trainer.generator, start.spec.latent, len(start.classes), seed, device()) / real_spread,)


def _second_try(
    seen: str, step: int, current: GanCheckpoint, start: GanCheckpoint, folder: Path, task: str
) -> GanCheckpoint:
    """The last checkpoint at which nothing was wrong, with a third of the learning rates.

    Raises:
        Diverged: this was the second try.
    """
    if current.learning_rate_factor < 1.0:
        _note(folder, step, seen, "given up")
        for left in (LAST, GOOD):
            (folder / left).unlink(missing_ok=True)
        shutil.rmtree(folder / MILESTONES, ignore_errors=True)
        raise Diverged(
            f"{task}: {seen} at step {step}, with a third of the learning rates too; lower its learning rates, or give "
            "it more images"
        )
    good = _resumed(folder / GOOD, start.recipe) or start
    again = replace(good, learning_rate_factor=current.learning_rate_factor * _SLOWER)
    _note(folder, step, seen, f"taken up again at step {good.step} with a third of the learning rates")
    again.save(folder / LAST)
    return again


def _note(folder: Path, step: int, seen: str, done: str) -> None:
    """Adds a line to the training's log."""
    path = folder / EVENTS
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, before + json.dumps({"step": step, "seen": seen, "done": done}) + "\n")


def _called(task: str, current: GanCheckpoint) -> str:
    """The training's name, and whether this is the second try."""
    return task if current.learning_rate_factor == 1.0 else f"{task}, second try after it diverged"


class _Report:
    """Progress about twice a second, with the speed since the last time."""

    def __init__(
        self, on_progress: OnProgress, task: str, steps: int, batch: int, step: int, names: Sequence[str]
    ) -> None:
        self._on_progress, self._task, self._steps, self._batch, self._names = on_progress, task, steps, batch, names
        self._step, self._time = step, time.monotonic()
        on_progress(Progress(task, step, steps))

    def after(self, step: int, curves: list[CurveRow]) -> None:
        seconds = time.monotonic() - self._time
        if seconds < _REPORT_SECONDS and step < self._steps:
            return
        values = {"images_per_second": round((step - self._step) * self._batch / max(seconds, 1e-9), 1)}
        if curves:
            values |= {name: round(loss, 4) for name, loss in zip(self._names, curves[-1][1:], strict=True)}
        self._on_progress(Progress(self._task, step, self._steps, values))
        self._step, self._time = step, time.monotonic()


def _resumed(path: Path, recipe: str) -> GanCheckpoint | None:
    """The checkpoint of an interrupted training of this recipe, if there is a whole one."""
    try:
        checkpoint = GanCheckpoint.load(path)
    except InputError:
        return None
    return checkpoint if checkpoint.recipe == recipe else None


def _write_curves(path: Path, curves: list[CurveRow], names: Sequence[str]) -> None:
    """Writes the losses as a table."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("step", *names))
    table.writerows((int(step), *(f"{loss:.6f}" for loss in losses)) for step, *losses in curves)
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
