"""Style transfer: what pictures keep of their content, and how far they come towards the look that was wanted.

    python -m benchmarks.stylisation [--data FOLDER] [--json]

MNIST takes on the look of USPS, by both methods of `gtl stylise`, on digits that neither has seen. Records its rows in
docs/measures.json and writes docs/stylised.png.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from benchmarks.measures import DOCS, Measure, options, record, show
from gtl_core.config import ClassifierConfig
from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.importing import import_images
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.metrics.features import Extractor
from gtl_core.metrics.sliced_wasserstein import sliced_wasserstein
from gtl_core.metrics.style import content_kept, look
from gtl_core.progress import OnProgress
from gtl_core.synthesis.stylise import Method, apply, train
from gtl_core.training.classifier import load_classifier, predict, train_source_classifier
from pipelines.cli.progress import terminal_progress

Images = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]

TOPIC = "style transfer"
SIZE = 28
LEARNED, MEASURED = 800, 300
"""Images of each side that the methods learn from, and others that everything is measured on."""
RESAMPLES = 200
PROTOCOL = """\
Content: MNIST's official test images, drawn at random; style: USPS, at 28 pixels, of its official training part to
learn from and of its test part to measure with. {learned} images of each side to learn from, without labels, and
{measured} others of each side for all numbers; the settings are those of gtl stylise. Style: sliced Wasserstein
distance between means, deviations and correlations of what fixed filters see (gtl_core/metrics/style.py); the floor
is that of one half of the wanted images from the other. Content by edges: how much of the gradients stands where it
stood, 1 for all and 0 for what different images share. Content by features: the same of the features of a frozen
classifier that has learned neither side (scikit-learn's 1,797 handwritten digits, 500 steps), and which share of the
digits that classifier reads rightly. Intervals: bootstrap over images, {resamples} resamples."""


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = options(__doc__)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-stylisation-") as scratch, terminal_progress() as on_progress:
        measures = measure(given.data, Path(scratch), on_progress)
    about = {"learned": LEARNED, "measured": MEASURED, "resamples": RESAMPLES}
    protocol = " ".join(PROTOCOL.split()).format(**about)
    record(TOPIC, measures, protocol=protocol, command="python -m benchmarks.stylisation")
    show(measures, as_json=given.json)


def measure(data: Path, scratch: Path, on_progress: OnProgress) -> list[Measure]:
    """All rows of both methods."""
    mnist = import_images("mnist", data / "mnist", scratch)
    usps = import_images("usps", data / "usps.npz", scratch)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(mnist))
    content, held = np.array(mnist.images[order[:LEARNED]]), order[LEARNED:][:MEASURED]
    style, wanted = (
        fitted(usps.images[rng.permutation(usps.indices(part))[:count]], SIZE)
        for part, count in (("train", LEARNED), ("test", MEASURED))
    )
    originals, labels = np.array(mnist.images[held]), mnist.labels[held]
    reader = _reader(scratch, on_progress)
    pictures = [originals]
    rows = [_share("content: read rightly as they were", reader, originals, labels)]
    halves = np.array_split(look(wanted), 2)
    rows.append(_style("style: floor, one half of the wanted images from the other", halves[0], halves[1], wanted))
    rows.append(_style("style: distance as they were", look(originals), look(wanted), wanted))
    for method in get_args(Method):
        path = train(method, content, style, seed=0, folder=scratch / method, on_progress=on_progress)
        made = apply(path, originals, wanted, seed=0).images
        pictures.append(made)
        rows += [
            _style(f"style: distance after {method}", look(made), look(wanted), wanted, "below as they were"),
            _mean(f"content by edges: kept by {method}", content_kept(originals, made)),
            _mean(f"content by features: kept by {method}", _features_kept(reader, originals, made)),
            _share(f"content: read rightly after {method}", reader, made, labels),
        ]
    save_png(
        DOCS / "stylised.png",
        contact_sheet(np.concatenate([part[:16] for part in (*pictures, wanted)]), columns=16, scale=2),
    )
    return rows


def _reader(scratch: Path, on_progress: OnProgress) -> Path:
    """A classifier of digits that are of neither side."""
    EMBEDDED["handwritten-digits"](scratch / "others")
    others = ImageSet.load(scratch / "others")
    images, config = fitted(others.images, SIZE), ClassifierConfig(source_steps=500)
    return train_source_classifier(images, others.labels, others.classes, config, 0, scratch / "reader", on_progress)


def _features_kept(reader: Path, originals: Images, made: Images) -> Values:
    """Cosine between the features of each image before and after, less what it is between different images."""
    extractor = Extractor(load_classifier(reader)[0], "other digits")
    before, after = (
        features - features.mean(axis=0)
        for features in (extractor.features(originals).astype(np.float64), extractor.features(made).astype(np.float64))
    )
    before /= np.linalg.norm(before, axis=1, keepdims=True)
    after /= np.linalg.norm(after, axis=1, keepdims=True)
    chance = float((before * np.roll(before, 1, axis=0)).sum(axis=1).mean())
    return ((before * after).sum(axis=1) - chance) / (1.0 - chance)


def _share(what: str, reader: Path, images: Images, labels: npt.NDArray[np.int64]) -> Measure:
    model, _ = load_classifier(reader)
    right = predict(model, images).argmax(axis=1) == labels
    return _row(what, lambda rows: 100.0 * float(right[rows].mean()), "%", len(images))


def _mean(what: str, values: Values) -> Measure:
    return _row(what, lambda rows: float(values[rows].mean()), "", len(values))


def _style(what: str, looks: Values, goal: Values, wanted: Images, hope: str = "") -> Measure:
    """Distance of looks from those wanted, in units of the spread of the wanted ones."""
    spread = look(wanted).std(axis=0) + 1e-9

    def distance(rows: npt.NDArray[np.int64]) -> float:
        return sliced_wasserstein(looks[rows] / spread, goal / spread, 0)

    return _row(what, distance, "", len(looks), hope)


def _row(
    what: str, statistic: Callable[[npt.NDArray[np.int64]], float], unit: str, count: int, goal: str = ""
) -> Measure:
    """A statistic of rows with its bootstrap interval."""
    rng = np.random.default_rng(0)
    resampled = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Measure(what, statistic(np.arange(count)), float(low), float(high), unit, count, goal)


if __name__ == "__main__":
    main()
