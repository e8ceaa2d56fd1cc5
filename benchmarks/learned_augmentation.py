"""Whether learned augmentation makes other images of the classes it is given, of digits that it never saw.

    python -m benchmarks.learned_augmentation [--data FOLDER] [--draws N] [--json]

Source: MNIST 0 to 4. Targets: MNIST 5 to 9 and USPS 5 to 9, five labelled images a class. Records its rows in
docs/measures.json, and draws docs/learned_augmentation.png.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.class_halves import HALVES, half
from benchmarks.measures import DOCS, Measure, options, record, show
from gtl_core.config import ClassifierConfig, DaganConfig, GanConfig, TransferConfig
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.importing import import_images
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.metrics.features import LabelledImages
from gtl_core.metrics.neighbours import nearest
from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier, predict, train_source_classifier
from gtl_core.training.runtime import device, to_device, to_uint8, to_unit_range
from gtl_core.transfer.dagan import pretrain_dagan
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.strategies import transfer
from pipelines.cli.output import note
from pipelines.cli.progress import terminal_progress

TOPIC = "learned augmentation"
COMMAND = "python -m benchmarks.learned_augmentation"
SOURCE = "mnist-0-4"
TARGETS = {"mnist-5-9": "MNIST 5–9", "usps-5-9": "USPS 5–9"}
FILES = {"mnist": "mnist", "usps": "usps.npz"}
SIZE = 16
SEED = 0
LABELLED = 5
MADE = 40
"""Images that are made of each labelled one."""
NEAR = 0.01
"""Share of real images that stand nearer to a labelled one of their class than what counts as a near copy."""
STRATEGY = DaganConfig()
READER = ClassifierConfig(width=16, source_steps=400)
RESAMPLES = 2000
SHOWN = 12
"""Images in a row of the picture, each beside what it was made of."""

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was made of the labelled images of all draws, L of them, with M images made of each.

    Attributes:
        read: (L, M), 1 where a classifier reads the image's class in what was made of it.
        real: (R, 1), the same of real images that are in no draw.
        moved: (L, M), distance from the image, as a share of the mean distance of two real images of the class.
        apart: (L, 1), mean distance of what is made of an image from each other, as a share of the same.
        near: (L, M), 1 for what is nearer to a labelled image of its class than 99 % of real images are.
        shown: uint8 (2 · SHOWN, C, S, S) for each class: an image, and what was made of it.
    """

    read: Floats
    real: Floats
    moved: Floats
    apart: Floats
    near: Floats
    shown: Sequence[Images]


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = options(__doc__)
    parser.add_argument("--draws", type=int, default=3, help="few-shot draws of each target")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-augmentation-") as scratch, terminal_progress() as on_progress:
        outcomes = measure(given.data, Path(scratch), given.draws, on_progress)
    rows = [row for target, made in outcomes.items() for row in measures(TARGETS[target], made)]
    record(TOPIC, rows, protocol=protocol(given.draws), command=COMMAND)
    save_picture(outcomes, DOCS / "learned_augmentation.png")
    show(rows, as_json=given.json)


def protocol(draws: int) -> str:
    """What a reader must know to compare the numbers."""
    return (
        "DAGAN learns on digits 0 to 4 of the 10,000 official test images of MNIST and is given digits 5 to 9 of the "
        "same (half of them; the other half is a test part that is never looked at) and of USPS's training part: "
        f"{LABELLED} labelled images a class, {draws} draws, {SIZE} pixels, {STRATEGY.steps} steps on the source, none "
        f"on the target, {MADE} images made of each. Classes are read by a classifier of the training images of 5 to 9 "
        "that are in no draw, its own share measured on a fifth of them that it did not learn from. Distances are mean "
        "absolute differences of pixels, those of two real images of the class being 1. Intervals: bootstrap over the "
        "labelled images."
    )


def measure(data: Path, scratch: Path, draws: int, on_progress: OnProgress) -> dict[str, Outcome]:
    """What is made of the labelled images of each target."""
    for name, file in FILES.items():
        import_images(name, data / file, scratch, on_progress=on_progress)
    for name in (SOURCE, *TARGETS):
        half(*HALVES[name], scratch / name)
    whole = ImageSet.load(scratch / SOURCE)
    source = LabelledImages(fitted(whole.images, SIZE), whole.labels, whole.classes)
    learned = pretrain_dagan(
        STRATEGY, source.images, source.labels, source.classes, SEED, scratch / "learned", on_progress
    )
    outcomes = {}
    for name, title in TARGETS.items():
        note(title)
        outcomes[name] = outcome(ImageSet.load(scratch / name), source, learned, draws, scratch / name, on_progress)
    return outcomes


