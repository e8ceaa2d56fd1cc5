"""How often new images are said to have drifted where nothing has changed, and where something has, by simulation.

The images are the embedded handwritten digits, 1,797 of them, or those of `--images`. Each split deals them at random
into a reference, five ninths of them and at most 2,000, and a pool that is held out; a small classifier learns from ten
images a class of the reference, and these are left out of it, as a champion's are where enough others are there.
Windows are dealt from the pool in random order, one after the other as they would arrive. Every image of a window is
left as it is, or changed in one way: darker or brighter (what gets brighter than white stays white), blurred (Gaussian,
half a pixel), or noisy (normal, 5 % of the range).

The thresholds are those that an experiment has by itself (`alpha` 0.05 over all tests of a window, `effect` 0.2): the
first is the rate of false alarms that was asked for, the second a shift of a normal property by half a standard
deviation, which Cohen (1988) calls medium. Neither was chosen by what is printed here.

Prints, for every size of a window, the share of windows that are said to have drifted, and how often two in a row are,
which is what it takes before anything follows. Without a change that should be 5 % at most; of 20 % darker or brighter
windows of 200 images, 95 % at least should be found.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.config import ClassifierConfig, DriftConfig
from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.importing import import_images
from gtl_core.metrics.drift import MOST, Lens, Sample, blocks, detect, every, observe, unlearned
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import new_classifier, save_classifier, train_classifier

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

STEPS = 150


def _blurred(images: Images, rng: np.random.Generator) -> Images:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images.astype(np.float64), (0, 0, 0.5, 0.5)).round().astype(np.uint8)


def _scaled(factor: float) -> Callable[[Images, np.random.Generator], Images]:
    return lambda images, rng: np.clip((images * factor).round(), 0, 255).astype(np.uint8)


def _noisy(images: Images, rng: np.random.Generator) -> Images:
    return np.clip((images + rng.normal(0, 0.05 * 255, images.shape)).round(), 0, 255).astype(np.uint8)


CHANGES: Mapping[str, Callable[[Images, np.random.Generator], Images]] = {
    "none": lambda images, rng: images,
    "5 % darker": _scaled(0.95),
    "10 % darker": _scaled(0.9),
    "20 % darker": _scaled(0.8),
    "20 % brighter": _scaled(1.2),
    "blurred": _blurred,
    "noisy": _noisy,
}


def main() -> None:
    """Prints a row for every change and every size of a window."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--windows", type=int, default=600, help="of each size, without a change")
    parser.add_argument("--changed", type=int, default=160, help="of each size, with each change")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--labelled", type=int, default=10, help="images a class that the classifier learns from")
    parser.add_argument("--images", type=Path, help="other images, of a layout that gtl data import reads")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-drift-") as scratch:
        if options.images:
            whole = import_images("images", options.images, Path(scratch))
        else:
            EMBEDDED["handwritten-digits"](Path(scratch) / "images")
            whole = ImageSet.load(Path(scratch) / "images")
        found: dict[tuple[str, int], list[list[bool]]] = {}
        for split in range(options.splits):
            rng = np.random.default_rng(split)
            order = rng.permutation(len(whole))
            of_reference = min(MOST, 5 * len(whole) // 9)
            known, pool = order[:of_reference], order[of_reference:]
            lens, learned = champion(whole, known, options.labelled, split, Path(scratch))
            reference = observe(blocks(whole.images, unlearned(known, learned)), lens)
            for change, changed in CHANGES.items():
                images = changed(np.array(whole.images[pool]), rng)
                sample = observe(blocks(images, every(images)), lens)
                wanted = -(-(options.changed if change != "none" else options.windows) // options.splits)
                for size in options.sizes:
                    series = found.setdefault((change, size), [])
                    series += dealt(reference, sample, size, wanted, rng)
    print("| change | images in a window | windows | drifted % | two in a row % |")
    print("|---|---|---|---|---|")
    for (change, size), series in found.items():
        single = [drifted for windows in series for drifted in windows]
        double = [first and second for windows in series for first, second in pairwise(windows)]
        if double:
            print(f"| {change} | {size} | {len(single)} | {100 * np.mean(single):.1f} | {100 * np.mean(double):.1f} |")


def champion(images: ImageSet, known: Rows, labelled: int, seed: int, scratch: Path) -> tuple[Lens, Rows]:
    """A classifier that has learned from a few images of each class of the reference; and which these are."""
    labels, size = images.labels[known], 4 * (min(max(images.size, 16), 32) // 4)
    learned = np.concatenate([known[labels == label][:labelled] for label in range(len(images.classes))])
    start = new_classifier(size=size, channels=images.channels, width=16, classes=len(images.classes), seed=seed)
    pool = Pool(fitted(images.images[learned], size), images.labels[learned], 1.0)
    config = ClassifierConfig(width=16, batch=32)
    model = train_classifier(start, [pool], config, steps=STEPS, learning_rate=2e-3, augmented=True, seed=seed)
    path = scratch / f"{seed}.safetensors"
    save_classifier(path, model, images.classes)
    return Lens.load(path, f"split {seed}"), learned


def dealt(reference: Sample, pool: Sample, size: int, count: int, rng: np.random.Generator) -> Iterator[list[bool]]:
    """Whether windows have drifted that are dealt from a pool, `count` of them, in series of as many as it holds."""
    settings = DriftConfig(incoming="")
    done = 0
    while done < count:
        order = rng.permutation(len(pool))
        series = []
        for start in range(0, len(pool) - size + 1, size)[: count - done]:
            window = rows(pool, order[start : start + size])
            tests = detect(reference, window, alpha=settings.alpha, threshold=settings.effect, seed=done)
            series.append(any(test.drifted for test in tests))
            done += 1
        yield series


def rows(sample: Sample, chosen: Rows) -> Sample:
    """Some rows of a sample."""
    return Sample(
        {name: values[chosen] for name, values in sample.properties.items()},
        sample.classes,
        sample.probabilities[chosen],
        sample.features[chosen],
        sample.pictures[chosen],
    )


if __name__ == "__main__":
    main()
