"""Images a second of GTL's sampling, beside the bare forward passes of the same generator, in one run.

Sampling is what `synthesise` does before it encodes: latents to the device, the pass, pixels to uint8 and back to the
host. What encoding (hashes, manifest, files) adds is told apart. The two take turns, and the median round counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gtl_core.networks.registry import Architecture, GanSpec
from gtl_core.synthesis.sampling import BATCH, drawn, synthesise
from gtl_core.training.gan import untrained
from gtl_core.training.runtime import device

CLASSES = tuple("0123456789")


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--architecture", default="dcgan", choices=("dcgan", "fully_connected", "translator"))
    parser.add_argument("--width", type=int, default=32, help="width of the networks")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--images", type=int, default=5000, help="images in a round, a multiple of ten")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each way")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.architecture, options.width, options.size, options.images, options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:30} {value}" for name, value in result.items()))


def measure(
    architecture: Architecture, width: int, size: int, images: int, rounds: int
) -> dict[str, float | int | str]:
    """Speeds of sampling, of the bare passes and of a whole synthetic set."""
    bank = 100 if architecture == "translator" else 0
    spec = GanSpec(architecture, size=size, channels=1, width=width, latent=64, classes=len(CLASSES), bank=bank)
    checkpoint = untrained(spec, CLASSES, 0)
    generator, place = checkpoint.averaged_generator(), device()
    latents = torch.randn((images, spec.latent), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(len(CLASSES)).repeat_interleave(images // len(CLASSES))
    pairs = zip(latents.split(BATCH), labels.split(BATCH), strict=True)
    there = [(part.to(place), own.to(place)) for part, own in pairs]

    def bare() -> None:
        with torch.inference_mode():
            for pair in there:
                generator(*pair)

    def sampled() -> None:
        for _ in drawn(generator, latents, labels, place):
            pass

    with tempfile.TemporaryDirectory(prefix="gtl-sampling-") as scratch:
        path = Path(scratch) / "gan.safetensors"
        checkpoint.save(path)
        ways: dict[str, Callable[[], object]] = {
            "bare": bare,
            "sampled": sampled,
            "encoded": lambda: synthesise(path, images // len(CLASSES), 0, Path(scratch) / "set"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, work in ways.items():
                start = time.perf_counter()
                work()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                if turn:  # the first one warms up
                    times[name].append(time.perf_counter() - start)
    speed = {name: images / statistics.median(seconds) for name, seconds in times.items()}
    return {
        "images_per_second": round(speed["sampled"], 1),
        "bare_images_per_second": round(speed["bare"], 1),
        "ratio": round(speed["sampled"] / speed["bare"], 3),
        "encoded_images_per_second": round(speed["encoded"], 1),
        "device": str(place),
        "threads": torch.get_num_threads(),
        "architecture": architecture,
        "width": width,
        "size": size,
        "batch": BATCH,
    }


if __name__ == "__main__":
    main()
