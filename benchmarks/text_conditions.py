"""Whether a GAN that is told classes by texts draws combinations of attributes that it never saw.

    python -m benchmarks.text_conditions [--data FOLDER] [--seeds N] [--json]

Handwritten digits in four colours, thin or thick: of every digit one colour is never shown to the GAN. Records its rows
in docs/measures.json, and writes docs/text_conditions.png.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.measures import DOCS, Measure, options, record, show
from gtl_core.config import ClassifierConfig, GanConfig
from gtl_core.data.image_set import fitted
from gtl_core.data.importing import import_images
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.evaluation.statistics import two_level_bootstrap
from gtl_core.progress import OnProgress
from gtl_core.synthesis.imagining import imagine
from gtl_core.synthesis.sampling import drawn
from gtl_core.training.batches import Pool
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import ClassTexts
from gtl_core.training.classifier import new_classifier, predict, train_classifier
from gtl_core.training.runtime import device
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.pretrain import pretrain_source
from pipelines.cli.output import note
from pipelines.cli.progress import terminal_progress

if TYPE_CHECKING:
    from PIL.Image import Image

TOPIC = "text conditions"
SIZE = 16
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = {"red": (255, 40, 40), "green": (40, 255, 40), "blue": (70, 70, 255), "yellow": (255, 255, 40)}
WIDTHS = ("thin", "thick")
ATTRIBUTES = ("width", "colour", "digit")
COMBINATIONS = list(product(range(len(WIDTHS)), range(len(COLOURS)), range(len(WORDS))))
MIDDLE = 0.2
"""Share of the digits whose strokes are neither thin nor thick, which are left out."""
FOR_GAN, FOR_JUDGES = 0.7, 0.95
"""Up to where the shuffled images are the GAN's, and up to where the judges'; the rest shows how right these are."""
PER_TEXT = 50
GAN = GanConfig(
    width=16,
    latent=64,
    steps=1500,
    learning_rate_generator=1e-3,
    learning_rate_discriminator=3e-3,
    checkpoint_every=1000,
)
"""Three times the usual learning rates, because the training is short."""
JUDGE = ClassifierConfig(width=16, steps=400)
RESAMPLES = 2000
SHOWN = ((1, 1, 4), (0, 3, 6), (1, 2, 5), (0, 0, 7), (1, 0, 4), (0, 2, 6), (1, 1, 5), (0, 3, 7))
"""Combinations in the rows of the picture; with seed 0 the first half is seen, and the second is not."""
PROTOCOL = """\
MNIST's 10,000 official test images at 16 pixels, each tinted in one of four colours at random; the tenth of them on
either side of the median stroke width is left out, and the others are thin or thick: 80 combinations with texts such as
"a thick red seven". Of every digit one colour, another one with each seed, is never shown to the GANs: 60 combinations
to learn from, 20 to ask for. Both GANs (dcgan, width 16, 1,500 steps of 64) see the same images. One is told classes by
texts, hashed; the other has free embeddings, and a combination that it never saw gets random ones like those of the
classes that it knows. {per_text} images of every combination are judged by three classifiers trained on other real
images of all combinations, one for each attribute. {seeds} seeds; intervals over seeds and combinations."""


@dataclass(frozen=True, eq=False)
class Tinted:
    """Real images and their attributes.

    Attributes:
        images: uint8 (N, 3, S, S).
        attributes: int64 (N, 3), places in `WIDTHS`, `COLOURS` and `WORDS`.
    """

    images: npt.NDArray[np.uint8]
    attributes: npt.NDArray[np.int64]

    def part(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Tinted:
        """Some of them."""
        return Tinted(self.images[rows], self.attributes[rows])


@dataclass(frozen=True, eq=False)
class Shares:
    """How often what was asked for was drawn.

    Attributes:
        right: float (G,), the share in each of some groups of images.
        images: how many there were in all groups.
    """

    right: npt.NDArray[np.float64]
    images: int


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how often all is repeated, with other colours left out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-texts-") as scratch, terminal_progress() as on_progress:
        digits = import_images("mnist", given.data / "mnist", Path(scratch))
        shares: list[dict[str, Shares]] = []
        for seed in range(given.seeds):
            told, found = measure(np.array(digits.images), digits.labels, seed, Path(scratch), on_progress)
            shares.append(found)
            note(
                f"seed {seed}: " + ", ".join(f"{name} {100 * each.right.mean():.1f} %" for name, each in found.items())
            )
            if not seed:
                save_png(DOCS / "text_conditions.png", picture(told, seed))
    measures = [estimated(name, [found[name] for found in shares]) for name in shares[0]]
    protocol = " ".join(PROTOCOL.split()).format(per_text=PER_TEXT, seeds=given.seeds)
    record(TOPIC, measures, protocol=protocol, command="python -m benchmarks.text_conditions")
    show(measures, as_json=given.json)


def measure(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], seed: int, folder: Path, on_progress: OnProgress
) -> tuple[GanCheckpoint, dict[str, Shares]]:
    """The GAN that is told classes by texts, and by what was asked for: the shares of right images."""
    real = tinted(images, labels, seed)
    ends = [round(share * len(real.images)) for share in (FOR_GAN, FOR_JUDGES)]
    own, judged, rest = (real.part(rows) for rows in np.split(np.arange(len(real.images)), ends))
    judges = [judge(judged, place, seed) for place in range(len(ATTRIBUTES))]

    seen = [combination for combination in COMBINATIONS if not left_out(combination, seed)]
    unseen = [combination for combination in COMBINATIONS if left_out(combination, seed)]
    label_of = {combination: label for label, combination in enumerate(seen)}
    known = own.part(np.array([tuple(row) in label_of for row in own.attributes.tolist()]))
    known_labels = np.array([label_of[tuple(row)] for row in known.attributes.tolist()], dtype=np.int64)
    names, texts = tuple(map(text_of, seen)), ClassTexts(tuple(map(text_of, seen)))
    learned = (known.images, known_labels, names, GAN, seed)
    told = GanCheckpoint.load(pretrain_source(*learned, folder / f"text-{seed}", on_progress, texts))
    free = GanCheckpoint.load(pretrain_source(*learned, folder / f"class-{seed}", on_progress))

    of_texts, of_classes = {}, of_rows(carried_over(free, tuple(map(text_of, COMBINATIONS)), seed), seed)
    for combination in COMBINATIONS:
        of_texts[combination] = imagine(told, text_of(combination), PER_TEXT, seed)
    shares = {
        "text, combinations never seen: all three attributes right": right(of_texts, unseen, judges),
        "text, combinations seen: all three attributes right": right(of_texts, seen, judges),
        "free embeddings, combinations never seen: all three attributes right": right(of_classes, unseen, judges),
        "free embeddings, combinations seen: all three attributes right": right(of_classes, seen, judges),
    }
    for place, attribute in enumerate(ATTRIBUTES):
        shares[f"text, combinations never seen: {attribute} right"] = right(of_texts, unseen, judges, [place])
    shares["real images that no judge has seen: all three attributes right"] = right_of_real(rest, judges)
    return told, shares


def tinted(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], seed: int) -> Tinted:
    """Real digits in random order and colours, without those whose strokes are neither thin nor thick."""
    random = np.random.default_rng(seed)
    strokes = stroke_widths(images)
    thin, thick = np.quantile(strokes, [0.5 - MIDDLE / 2, 0.5 + MIDDLE / 2])
    rows = random.permutation(np.flatnonzero((strokes <= thin) | (strokes >= thick)))
    colours = random.integers(len(COLOURS), size=len(rows))
    tints = np.array(list(COLOURS.values()), dtype=np.float64)[colours] / 255
    grey = fitted(images[rows], SIZE).astype(np.float64)
    attributes = np.stack([strokes[rows] >= thick, colours, labels[rows]], axis=1).astype(np.int64)
    return Tinted((grey * tints[:, :, None, None]).round().astype(np.uint8), attributes)


def stroke_widths(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean width of the strokes in pixels: across one of width w ink lies w/4 + 1/2 from its edge on average."""
    from scipy.ndimage import distance_transform_edt

    inks = images[:, 0] > 127
    return np.array([4 * distance_transform_edt(ink)[ink].mean() - 2 for ink in inks])


