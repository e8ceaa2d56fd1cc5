"""Images a second of GTL's GAN training, beside a plain PyTorch loop over the same networks, in one run.

The plain loop is what a tutorial shows: float32, default memory layout, `TensorDataset` and `DataLoader`, one
discriminator pass for real and one for generated images, and gradients of everything. Networks, losses, augmentation,
optimiser settings, batch size and weight average are the same in both. Each runs in a process of its own; the two take
turns, so that a busy moment of the machine does not fall on one alone, and the median round counts. Where the time of
GTL's step goes is told by kind of operation, from a few further steps under PyTorch's profiler.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from gtl_core.config import GanConfig
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.training.diff_augment import diff_augment
from gtl_core.training.ema import update_average
from gtl_core.training.gan import untrained
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.losses import LOSSES
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import device, keep_memory, precision

IMAGES = 4096
CEILING_SIDE = 2048
CLASSES = 10
WARM_UP = 5
"""Steps before the first round."""
PROFILED = 10
"""Steps under the profiler."""
KINDS = {
    "convolutions": ("conv", "mm", "addmm", "bmm"),
    "normalisation": ("batch_norm", "vector_norm"),
    "activations": ("relu", "threshold", "clamp", "tanh", "softplus"),
    "optimiser and average": ("adam", "lerp", "Optimizer"),
    "sums, products and copies": ("mul", "add", "sum", "div", "mean", "cat", "copy", "contiguous", "clone"),
}
"""What an operation is, by what its name holds: the first that fits."""
OTHER = "small operations and Python"


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=32, help="width of the networks")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=40, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each loop")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.width, options.size, options.steps, options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        shares = {f"time in {kind}": share for kind, share in result.pop("time").items()}
        print("\n".join(f"{name:36} {value}" for name, value in (result | shares).items()))


def measure(width: int, size: int, steps: int, rounds: int) -> dict[str, Any]:
    """Speeds of both loops, their ratio, and the share of the matrix-product ceiling that ours reaches."""
    loops = {name: Loop(name, width, size) for name in ("ours", "plain")}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop.seconds(WARM_UP)
    for _ in range(rounds):
        for name, loop in loops.items():
            times[name].append(loop.seconds(steps))
    batch = GanConfig().batch
    speed = {name: batch * steps / statistics.median(rounds_) for name, rounds_ in times.items()}
    operations, shares = loops["ours"].profiled()
    rate = operations * speed["ours"] / batch
    for loop in loops.values():
        loop.stop()
    ceiling = matrix_ceiling()
    return {
        "images_per_second": round(speed["ours"], 1),
        "plain_images_per_second": round(speed["plain"], 1),
        "ratio": round(speed["ours"] / speed["plain"], 3),
        "ceiling_share": round(rate / ceiling, 4),
        "precision": precision(device()),
        "gigaflops": round(rate / 1e9, 1),
        "ceiling_gigaflops": round(ceiling / 1e9, 1),
        "time": {kind: round(share, 3) for kind, share in shares.items()},
        "device": str(device()),
        "threads": torch.get_num_threads(),
        "width": width,
        "size": size,
        "batch": batch,
    }


class Loop:
    """One of the two loops in a process of its own, so that what GTL sets for its process is not set for the other."""

    def __init__(self, name: str, width: int, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=serve, args=(there, name, width, size), daemon=True)
        self._process.start()

    def seconds(self, steps: int) -> float:
        """How long some steps take."""
        self._here.send(steps)
        return float(self._here.recv())

    def profiled(self) -> tuple[float, dict[str, float]]:
        """Floating-point operations of a step, and the share of its time that each kind of operation takes."""
        self._here.send(None)
        operations, shares = self._here.recv()
        return operations, shares

    def stop(self) -> None:
        """Ends the process."""
        self._here.send(0)
        self._process.join()


def serve(connection: Connection, name: str, width: int, size: int) -> None:
    """Makes steps when it is told how many, and tells what is in one when it is told None; 0 ends it."""
    spec = GanSpec("dcgan", size=size, channels=1, width=width, latent=64, classes=CLASSES)
    config = GanConfig(width=width)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 1, size, size), dtype=np.uint8)
    labels = random.integers(0, CLASSES, IMAGES)
    if name == "ours":
        keep_memory()
        start = untrained(spec, tuple(map(str, range(CLASSES))), 0)
        advance = GanTrainer(start, images, labels, config, steps=1, seed=0, plan=Plan(), origin=start).advance
    else:
        advance = PlainLoop(spec, images, labels, config).advance
    while (wanted := connection.recv()) != 0:
        if wanted is None:
            with FlopCounterMode(display=False) as counter:
                advance()
            connection.send((counter.get_total_flops(), time_shares(advance)))
        else:
            connection.send(seconds(advance, wanted))


def time_shares(work: Callable[[], None]) -> dict[str, float]:
    """The shares of its time that some work spends in each of `KINDS`, and in the rest."""
    on_gpu = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiler:
        for _ in range(PROFILED):
            work()
        synchronise()
    spent = dict.fromkeys((*KINDS, OTHER), 0.0)
    for event in profiler.key_averages():
        name = event.key.lower()
        kind = next((kind for kind, parts in KINDS.items() if any(part.lower() in name for part in parts)), OTHER)
        spent[kind] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    return {kind: time_spent / sum(spent.values()) for kind, time_spent in spent.items()}


class PlainLoop:
    """A training step as a tutorial writes it."""

    def __init__(self, spec: GanSpec, images: np.ndarray, labels: np.ndarray, config: GanConfig) -> None:
        self.config, self.spec, self.where = config, spec, device()
        self.generator = build_generator(spec, 0).to(self.where)
        self.discriminator = build_discriminator(spec, 1).to(self.where)
        self.average = copy.deepcopy(self.generator)
        betas = (config.beta1, config.beta2)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), config.learning_rate_generator, betas)
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), config.learning_rate_discriminator, betas)
        pixels = torch.from_numpy(images).float() / 127.5 - 1.0
        dataset = TensorDataset(pixels, torch.from_numpy(labels))
        self.loader = DataLoader(dataset, batch_size=config.batch, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)
        self.random = torch.Generator(self.where).manual_seed(0)
        self.step = 0

    def advance(self) -> None:
        """Makes one step of the discriminator and one of the generator."""
        try:
            real, labels = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            real, labels = next(self.batches)
        real, labels = real.to(self.where), labels.to(self.where)
        latents = torch.randn((len(real), self.spec.latent), device=self.where)
        drawn = torch.randint(self.spec.classes, (len(real),), device=self.where)
        loss, policies = LOSSES[self.config.loss], self.config.augmentation

        generated = self.generator(latents, drawn)
        self.adam_d.zero_grad()
        real_logits = self.discriminator(diff_augment(real, policies, self.random), labels)
        fake_logits = self.discriminator(diff_augment(generated.detach(), policies, self.random), drawn)
        loss_d = loss.discriminator(real_logits, fake_logits)
        loss_d.backward()
        self.adam_d.step()

        self.adam_g.zero_grad()
        loss_g = loss.generator(self.discriminator(diff_augment(generated, policies, self.random), drawn))
        loss_g.backward()
        self.adam_g.step()
        update_average(self.average, self.generator, self.config.ema_decay, self.step)
        self.step += 1


def matrix_ceiling() -> float:
    """Floating-point operations a second of a big square matrix product in the training's precision."""
    where = device()
    kind = torch.bfloat16 if precision(where) == "bf16" else torch.float32
    left, right = (torch.randn((CEILING_SIDE, CEILING_SIDE), device=where).to(kind) for _ in range(2))
    operations = 2.0 * CEILING_SIDE**3

    def product() -> None:
        torch.mm(left, right)

    seconds(product, 2)
    return operations * 3 / min(seconds(product, 3) for _ in range(5))


def seconds(work: Callable[[], None], times: int) -> float:
    """How long it takes to do some work a number of times."""
    synchronise()
    start = time.perf_counter()
    for _ in range(times):
        work()
    synchronise()
    return time.perf_counter() - start


def synchronise() -> None:
    """Waits for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