def outcome(
    target: ImageSet, source: LabelledImages, learned: Path, draws: int, folder: Path, on_progress: OnProgress
) -> Outcome:
    """What is made of the labelled images of one target."""
    chosen = make_draws(
        target,
        labelled_per_class=LABELLED,
        validation_per_class=LABELLED,
        test_fraction=0.5,
        draws=draws,
        seed=SEED,
    )
    labelled = np.concatenate([draw.labelled for draw in chosen])
    others = np.random.default_rng(SEED).permutation(np.setdiff1d(chosen[0].unlabelled, labelled))
    kept, taught = np.split(others, [len(others) // 5])
    lesson = (fitted(target.images[taught], SIZE), target.labels[taught], target.classes)
    reader = load_classifier(train_source_classifier(*lesson, READER, SEED, folder / "reader", on_progress))[0]
    real, real_labels = fitted(target.images[kept], SIZE), target.labels[kept]
    usual = _usual(real, real_labels)
    parts: list[tuple[Floats, ...]] = []
    shown: list[Images] = []
    for index, draw in enumerate(chosen):
        given, labels = fitted(target.images[draw.labelled], SIZE), target.labels[draw.labelled]
        inputs = TransferInputs(
            images=given,
            labels=labels,
            classes=target.classes,
            unlabelled=given[:0],
            source_images=source.images,
            source_labels=source.labels,
            source_classes=source.classes,
            source_gan=learned,
            source_classifier=None,
            seed=draw.seed,
        )
        settings = TransferConfig(strategies=(STRATEGY,))
        path = transfer(STRATEGY, inputs, GanConfig(), settings, folder / str(index), on_progress)
        made = made_of(GanCheckpoint.load(path), given, draw.seed)
        parts.append(_compared(made, given, labels, real, real_labels, usual, reader))
        if not index:
            firsts = [np.flatnonzero(labels == label) for label in range(len(target.classes))]
            shown = [_row(given, made, rows) for rows in firsts]
    read, moved, apart, near = (np.concatenate(part) for part in zip(*parts, strict=True))
    right = (predict(reader, real).argmax(axis=1) == real_labels)[:, None].astype(float)
    return Outcome(read, right, moved, apart, near, shown)


def made_of(gan: GanCheckpoint, given: Images, seed: int) -> Images:
    """What is made of images uint8 (L, C, S, S): uint8 (L, MADE, C, S, S)."""
    generator, where = cast(BankGenerator, gan.averaged_generator()), device()
    styles = torch.randn((len(given) * MADE, gan.spec.latent - 1), generator=torch.Generator().manual_seed(seed))
    repeated = to_unit_range(to_device(given.repeat(MADE, axis=0), where))
    with torch.inference_mode():
        made = to_uint8(generator.changed(repeated, styles.to(where))).cpu().contiguous().numpy()
    return made.reshape(len(given), MADE, *given.shape[1:])


def _usual(images: Images, labels: npt.NDArray[np.int64]) -> Floats:
    """Mean distance of two images of each class."""
    flat = [_flat(images[labels == label]) for label in np.unique(labels)]
    return np.array([np.abs(part[:-1] - part[1:]).mean() for part in flat])


def _compared(
    made: Images,
    given: Images,
    labels: npt.NDArray[np.int64],
    real: Images,
    real_labels: npt.NDArray[np.int64],
    usual: Floats,
    reader: Classifier,
) -> tuple[Floats, ...]:
    """`read`, `moved`, `apart` and `near` of one draw, as in `Outcome`."""
    count = len(given)
    asked = labels.repeat(MADE)
    flat, origin = _flat(made.reshape(-1, *made.shape[2:])).reshape(count, MADE, -1), _flat(given)
    read = (predict(reader, made.reshape(-1, *made.shape[2:])).argmax(axis=1) == asked).reshape(count, MADE)
    moved = np.abs(flat - origin[:, None]).mean(axis=2) / usual[labels][:, None]
    apart = np.abs(flat[:, 1:] - flat[:, :-1]).mean(axis=(1, 2))[:, None] / usual[labels][:, None]
    near = np.zeros((count, MADE))
    for label in np.unique(labels):
        own = origin[labels == label]
        bound = np.quantile(nearest(_flat(real[real_labels == label]), own, 1)[0][:, 0], NEAR)
        rows = np.flatnonzero(labels == label)
        near[rows] = (nearest(flat[rows].reshape(len(rows) * MADE, -1), own, 1)[0][:, 0] < bound).reshape(-1, MADE)
    return read.astype(float), moved, apart, near


def _flat(images: Images) -> npt.NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)


def _row(given: Images, made: Images, rows: npt.NDArray[np.int64]) -> Images:
    """Images of one class, each followed by one that was made of it."""
    chosen = [(rows[place % len(rows)], place // len(rows)) for place in range(SHOWN)]
    return np.stack([image for row, style in chosen for image in (given[row], made[row, style])])


def measures(target: str, made: Outcome) -> list[Measure]:
    """The rows of one target."""
    rows = [
        ("what was made, read as the class of the image that it was made of", 100.0 * made.read, "%"),
        ("real images in no draw, read as their class", 100.0 * made.real, "%"),
        ("distance from the image that it was made of", made.moved, ""),
        ("distance of two that were made of one image", made.apart, ""),
        ("near copies of a labelled image (1 % of real images are as near)", 100.0 * made.near, "%"),
    ]
    return [
        Measure(f"{target}: {what}", float(values.mean()), *_interval(values), unit, len(values))
        for what, values, unit in rows
    ]


def _interval(values: Floats) -> tuple[float, float]:
    """95 % interval of the mean of values (L, M), with whole rows drawn anew."""
    rng, means = np.random.default_rng(SEED), values.mean(axis=1)
    low, high = np.quantile(means[rng.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def save_picture(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Draws labelled images of the first draw, each followed by one that was made of it: a row a class."""
    rows = [row for made in outcomes.values() for row in made.shown]
    save_png(path, contact_sheet(np.concatenate(rows), columns=2 * SHOWN, scale=2))


if __name__ == "__main__":
    main()
