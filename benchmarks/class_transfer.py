"""How much of the real images of classes that the source does not have a transferred GAN draws.

    python -m benchmarks.class_transfer [--data FOLDER] [--draws N] [--json]

Source: MNIST 0 to 4. Targets: MNIST 5 to 9 and USPS 5 to 9, ten labelled images a class. Records its rows in
docs/measures.json, and draws docs/new_classes.png.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.class_halves import HALVES, half
from benchmarks.measures import DOCS, Measure, options, record, show
from gtl_core.config import (
    ClassifierConfig,
    ClassMixingConfig,
    FinetuneConfig,
    GanConfig,
    TransferConfig,
    WeightStrategyConfig,
)
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.importing import import_images
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.metrics.features import Extractor, LabelledImages, train_extractor
from gtl_core.metrics.manifold import NEIGHBOURS, manifold
from gtl_core.metrics.neighbours import nearest
from gtl_core.progress import OnProgress
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier, train_source_classifier
from gtl_core.training.parallel import run_cells
from gtl_core.training.runtime import to_uint8, to_unit_range
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer
from pipelines.cli.progress import terminal_progress

TOPIC = "other label sets"
COMMAND = "python -m benchmarks.class_transfer"
SOURCE = "mnist-0-4"
TARGETS = {"mnist-5-9": "MNIST 5–9", "usps-5-9": "USPS 5–9"}
FILES = {"mnist": "mnist", "usps": "usps.npz"}
SIZE = 16
SEED = 0
LABELLED = 10
HELD_OUT = 1500
"""Real images, and as many generated ones, that are compared."""
GAN = GanConfig(width=16, latent=64, steps=1600, checkpoint_every=1000)
CLASSIFIER = ClassifierConfig(width=16)
RESAMPLES = 2000
SHOWN = 8
"""Images of a class in the picture."""

Floats = npt.NDArray[np.float64]

R3GAN: dict[str, Any] = {"loss": "relativistic", "gradient_penalty": 0.1}
"""The game of R3GAN, beside which the source GAN's is that of its pretraining."""
PLAIN, DEFAULT = "finetune, no help", "finetune"
STRATEGIES: dict[str, WeightStrategyConfig] = {
    PLAIN: FinetuneConfig(augmentation=()),
    DEFAULT: FinetuneConfig(),
    "finetune, nearest start": FinetuneConfig(start="nearest"),
    "finetune, R3GAN": FinetuneConfig(**R3GAN),
    "class_mixing, nearest start": ClassMixingConfig(start="nearest"),
    "class_mixing, nearest start, R3GAN": ClassMixingConfig(start="nearest", **R3GAN),
}
"""What is compared, all with the same steps and images, and all but the first with the default augmentation."""
AUGMENTED = "the labelled images, augmented, no GAN"
SHOWN_STRATEGIES = (PLAIN, DEFAULT, "class_mixing, nearest start, R3GAN")
GOAL = "2"
"""Of the coverage over that of fine-tuning at equal density, with the default help and with none."""
STRETCHES = (1.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""What latents are multiplied by, so that a generator draws less or more various images; 1 is how it learned."""
TRANSFER = TransferConfig(strategies=(FinetuneConfig(),))


@dataclass(frozen=True, eq=False)
class Pair:
    """A source and a target that have no class in common, and what both are measured by.

    Attributes:
        target: the target image set.
        draws: the few-shot draws of it.
        held_out: rows of its training part that are in no draw's labelled or validation images.
        extractor: gives the features; it has learned from the source and the first draw's validation images.
    """

    target: ImageSet
    draws: Sequence[Draw]
    held_out: npt.NDArray[np.int64]
    extractor: Extractor

    def pixels(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Images of the target at the size of the GAN."""
        return fitted(self.target.images[rows], SIZE)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one strategy's GANs draw of the held-out images.

    Attributes:
        covered: bool (stretches, draws, held-out images): whether an image is covered (Naeem et al. 2020); first as
            the GAN learned to draw, and for what others are compared with at the other `STRETCHES` too.
        densities: float (stretches, draws) (the same).
        samples: images of the first draw, uint8 (classes, SHOWN, C, S, S).
    """

    covered: npt.NDArray[np.bool_]
    densities: Floats
    samples: npt.NDArray[np.uint8]

    def as_dense_as(self, other: Outcome) -> npt.NDArray[np.bool_]:
        """What is covered, bool (draws, held-out images), at the stretch whose density is nearest, draw by draw."""
        nearest_stretch = np.abs(self.densities - other.densities[0]).argmin(axis=0)
        return self.covered[nearest_stretch, np.arange(len(nearest_stretch))]


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = options(__doc__)
    parser.add_argument("--draws", type=int, default=3, help="few-shot draws of each target")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-class-transfer-") as scratch, terminal_progress() as on_progress:
        outcomes = measure(given.data, Path(scratch), given.draws, on_progress)
    rows = [row for target, of_target in outcomes.items() for row in measures(TARGETS[target], of_target)]
    record(TOPIC, rows, protocol=protocol(given.draws), command=COMMAND)
    save_picture(outcomes, DOCS / "new_classes.png")
    show(rows, as_json=given.json)


def protocol(draws: int) -> str:
    """What a reader must know to compare the numbers."""
    return (
        "Source: digits 0 to 4 of the 10,000 official test images of MNIST. Targets: digits 5 to 9 of the same (half "
        "of them; the other half is a test part that is never looked at) and of USPS's training part, "
        f"{LABELLED} labelled images a class, {draws} draws, {SIZE} pixels, {TRANSFER.steps:,} steps. Augmentation is "
        "by translation, the default, save where a GAN has no help at all, neither that nor another: this is plain "
        "fine-tuning. R3GAN is `loss: relativistic` with `gradient_penalty: 0.1`. Coverage is the "
        f"share of {HELD_OUT:,} held-out images that have one of {HELD_OUT:,} generated ones no further than their "
        f"{NEIGHBOURS}th real neighbour, density how deep generated images lie among real ones, in features of the "
        "source classifier after further training with 50 validation images. Equal density: the latents of the GAN "
        f"that is compared with are multiplied by {min(STRETCHES)} to {max(STRETCHES):.0f}, by what brings its density "
        "nearest, draw by draw. Intervals of coverage and of ratios: bootstrap over draws and held-out images; of "
        "density: over draws."
    )


def measure(data: Path, scratch: Path, draws: int, on_progress: OnProgress) -> dict[str, dict[str, Outcome]]:
    """What each strategy draws of each target, by target and strategy."""
    for name, file in FILES.items():
        import_images(name, data / file, scratch, on_progress=on_progress)
    for name in (SOURCE, *TARGETS):
        half(*HALVES[name], scratch / name)
    source = _source(scratch)
    pretrain_source(source.images, source.labels, source.classes, GAN, SEED, scratch / "gan", on_progress)
    classifier = train_source_classifier(
        source.images, source.labels, source.classes, CLASSIFIER, SEED, scratch / "classifier", on_progress
    )
    cells = [
        {"scratch": scratch, "target": target, "label": label, "draws": draws, "index": index}
        for target in TARGETS
        for label in STRATEGIES
        for index in range(draws)
    ]
    paths = iter(run_cells(transferred, cells, on_progress, task="transfers"))
    outcomes: dict[str, dict[str, Outcome]] = {}
    for target in TARGETS:
        pair = _pair(ImageSet.load(scratch / target), source, classifier, draws)
        outcomes[target] = {AUGMENTED: augmented(pair)}
        for label in STRATEGIES:
            gans = [GanCheckpoint.load(next(paths)) for _ in range(draws)]
            stretches = STRETCHES if label in (PLAIN, DEFAULT) else STRETCHES[:1]
            made = [[drawn(gan, draw.seed, by) for gan, draw in zip(gans, pair.draws, strict=True)] for by in stretches]
            outcomes[target][label] = judged(pair, made)
    return outcomes


def transferred(*, scratch: Path, target: str, label: str, draws: int, index: int, on_progress: OnProgress) -> Path:
    """Transfers to one draw by one strategy; gives the GAN's path."""
    source, to = _source(scratch), ImageSet.load(scratch / target)
    draw = _draws(to, draws)[index]
    images = fitted(to.images[draw.labelled], SIZE)
    inputs = TransferInputs(
        images=images,
        labels=to.labels[draw.labelled],
        classes=to.classes,
        unlabelled=images[:0],
        source_images=source.images,
        source_labels=source.labels,
        source_classes=source.classes,
        source_gan=scratch / "gan" / "gan.safetensors",
        source_classifier=None,
        seed=draw.seed,
    )
    folder = scratch / "transfers" / target / label / str(index)
    return transfer(STRATEGIES[label], inputs, GAN, TRANSFER, folder, on_progress)


def _source(scratch: Path) -> LabelledImages:
    whole = ImageSet.load(scratch / SOURCE)
    return LabelledImages(fitted(whole.images, SIZE), whole.labels, whole.classes)


def _draws(target: ImageSet, draws: int) -> Sequence[Draw]:
    return make_draws(
        target,
        labelled_per_class=LABELLED,
        validation_per_class=LABELLED,
        test_fraction=0.5,
        draws=draws,
        seed=SEED,
    )


def _pair(target: ImageSet, source: LabelledImages, classifier: Path, draws: int) -> Pair:
    made = _draws(target, draws)
    seen = np.concatenate([part for draw in made for part in (draw.labelled, draw.validation)])
    unseen = np.setdiff1d(made[0].unlabelled, seen)
    held_out = np.sort(np.random.default_rng(SEED).permutation(unseen)[:HELD_OUT])
    validation = made[0].validation
    known = LabelledImages(fitted(target.images[validation], SIZE), target.labels[validation], target.classes)
    extractor = train_extractor(load_classifier(classifier)[0], source, known, CLASSIFIER, SEED)
    return Pair(target, made, held_out, extractor)


def drawn(gan: GanCheckpoint, seed: int, stretch: float) -> npt.NDArray[np.uint8]:
    """HELD_OUT images (HELD_OUT, C, S, S) in the order of classes, by the averaged generator."""
    labels = torch.arange(len(gan.classes)).repeat_interleave(HELD_OUT // len(gan.classes))
    latents = stretch * torch.randn((len(labels), gan.spec.latent), generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        return np.ascontiguousarray(to_uint8(gan.averaged_generator()(latents, labels)).numpy())


def augmented(pair: Pair) -> Outcome:
    """Looks what the labelled images are worth with classical augmentation and no GAN."""
    made = []
    for draw in pair.draws:
        ordered = draw.labelled[np.argsort(pair.target.labels[draw.labelled], kind="stable")]
        copies = np.repeat(pair.pixels(ordered), HELD_OUT // len(ordered), axis=0)
        random = torch.Generator().manual_seed(draw.seed)
        made.append(to_uint8(augment(to_unit_range(torch.from_numpy(copies)), random)).numpy())
    return judged(pair, [made])


def judged(pair: Pair, made: Sequence[Sequence[npt.NDArray[np.uint8]]]) -> Outcome:
    """Compares what was made at each stretch for each draw, uint8 (HELD_OUT, C, S, S) in the order of classes."""
    real = pair.extractor.features(pair.pixels(pair.held_out))
    radii = nearest(real, real, NEIGHBOURS, exclude_self=True)[0][:, -1]
    covered, densities = [], []
    for images in (images for of_draws in made for images in of_draws):
        features = pair.extractor.features(images)
        covered.append(nearest(real, features, 1)[0][:, 0] <= radii)
        densities.append(manifold(real, features).density)
    shape = len(made), len(pair.draws)
    of_classes = made[0][0].reshape(len(pair.target.classes), -1, *made[0][0].shape[1:])
    return Outcome(np.reshape(covered, (*shape, -1)), np.reshape(densities, shape), of_classes[:, :SHOWN])


def measures(target: str, outcomes: Mapping[str, Outcome]) -> list[Measure]:
    """The rows of one target."""
    rows = []
    for label, made in outcomes.items():

        def add(what: str, ratio: tuple[float, float, float], unit: str = "times", goal: str = "") -> None:
            rows.append(Measure(f"{target}, {label}: {what}", *ratio, unit, made.densities.shape[1], goal))  # noqa: B023

        add("coverage", _ratio(100.0 * made.covered[0]), "%")
        add("density", _ratio(made.densities[0][:, None]), "")
        for other in (PLAIN, DEFAULT):
            if label not in (AUGMENTED, PLAIN, other):
                goal = GOAL if label.startswith("class_mixing") else ""
                equal = _ratio(made.covered[0], outcomes[other].as_dense_as(made))
                add(f"coverage over that of {other}, at equal density", equal, goal=goal)
    return rows


def _ratio(values: Floats, others: Floats | None = None) -> tuple[float, float, float]:
    """Mean of values (draws, images), over that of others where there are some, with its 95 % interval.

    Draws and images are drawn anew, the same for both.
    """
    rng = np.random.default_rng(SEED)
    others = np.ones_like(values) if others is None else others
    of_draws, of_images = (rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) for count in values.shape)
    sums = (np.einsum("rd,dn,rn->r", of_draws, side, of_images, optimize=True) for side in (values, others))
    low, high = np.quantile(np.divide(*sums), (0.025, 0.975))
    return float(values.mean() / others.mean()), float(low), float(high)


def save_picture(outcomes: Mapping[str, Mapping[str, Outcome]], path: Path) -> None:
    """Draws what GANs make of the first draw, a row a class: `SHOWN_STRATEGIES` from left to right."""
    rows: list[Any] = []
    for of_target in outcomes.values():
        sides = [of_target[label].samples for label in SHOWN_STRATEGIES]
        gap = np.full_like(sides[0][:, :1], 128)
        rows.append(np.concatenate([part for side in sides for part in (side, gap)][:-1], axis=1))
    sheet = np.concatenate(rows)
    save_png(path, contact_sheet(sheet.reshape(-1, *sheet.shape[2:]), columns=sheet.shape[1], scale=2))


if __name__ == "__main__":
    main()