def left_out(combination: tuple[int, int, int], seed: int) -> bool:
    """Whether the GANs never see it: of every digit one colour, in both widths."""
    _, colour, digit = combination
    return colour == (digit + seed) % len(COLOURS)


def text_of(combination: tuple[int, int, int]) -> str:
    """How it is asked for."""
    width, colour, digit = combination
    return f"a {WIDTHS[width]} {list(COLOURS)[colour]} {WORDS[digit]}"


def judge(real: Tinted, place: int, seed: int) -> Any:
    """A classifier of one attribute."""
    labels = real.attributes[:, place]
    start = new_classifier(size=SIZE, channels=3, width=JUDGE.width, classes=int(labels.max()) + 1, seed=seed)
    pools = [Pool(real.images, labels, 1.0)]
    rate = JUDGE.learning_rate
    return train_classifier(start, pools, JUDGE, steps=JUDGE.steps, learning_rate=rate, augmented=False, seed=seed)


def of_rows(gan: GanCheckpoint, seed: int) -> dict[tuple[int, int, int], npt.NDArray[np.uint8]]:
    """Images of every combination by a GAN that has a label for each."""
    import torch

    place, generator = device(), gan.averaged_generator()
    latents = torch.randn((PER_TEXT, gan.spec.latent), generator=torch.Generator().manual_seed(seed))
    return {
        combination: np.concatenate([images for images, _ in drawn(generator, latents, labels, place)])
        for label, combination in enumerate(COMBINATIONS)
        for labels in [torch.full((PER_TEXT,), label)]
    }


