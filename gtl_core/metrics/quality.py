"""Everything that is measured of the synthetic images of an experiment, in one file of numbers and one of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.errors import InputError
from gtl_core.files import atomic_path, write_json
from gtl_core.metrics.distribution import MOST, per_class, summary
from gtl_core.metrics.frechet import frechet_distance
from gtl_core.metrics.manifold import NEIGHBOURS, manifold, realism
from gtl_core.metrics.memorisation import Memorised, Seen, count_exact_copies, memorised
from gtl_core.metrics.neighbours import nearest
from gtl_core.metrics.screening import screening
from gtl_core.metrics.shares import class_shares, group_shares
from gtl_core.metrics.trajectory import class_walk, milestones, sample, usefulness
from gtl_core.metrics.yardstick import Features, Images, Rows, Yardstick
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.runtime import suitable_threads

NUMBERS, PICTURES = "quality.json", "quality.npz"

_NEIGHBOURS_SHOWN = 10
_EXAMPLES = 8
_NO_LABELS = "there are no labelled target images"


def measure(
    experiment: Experiment,
    *,
    source: Path,
    target: Path,
    draws: Sequence[Draw],
    source_classifier: Path,
    synthetic: Mapping[str, Sequence[Path]],
    gans: Mapping[str, Sequence[Path]],
    failures: Mapping[str, str],
    folder: Path,
    on_progress: OnProgress = silent,
) -> None:
    """Measures the synthetic images of every strategy, and writes `quality.json`, `quality.npz` and a few pictures.

    What cannot be measured stands in `missing` with its reason, and the rest is made. No test image is looked at: real
    images are those of each draw's validation and unlabelled parts. Labels of unlabelled images are read where the
    experiment has labels, for tables by class alone.

    Args:
        experiment: the experiment.
        source: folder of the source image set.
        target: folder of the target image set.
        draws: few-shot draws of the target.
        source_classifier: weight file that the extractor starts from.
        synthetic: for each strategy the synthetic sets' folders, one a draw.
        gans: for each strategy the files `gan.safetensors`, one a draw.
        failures: strategies that made no images, with the reason.
        folder: where the two files are put, and for each strategy `neighbours-NAME.png` (rows: synthetic images, the
            training images nearest to them, the held-out images nearest to them) and `walk-NAME.png` (from one class
            to another, a row for each milestone of the training).
        on_progress: told how many of the sets are measured.
    """
    missing = _Missing({label: f"it made no images: {reason}" for label, reason in failures.items()})
    content: dict[str, Any] = {"extractor": None, "reference": None, "metrics": [], "strategies": {}}
    pictures: dict[str, Any] = {}
    with suitable_threads(experiment.image.size), missing.unless("everything"):
        yardstick = Yardstick(experiment, source, target, draws, source_classifier)
        sets = {label: _Strategy(label, yardstick, synthetic[label], gans[label], missing) for label in synthetic}
        yardstick.most = min([MOST, *(len(made) for strategy in sets.values() for made in strategy.sets)])
        content |= {"extractor": yardstick.extractor.describe(), "reference": yardstick.describe()}
        with missing.unless("floor and ceiling"):
            content["metrics"] = yardstick.metrics()
        plane = yardstick.plane({label: strategy.features[0] for label, strategy in sets.items() if strategy.sets})
        pictures |= {f"pca/{name}": points for name, points in plane.items()}
        for index, (label, strategy) in enumerate(sets.items()):
            on_progress(Progress("synthetic_quality", index, len(sets)))
            content["strategies"][label] = strategy.numbers()
            pictures |= strategy.pictures()
        on_progress(Progress("synthetic_quality", len(sets), len(sets)))
    write_json(folder / NUMBERS, {**content, "missing": dict(missing)})
    with atomic_path(folder / PICTURES) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **pictures)
    for name, images in pictures.items():
        part, _, label = name.partition("/")
        if part == "neighbours":
            _save_sheet(folder / f"neighbours-{label}.png", images.swapaxes(0, 1))
        elif part == "walk":
            _save_sheet(folder / f"walk-{label}.png", images)


def _save_sheet(path: Path, images: Images) -> None:
    """Draws images uint8 (rows, columns, C, S, S)."""
    save_png(path, contact_sheet(images.reshape(-1, *images.shape[2:]), columns=images.shape[1]))


class _Missing(dict[str, str]):
    """Parts that could not be made, and why."""

    @contextmanager
    def unless(self, part: str) -> Iterator[None]:
        """Notes why the block could not make a part; the rest goes on."""
        try:
            yield
        except InputError as error:
            self[part] = str(error)


class _Strategy:
    """The synthetic images of one strategy, a set a draw.

    Attributes:
        sets: images uint8 (M, C, S, S) of each draw.
        features: their features (M, F).
    """

    def __init__(
        self, label: str, yardstick: Yardstick, folders: Sequence[Path], gans: Sequence[Path], missing: _Missing
    ) -> None:
        self._label, self._yardstick, self._gans, self._missing = label, yardstick, gans, missing
        self.sets: list[Images] = []
        self.features: list[Features] = []
        self._labels: list[Rows] = []
        with missing.unless(f"{label}: synthetic images"):
            asked = yardstick.experiment.synthesis.per_class * len(yardstick.target.classes)
            for index, folder in enumerate(folders):
                made = ImageSet.load(folder)
                self.features.append(yardstick.extractor.features(np.array(made.images)))
                self.sets.append(np.array(made.images))
                self._labels.append(made.labels)
                if len(made) < asked:
                    missing[f"{label}: images of draw {index}"] = (
                        f"{len(made)} of {asked} synthetic images that were asked for; all that there are were measured"
                    )

    @cached_property
    def _memorised(self) -> list[Memorised]:
        """What each draw's generator gives away."""
        return [self._memorised_of(index) for index in range(len(self.sets))]

    def numbers(self) -> dict[str, Any]:
        """What `quality.json` says of the strategy; parts that cannot be made are empty."""
        found: dict[str, Any] = {"overall": {}, "per_class": {}, "memorisation": None, "shares": {}, "trajectory": []}
        if len(self.sets) < len(self._yardstick.draws):
            return found
        with self._unless("overall"):
            drawn = range(len(self.sets))
            found["overall"] = summary([self._yardstick.halves(i).against(self.features[i]) for i in drawn])
        found["per_class"] = self._per_class()
        with self._unless("memorisation"):
            found["memorisation"] = asdict(screening(self._memorised))
        found["shares"] = self._shares()
        with self._unless("trajectory"):
            found["trajectory"] = self._trajectory()
        return found

    def pictures(self) -> dict[str, npt.NDArray[Any]]:
        """What `quality.npz` shows of the strategy: the first draw."""
        found: dict[str, npt.NDArray[Any]] = {}
        if not self.sets:
            return found
        label = self._label
        with self._unless("nearest neighbours"):
            found[f"neighbours/{label}"], found[f"neighbour_distances/{label}"] = self._neighbours()
            found[f"distances_train/{label}"] = self._memorised[0].distances_train
            found[f"distances_held_out/{label}"] = self._memorised[0].distances_held_out
        with self._unless("examples"):
            found[f"examples/{label}"] = self._examples()
        with self._unless("walk"):
            if len(self._yardstick.target.classes) < 2:
                raise InputError("a walk between classes needs two of them")
            found[f"walk/{label}"] = class_walk(self._checkpoints, (0, 1), self._yardstick.draws[0].seed)
        return found

    def _unless(self, part: str) -> Any:
        return self._missing.unless(f"{self._label}: {part}")

    def _per_class(self) -> dict[str, dict[str, float]]:
        """Mean over the draws of every class's metrics; classes that a draw cannot compare are left out."""
        yardstick, tables = self._yardstick, []
        for index, features in enumerate(self.features):
            rows = yardstick.reference(index)
            real_labels = yardstick.labels(rows)
            if real_labels is None:
                self._missing["metrics of each class"] = _NO_LABELS
                return {}
            values, reasons = per_class(
                yardstick.features(rows),
                real_labels,
                features,
                self._labels[index],
                yardstick.target.classes,
                yardstick.draws[index].seed,
            )
            tables.append(values)
            self._missing.update({f"{self._label}: class {name}": reason for name, reason in reasons.items()})
        shared = [name for name in tables[0] if all(name in table for table in tables)]
        return {
            name: {key: float(np.mean([table[name][key] for table in tables])) for key in tables[0][name]}
            for name in shared
        }

    def _memorised_of(self, index: int) -> Memorised:
        yardstick = self._yardstick
        train, held_out = yardstick.train(index), yardstick.held_out(index)
        carried = _carried(GanCheckpoint.load(self._gans[index]))
        carried = carried if len(carried) else self.sets[index][:0]
        seen = Seen(
            synthetic=self.features[index],
            train=yardstick.features(train),
            held_out=yardstick.features(held_out),
            carried=yardstick.extractor.features(carried),
            train_labels=yardstick.labels(train),
            held_out_labels=yardstick.labels(held_out),
        )
        exact = count_exact_copies(self.sets[index], yardstick.pixels(train), carried)
        return memorised(seen, exact, yardstick.draws[index].seed)

    def _shares(self) -> dict[str, Any]:
        """Class and group shares of the first draw."""
        yardstick = self._yardstick
        rows = yardstick.reference(0)
        found: dict[str, Any] = {}
        labels = yardstick.labels(rows)
        if labels is None:
            self._missing["shares of classes"] = _NO_LABELS
        else:
            shares = class_shares(labels, self._labels[0], yardstick.target.classes)
            found["class"] = {name: asdict(share) for name, share in shares.items()}
        groups = yardstick.target.manifest["group"].to_numpy(dtype=str)[rows]
        by_group = group_shares(yardstick.features(rows), groups, self.features[0])
        if not by_group:
            self._missing["shares of groups"] = "no image of the target says which group it belongs to"
        else:
            found["group"] = {name: asdict(share) for name, share in by_group.items()}
        return found

    @cached_property
    def _checkpoints(self) -> list[GanCheckpoint]:
        """The generator of the first draw along its training."""
        return milestones(self._gans[0])

    def _trajectory(self) -> list[dict[str, Any]]:
        """Distance and usefulness of the first draw's generator along its training."""
        yardstick, draw = self._yardstick, self._yardstick.draws[0]
        if not self._checkpoints[-1].step:
            raise InputError("its generator made no step on the target, so there is no way to look back on")
        if len(self._checkpoints) < 2:
            raise InputError("its training kept no milestones; train it anew to see them")
        halves, classes = yardstick.halves(0), len(yardstick.target.classes)
        each = -(-len(halves.first) // classes)
        known = yardstick.labels(draw.validation)
        if known is None:
            self._missing["usefulness along the training"] = _NO_LABELS
        rows = []
        for checkpoint in self._checkpoints:
            images, labels = sample(checkpoint, each, draw.seed)
            pairs = halves.pairs(yardstick.extractor.features(images))
            worth = None
            if known is not None:
                pixels = yardstick.pixels(draw.validation)
                worth = usefulness(images, labels, pixels, known, yardstick.experiment.classifier, draw.seed)
            rows.append(
                {
                    "step": checkpoint.step,
                    "frechet": float(np.mean([frechet_distance(*pair) for pair in pairs])),
                    "coverage": float(np.mean([manifold(*pair).coverage for pair in pairs])),
                    "usefulness": worth,
                }
            )
        return rows

    def _neighbours(self) -> tuple[Images, Features]:
        """Synthetic images nearest to different training images, with those and the nearest held-out ones."""
        yardstick = self._yardstick
        train, held_out = yardstick.train(0), yardstick.held_out(0)
        distances, which = (part[:, 0] for part in nearest(self.features[0], yardstick.features(train), 1))
        order = np.argsort(distances, kind="stable")
        first = np.sort(np.unique(which[order], return_index=True)[1])[:_NEIGHBOURS_SHOWN]
        shown = order[first]
        other, where = (part[:, 0] for part in nearest(self.features[0][shown], yardstick.features(held_out), 1))
        sheets = [
            self.sets[0][shown],
            yardstick.pixels(train[which[shown].astype(np.int64)]),
            yardstick.pixels(held_out[where.astype(np.int64)]),
        ]
        return np.stack(sheets, axis=1), np.stack([distances[shown], other], axis=1).astype(np.float32)

    def _examples(self) -> Images:
        """Random, most and least realistic images of every class: uint8 (K, 3, n, C, S, S)."""
        yardstick, labels = self._yardstick, self._labels[0]
        rows = yardstick.reference(0)
        real, real_labels = yardstick.features(rows), yardstick.labels(rows)
        rng = np.random.default_rng([yardstick.draws[0].seed, 3])
        members = [np.flatnonzero(labels == label) for label in range(len(yardstick.target.classes))]
        count = min(_EXAMPLES, *map(len, members))
        if not count:
            raise InputError("a class has no synthetic image")
        sheets = []
        for label, own in enumerate(members):
            alike = real if real_labels is None else real[real_labels == label]
            # A class with hardly any real image is judged by all of them.
            values = realism(alike if len(alike) > NEIGHBOURS else real, self.features[0][own])
            ranked = own[np.argsort(-values, kind="stable")]
            sheets.append(self.sets[0][np.stack([rng.permutation(own)[:count], ranked[:count], ranked[::-1][:count]])])
        return np.stack(sheets)


def _carried(gan: GanCheckpoint) -> Images:
    """The source images that a translator carries: uint8 (N, C, S, S); other generators carry none."""
    if "bank" not in gan.ema:
        return np.empty((0, 0, 0, 0), np.uint8)
    bank, counts = gan.ema["bank"].numpy(), gan.ema["counts"].numpy()
    places = len(bank) // len(counts)
    return np.concatenate([bank[label * places :][:count] for label, count in enumerate(counts)])
