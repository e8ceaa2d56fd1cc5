"""Image completion and correction: how near the generator comes to what was there, beside what needs no learning.

    python -m benchmarks.restoration [--data FOLDER] [--work FOLDER] [--images N] [--json]

Holes of 10×10 pixels in digits that no generator has seen, and noise on others. Records its rows in docs/measures.json
and writes docs/restored.png. Needs OpenCV for Telea's inpainting, which is a dev dependency.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from benchmarks.measures import DOCS, Measure, options, record, show
from gtl_core.config import FinetuneConfig, GanConfig, TransferConfig
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.importing import import_images
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.progress import OnProgress
from gtl_core.synthesis.restoration import fill_holes, remove_noise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer
from pipelines.cli.progress import terminal_progress

Images = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]

TOPIC = "image completion"
CLASSES = tuple("0123456789")
SIZE, HOLE = 28, 10
NOISE = 0.2
"""Standard deviation of the noise, as a share of the range."""
SOURCE_ROWS, DEVELOPMENT_ROWS = 9_000, 500
LABELLED = 100
"""USPS images a class that the transferred generator learns from."""
TRANSFER_STEPS = 400
RESAMPLES = 2_000
_LEAST = 1e-5
"""Mean squared error that counts as none: 50 dB, so that one perfect picture does not outweigh the others."""
PROTOCOL = """\
MNIST's 10,000 official test images: {source:,} drawn at random for the generator (the default settings of an
experiment's gan), 500 on which the settings of the inversion were chosen, and {images} of the remaining 500 measured.
Each has one hole of 10×10 pixels at a random place within the middle 20×20; the class is not told. USPS: the same
generator, fine-tuned on {labelled} labelled images a class of the official training part ({steps} steps), {images} of
the official test part. PSNR is the mean over images, in the hole or over the whole image; a mean squared error below
1e-5 counts as that (50 dB). "Pooled" is the PSNR of the mean squared error over all holes. Telea's and Navier-Stokes
inpainting and non-local means are OpenCV's, radius 3 and strength by the known noise. Intervals: bootstrap over
images, {resamples:,} resamples, differences paired."""


@dataclass(frozen=True, eq=False)
class Holed:
    """Images, what is missing of them, and ways to fill it.

    Attributes:
        images: uint8 (N, 1, S, S), the truth.
        labels: int64 (N,).
        missing: bool (N, S, S).
        filled: the images as each way filled them.
    """

    images: Images
    labels: npt.NDArray[np.int64]
    missing: npt.NDArray[np.bool_]
    filled: Mapping[str, Images]


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = options(__doc__)
    parser.add_argument("--work", type=Path, help="folder that keeps the trained generators for another call")
    parser.add_argument("--images", type=int, default=64, help="held-out images of each kind")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-restoration-") as scratch, terminal_progress() as on_progress:
        measures = measure(given.data, given.work or Path(scratch), Path(scratch), given.images, on_progress)
    about = {
        "source": SOURCE_ROWS,
        "images": given.images,
        "labelled": LABELLED,
        "steps": TRANSFER_STEPS,
        "resamples": RESAMPLES,
    }
    record(
        TOPIC, measures, protocol=" ".join(PROTOCOL.split()).format(**about), command="python -m benchmarks.restoration"
    )
    show(measures, as_json=given.json)


def measure(data: Path, work: Path, scratch: Path, count: int, on_progress: OnProgress) -> list[Measure]:
    """All rows; trains what is not in `work` yet."""
    mnist = import_images("mnist", data / "mnist", scratch)
    usps = import_images("usps", data / "usps.npz", scratch)
    order = np.random.default_rng(0).permutation(len(mnist))
    source = order[:SOURCE_ROWS]
    source_gan = _kept(
        work / "mnist",
        lambda folder: pretrain_source(
            mnist.images[source], mnist.labels[source], CLASSES, GanConfig(), 0, folder, on_progress
        ),
    )
    target_gan = _kept(work / "usps", lambda folder: _transferred(mnist, usps, source, source_gan, folder, on_progress))
    held = order[SOURCE_ROWS + DEVELOPMENT_ROWS :][:count]
    tested = np.random.default_rng(1).permutation(usps.indices("test"))[:count]
    of_mnist = holed(np.array(mnist.images[held]), mnist.labels[held], {"generator": source_gan}, on_progress)
    of_usps = holed(
        fitted(usps.images[tested], SIZE),
        usps.labels[tested],
        {"transferred generator": target_gan},
        on_progress,
    )
    _draw(of_mnist, of_usps, DOCS / "restored.png")
    return [
        *rows_of_holes("MNIST", of_mnist, "generator"),
        *rows_of_holes("USPS", of_usps, "transferred generator"),
        *rows_of_noise(of_mnist.images, source_gan, on_progress),
    ]


def holed(
    images: Images, labels: npt.NDArray[np.int64], generators: Mapping[str, Path], on_progress: OnProgress
) -> Holed:
    """Makes a hole in each image, and fills it in every way."""
    rng = np.random.default_rng(1)
    missing = np.zeros((len(images), SIZE, SIZE), np.bool_)
    for hole in missing:
        top, left = rng.integers(4, SIZE - HOLE - 3, 2)
        hole[top : top + HOLE, left : left + HOLE] = True
    means = np.array([image[0][~hole].mean() for image, hole in zip(images, missing, strict=True)])
    by_mean = means.round().astype(np.uint8)[:, None, None, None]
    filled = {"mean": np.where(missing[:, None], by_mean, images)}
    for name, method in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS)):
        pairs = zip(images, missing, strict=True)
        filled[name] = np.stack(
            [cv2.inpaint(np.where(hole, 0, image[0]), hole.astype(np.uint8), 3, method)[None] for image, hole in pairs]
        )
    allowed = [range(len(CLASSES))] * len(images)
    for name, path in generators.items():
        hidden = np.where(missing[:, None], np.uint8(0), images)
        filled[name] = fill_holes(GanCheckpoint.load(path), hidden, missing, allowed, on_progress=on_progress).images
    return Holed(images, labels, missing, filled)


def rows_of_holes(name: str, made: Holed, best: str) -> list[Measure]:
    """PSNR and SSIM of every way, and how much better the generator is than the others."""
    inside = {way: _errors(made.images, filled, made.missing) for way, filled in made.filled.items()}
    whole = {way: _errors(made.images, filled) for way, filled in made.filled.items()}
    similar = {way: _ssim(made.images, filled) for way, filled in made.filled.items()}
    rows = [_row(f"{name}, PSNR in the hole: {way}", _psnr(errors), "dB") for way, errors in inside.items()]
    for way in inside:
        if way != best:
            goal = "at least 3" if way in ("mean", "Telea") else ""
            gain = _psnr(inside[best]) - _psnr(inside[way])
            rows.append(_row(f"{name}, PSNR in the hole: {best} minus {way}", gain, "dB", goal))
    pairs = np.stack([inside[best], inside["Telea"]], axis=1)
    rows.append(_row(f"{name}, pooled PSNR in the hole: {best} minus Telea", pairs, "dB", statistic=_pooled_gain))
    shown = (best, "mean", "Telea")
    rows += [_row(f"{name}, PSNR of the image: {way}", _psnr(whole[way]), "dB") for way in shown]
    return rows + [_row(f"{name}, SSIM of the image: {way}", similar[way], "") for way in shown]


def rows_of_noise(images: Images, gan: Path, on_progress: OnProgress) -> list[Measure]:
    """PSNR of noisy images, and of what is made of them."""
    rng = np.random.default_rng(2)
    noisy = np.clip(images + rng.normal(0, 255 * NOISE, images.shape), 0, 255).round().astype(np.uint8)
    allowed = [range(len(CLASSES))] * len(images)
    ways = {
        "as it is": noisy,
        "generator": remove_noise(GanCheckpoint.load(gan), noisy, NOISE, allowed, on_progress=on_progress).images,
        "non-local means": np.stack(
            [cv2.fastNlMeansDenoising(image[0], None, 255 * NOISE, 5, 15)[None] for image in noisy]
        ),
    }
    values = {way: _psnr(_errors(images, made)) for way, made in ways.items()}
    rows = [
        _row(f"MNIST with noise of {NOISE} of the range, PSNR: {way}", value, "dB") for way, value in values.items()
    ]
    gain = values["generator"] - values["non-local means"]
    return [*rows, _row("MNIST with noise, PSNR: generator minus non-local means", gain, "dB")]


def _transferred(
    mnist: ImageSet, usps: ImageSet, source: npt.NDArray[np.int64], gan: Path, folder: Path, on_progress: OnProgress
) -> Path:
    """The generator of MNIST, fine-tuned on a few images of USPS."""
    train = usps.indices("train")
    rows = np.concatenate([train[usps.labels[train] == label][:LABELLED] for label in range(len(CLASSES))])
    inputs = TransferInputs(
        images=fitted(usps.images[rows], SIZE),
        labels=usps.labels[rows],
        classes=CLASSES,
        unlabelled=fitted(usps.images[rows[:0]], SIZE),
        source_images=np.array(mnist.images[source]),
        source_labels=mnist.labels[source],
        source_classes=CLASSES,
        source_gan=gan,
        source_classifier=None,
        seed=0,
    )
    strategy = FinetuneConfig()
    settings = TransferConfig(strategies=(strategy,), steps=TRANSFER_STEPS)
    return transfer(strategy, inputs, GanConfig(), settings, folder, on_progress)


def _kept(folder: Path, train: Callable[[Path], Path]) -> Path:
    path = folder / "gan.safetensors"
    return path if path.is_file() else train(folder)


def _errors(truth: Images, made: Images, where: npt.NDArray[np.bool_] | None = None) -> Values:
    """Mean squared error of each image, pixels from 0 to 1, over all pixels or some."""
    squares = ((truth.astype(np.float64) - made) / 255.0) ** 2
    if where is None:
        return squares.mean(axis=(1, 2, 3))
    return (squares * where[:, None]).sum(axis=(1, 2, 3)) / where.sum(axis=(1, 2))


def _psnr(errors: Values) -> Values:
    return -10.0 * np.log10(np.maximum(errors, _LEAST))


def _pooled_gain(pairs: Values) -> float:
    """PSNR of the mean of the first column less that of the second."""
    first, second = pairs.mean(axis=0)
    return float(10.0 * np.log10(second / first))


def _ssim(truth: Images, made: Images) -> Values:
    first, second = (torch.from_numpy(np.array(part)).double() / 255.0 for part in (made, truth))
    return structural_similarity_index_measure(first, second, data_range=1.0, reduction="none").numpy()


def _row(
    what: str, values: Values, unit: str, goal: str = "", statistic: Callable[[Values], float] = np.mean
) -> Measure:
    """A statistic over images with its bootstrap interval."""
    rng = np.random.default_rng(0)
    resampled = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(RESAMPLES)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Measure(what, float(statistic(values)), float(low), float(high), unit, len(values), goal)


def _draw(of_mnist: Holed, of_usps: Holed, path: Path) -> None:
    """The first sixteen of each kind: with the hole, by Telea, by the generator, the truth."""
    rows = []
    for made, best in ((of_mnist, "generator"), (of_usps, "transferred generator")):
        holes = np.where(made.missing[:, None], np.uint8(128), made.images)
        rows += [part[:16] for part in (holes, made.filled["Telea"], made.filled[best], made.images)]
    save_png(path, contact_sheet(np.concatenate(rows), columns=16, scale=2))


if __name__ == "__main__":
    main()