def right(
    made: Mapping[tuple[int, int, int], npt.NDArray[np.uint8]],
    asked: Sequence[tuple[int, int, int]],
    judges: Sequence[Any],
    places: Sequence[int] = range(len(ATTRIBUTES)),
) -> Shares:
    """Shares of the images whose attributes at `places` are as asked, for each combination."""
    shares = []
    for combination in asked:
        agree = [predict(judges[place], made[combination]).argmax(axis=1) == combination[place] for place in places]
        shares.append(np.all(agree, axis=0).mean())
    return Shares(np.array(shares), PER_TEXT * len(asked))


def right_of_real(real: Tinted, judges: Sequence[Any]) -> Shares:
    """The same of real images, for each digit, so that there are as many shares with every seed."""
    read = np.stack([predict(model, real.images).argmax(axis=1) for model in judges], axis=1)
    agree = (read == real.attributes).all(axis=1)
    right = np.array([agree[real.attributes[:, 2] == digit].mean() for digit in range(len(WORDS))])
    return Shares(right, len(agree))


def estimated(what: str, shares: Sequence[Shares]) -> Measure:
    """The mean over seeds and combinations, in percent, with its interval."""
    outcomes = np.stack([each.right for each in shares])
    weights = np.full(outcomes.shape[1], 1 / outcomes.shape[1])
    found = two_level_bootstrap(outcomes, weights, None, resamples=RESAMPLES, seed=0, bounds=(0.0, 1.0))
    goal = "far above free embeddings" if what.startswith("text, combinations never seen: all") else ""
    value, low, high = (100 * part for part in (found.value, found.low, found.high))
    return Measure(what, value, low, high, "%", sum(each.images for each in shares), goal)


def picture(gan: GanCheckpoint, seed: int) -> Image:
    """Rows of texts and what was drawn of them: above combinations that were seen, below some that never were."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    columns, margin = 9, 275
    made = np.concatenate([imagine(gan, text_of(each), columns, seed) for each in SHOWN])
    sheet = contact_sheet(made, columns)
    whole = Pillow.new("RGB", (sheet.width + margin, sheet.height), "white")
    whole.paste(sheet, (margin, 0))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(17)
    step = sheet.height / len(SHOWN)
    for row, each in enumerate(SHOWN):
        said = text_of(each) + (" (never seen)" if left_out(each, seed) else "")
        pen.text((8, (row + 0.5) * step), said, fill="black", font=font, anchor="lm")
    return whole


if __name__ == "__main__":
    main()
