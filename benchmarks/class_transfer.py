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
from gtl_core.metrics.trajectory import sample
from gtl_core.progress import OnProgress
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier, train_source_classifier
from gtl_core.training.runtime import to_uint8, to_unit_range
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer
from pipelines.cli.output import note
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
SHOWN = 12
"""Images of a class in the picture."""

Floats = npt.NDArray[np.float64]

STRATEGIES: dict[str, WeightStrategyConfig] = {
    "finetune": FinetuneConfig(),
    "finetune without augmentation": FinetuneConfig(augmentation=()),
    "finetune, nearest start": FinetuneConfig(start="nearest"),
    "class_mixing, nearest start": ClassMixingConfig(start="nearest"),
}
"""What is compared, all with the same steps and images."""
AUGMENTED = "the labelled images, augmented, no GAN"
BASELINES = {"finetune": "2 at equal density", "finetune without augmentation": ""}
"""What the others' coverage is divided by, and the goal."""
TRANSFER = TransferConfig(strategies=(FinetuneConfig(),), steps=600)


@dataclass(frozen=True, eq=False)
class Pair:
    """A source and a target that have no class in common, and what both are measured by.

    Attributes:
        target: the target image set.
        draws: the few-shot draws of it.
        held_out: rows of its training part that are in no draw's labelled or validation images.
        source: images and labels of the source.
        gan: `gan.safetensors` of the source GAN.
        extractor: gives the features; it has learned from the source and the first draw's validation images.
    """

    target: ImageSet
    draws: Sequence[Draw]
    held_out: npt.NDArray[np.int64]
    source: LabelledImages
    gan: Path
    extractor: Extractor

    def pixels(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Images of the target at the size of the GAN."""
        return fitted(self.target.images[rows], SIZE)

    def inputs(self, draw: Draw) -> TransferInputs:
        """What a strategy may look at."""
        images = self.pixels(draw.labelled)
        return TransferInputs(
            images=images,
            labels=self.target.labels[draw.labelled],
            classes=self.target.classes,
            unlabelled=images[:0],
            source_images=self.source.images,
            source_labels=self.source.labels,
            source_classes=self.source.classes,
            source_gan=self.gan,
            source_classifier=None,
            seed=draw.seed,
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one strategy's GANs draw of the held-out images.

    Attributes:
        covered: bool (draws, held-out images): whether an image is covered (Naeem et al. 2020).
        densities: one number a draw (the same).
        samples: images of the first draw, uint8 (classes, SHOWN, C, S, S).
    """

    covered: npt.NDArray[np.bool_]
    densities: Floats
    samples: npt.NDArray[np.uint8]


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
        f"{LABELLED} labelled images a class, {draws} draws, {SIZE} pixels, {TRANSFER.steps} steps. Coverage is the "
        f"share of {HELD_OUT:,} held-out images that have one of {HELD_OUT:,} generated ones no further than their "
        f"{NEIGHBOURS}th real neighbour, density how deep generated images lie among real ones, in features of the "
        "source classifier after further training with 50 validation images. Intervals of coverage and of ratios: "
        "bootstrap over draws and held-out images; of density: over draws."
    )


def measure(data: Path, scratch: Path, draws: int, on_progress: OnProgress) -> dict[str, dict[str, Outcome]]:
    """What each strategy draws of each target, by target and strategy."""
    for name, file in FILES.items():
        import_images(name, data / file, scratch, on_progress=on_progress)
    for name in (SOURCE, *TARGETS):
        half(*HALVES[name], scratch / name)
    whole = ImageSet.load(scratch / SOURCE)
    source = LabelledImages(fitted(whole.images, SIZE), whole.labels, whole.classes)
    gan = pretrain_source(source.images, source.labels, source.classes, GAN, SEED, scratch / "gan", on_progress)
    classifier = train_source_classifier(
        source.images, source.labels, source.classes, CLASSIFIER, SEED, scratch / "classifier", on_progress
    )
    outcomes: dict[str, dict[str, Outcome]] = {}
    for name in TARGETS:
        pair = _pair(ImageSet.load(scratch / name), source, gan, classifier, draws)
        outcomes[name] = {AUGMENTED: augmented(pair)}
        for label, strategy in STRATEGIES.items():
            note(f"{TARGETS[name]}: {label}")
            outcomes[name][label] = outcome(pair, strategy, scratch / name / "gans" / label, on_progress)
    return outcomes


def _pair(target: ImageSet, source: LabelledImages, gan: Path, classifier: Path, draws: int) -> Pair:
    made = make_draws(
        target,
        labelled_per_class=LABELLED,
        validation_per_class=LABELLED,
        test_fraction=0.5,
        draws=draws,
        seed=SEED,
    )
    seen = np.concatenate([part for draw in made for part in (draw.labelled, draw.validation)])
    unseen = np.setdiff1d(made[0].unlabelled, seen)
    held_out = np.sort(np.random.default_rng(SEED).permutation(unseen)[:HELD_OUT])
    validation = made[0].validation
    known = LabelledImages(fitted(target.images[validation], SIZE), target.labels[validation], target.classes)
    extractor = train_extractor(load_classifier(classifier)[0], source, known, CLASSIFIER, SEED)
    return Pair(target, made, held_out, source, gan, extractor)


def outcome(pair: Pair, strategy: WeightStrategyConfig, folder: Path, on_progress: OnProgress) -> Outcome:
    """Transfers to every draw, and looks what the averaged generators draw."""
    made = []
    for index, draw in enumerate(pair.draws):
        path = transfer(strategy, pair.inputs(draw), GAN, TRANSFER, folder / str(index), on_progress)
        made.append(sample(GanCheckpoint.load(path), HELD_OUT // len(pair.target.classes), draw.seed)[0])
    return judged(pair, made)


def augmented(pair: Pair) -> Outcome:
    """Looks what the labelled images are worth with classical augmentation and no GAN."""
    made = []
    for draw in pair.draws:
        ordered = draw.labelled[np.argsort(pair.target.labels[draw.labelled], kind="stable")]
        copies = np.repeat(pair.pixels(ordered), HELD_OUT // len(ordered), axis=0)
        random = torch.Generator().manual_seed(draw.seed)
        made.append(to_uint8(augment(to_unit_range(torch.from_numpy(copies)), random)).numpy())
    return judged(pair, made)


def judged(pair: Pair, made: Sequence[npt.NDArray[np.uint8]]) -> Outcome:
    """Compares what was made for each draw, uint8 (HELD_OUT, C, S, S) in the order of classes, with the real images."""
    real = pair.extractor.features(pair.pixels(pair.held_out))
    radii = nearest(real, real, NEIGHBOURS, exclude_self=True)[0][:, -1]
    covered, densities = [], []
    for images in made:
        features = pair.extractor.features(images)
        covered.append(nearest(real, features, 1)[0][:, 0] <= radii)
        densities.append(manifold(real, features).density)
    of_classes = made[0].reshape(len(pair.target.classes), -1, *made[0].shape[1:])
    return Outcome(np.array(covered), np.array(densities), of_classes[:, :SHOWN])


def measures(target: str, outcomes: Mapping[str, Outcome]) -> list[Measure]:
    """The rows of one target."""
    rows = []
    for label, made in outcomes.items():

        def add(what: str, unit: str, ratio: tuple[float, float, float], goal: str = "", name: str = label) -> None:
            rows.append(Measure(f"{target}, {name}: {what}", *ratio, unit, len(outcomes[name].densities), goal))

        add("coverage", "%", _ratio(100.0 * made.covered))
        add("density", "", _ratio(made.densities[:, None]))
        if label not in (AUGMENTED, *BASELINES):
            for other, goal in BASELINES.items():
                add(f"coverage over that of {other}", "times", _ratio(made.covered, outcomes[other].covered), goal)
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
    """Draws what fine-tuning (left) and class mixing (right) make of the first draw: a row a class."""
    chosen = ("finetune", "class_mixing, nearest start")
    rows: list[Any] = []
    for of_target in outcomes.values():
        sides = [of_target[label].samples for label in chosen]
        gap = np.full_like(sides[0][:, :1], 128)
        rows.append(np.concatenate([sides[0], gap, sides[1]], axis=1))
    sheet = np.concatenate(rows)
    save_png(path, contact_sheet(sheet.reshape(-1, *sheet.shape[2:]), columns=sheet.shape[1], scale=2))


if __name__ == "__main__":
    main()
