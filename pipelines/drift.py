"""Checks for drift: new images against the training part of a set, looked at by the model that is in use."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import DriftConfig, Experiment
from gtl_core.data.catalog import find, names
from gtl_core.data.mel import scale_of
from gtl_core.data.new_images import NewImages, read_new
from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256, read_json
from gtl_core.homes import Homes
from pipelines.partitions import read_experiments
from pipelines.preflight import named_experiment

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gtl_core.data.image_set import ImageSet
    from gtl_core.metrics.drift import Lens, Sample

FOLDER = "drift"
"""In an experiment's folder of `artifacts/`; checks without an experiment lie in `artifacts/.drift/SET`."""

_SHOWN_LEFT_OUT = 20


@dataclass(frozen=True, eq=False)
class Reference:
    """What new images are compared with.

    Attributes:
        images: the set.
        sample: images of its training part.
        lens: the classifier that has looked at them; None where there is none.
        experiment: whose classifier and thresholds serve; None where there is none.
        missing: what could not be done, and why.
    """

    images: ImageSet
    sample: Sample
    lens: Lens | None
    experiment: Experiment | None
    missing: dict[str, str]

    @property
    def seed(self) -> int:
        """Seed of everything that is drawn."""
        return self.experiment.seed if self.experiment else 0

    @property
    def settings(self) -> DriftConfig:
        """The thresholds: those of the experiment, or else the usual ones."""
        asked = self.experiment.drift if self.experiment else None
        return asked or DriftConfig(incoming="")

    @property
    def key(self) -> str:
        """Hash of what is compared with: after other data or another model, windows are counted anew."""
        return canonical_sha256([self.images.version, self.lens.sha256 if self.lens else None])


def reports(homes: Homes, experiment: str | None = None) -> list[Path]:
    """Folders of the checks of an experiment, or of all experiments, the newest last."""
    found = homes.artifacts.glob(f"{experiment or '[!.]*'}/{FOLDER}/*/drift.json")
    return sorted((path.parent for path in found), key=lambda path: path.name)


def check_by_hand(homes: Homes, new: str, against: str, experiment: str | None) -> dict[str, Any]:
    """Compares a set, or images from anywhere, with the training part of a set.

    Args:
        homes: where everything lies.
        new: name of a set, or path of a folder, an archive or a file of images.
        against: name of the set to compare with.
        experiment: whose classifier and thresholds serve; None for the only one with that target. Where there is none,
            the properties of the images are compared alone.

    Returns:
        What `drift.json` says, and the `page`.

    Raises:
        InputError: there is no such set, path or experiment, several experiments have that target, the images do not
            fit the classifier, or there are too few on a side.
    """
    from gtl_core.metrics.drift import MOST, blocks, chosen, every, observe

    target = find(homes.data, against)
    if new == against:
        raise InputError(f"{new} cannot have drifted from itself; name other images")
    whose = named_experiment(experiment, homes) if experiment else _only_experiment(homes, against)
    seed = whose.seed if whose else 0
    found = _of_set(find(homes.data, new), target, seed) if new in names(homes.data) else None
    if found is None:
        if not Path(new).exists():
            raise InputError(f"{new!r} is no image set and no path; gtl data list shows the sets")
        scale = scale_of(target.card, target.name)
        found = read_new(Path(new), size=target.size, channels=target.channels, most=MOST, seed=seed, scale=scale)
    reference = look_at(homes, target, whose)
    now = observe(blocks(found.images, chosen(every(found.images), seed)), reference.lens)
    return write_check(homes, reference, now, found, new=new, before=None)


def look_at(homes: Homes, target: ImageSet, experiment: Experiment | None) -> Reference:
    """The training part of a set as an experiment's model sees it; never its test part.

    The model is the champion, or else the newest source classifier. What the champion may have learned from with its
    labels is left out where enough else is there.

    Raises:
        InputError: the images do not fit the model, or the MLflow store cannot be reached.
    """
    import numpy as np

    from gtl_core.metrics.drift import ALL_LEARNED, NO_CLASSIFIER, blocks, chosen, observe, unlearned

    champion = _champion(homes, experiment) if experiment else None
    lens = champion or (_source_classifier(homes, experiment) if experiment else None)
    missing = {} if lens else {"classifier": NO_CLASSIFIER}
    rows, learned = _training_rows(target, experiment)
    if champion:
        rows = unlearned(rows, learned)
        if np.isin(learned, rows).any():
            missing["unlearned images"] = ALL_LEARNED
    rows = chosen(rows, experiment.seed if experiment else 0)
    return Reference(target, observe(blocks(target.images, rows), lens), lens, experiment, missing)


def write_check(
    homes: Homes, reference: Reference, now: Sample, found: NewImages, *, new: str, before: int | None
) -> dict[str, Any]:
    """Compares, and writes `drift.json` and `drift.html` into a folder of their own.

    A window that was compared already, by a process that was killed before it could say so, is not compared again.

    Args:
        homes: where it is put.
        reference: what to compare with.
        now: the new images.
        found: the same, as they were read.
        new: what the new images are called.
        before: how many windows in a row had drifted before this one; None for a check by hand, which stands alone.

    Returns:
        What `drift.json` says, and the `page`.
    """
    from gtl_core.evaluation.report.drift import HTML, JSON, write_drift
    from gtl_core.metrics.drift import detect, record, sentence
    from gtl_core.metrics.drift_explanation import classifier_test

    experiment, against = reference.experiment, reference.images.name
    home = homes.artifacts / experiment.name if experiment else homes.artifacts / ".drift" / against
    key = canonical_sha256([found.key, found.files, reference.key])
    known = next((home / FOLDER).glob(f"*-{key[:12]}/{JSON}"), None) if before is not None else None
    if known:
        return {**read_json(known), "page": str(known.with_name(HTML))}
    settings = reference.settings
    tests = detect(reference.sample, now, alpha=settings.alpha, threshold=settings.effect, seed=reference.seed)
    telling = classifier_test(reference.sample.columns(), now.columns(), seed=reference.seed)
    drifted = any(test.drifted for test in tests)
    consecutive = before + 1 if drifted and before is not None else 0
    # Told once, at the second window: what goes on drifting after that is known already.
    triggered = consecutive == 2
    at = datetime.now(UTC)
    check = {
        "experiment": experiment.name if experiment else None,
        "by_hand": before is None,
        "at": at.isoformat(timespec="seconds"),
        "new": new,
        "against": against,
        "images": len(now),
        "window": settings.window,
        "drifted": drifted,
        "consecutive": consecutive,
        "triggered": triggered,
        "action": settings.action if triggered else "none",
        "sentence": sentence(tests),
        "alpha": settings.alpha,
        "tests": record(tests),
        "c2st": {"accuracy": telling.accuracy, "p": telling.p, "images": telling.images},
        "reference": {"version": reference.images.version, "images": len(reference.sample)},
        "classifier": {"what": reference.lens.what, "sha256": reference.lens.sha256} if reference.lens else None,
        "missing": reference.missing,
        "left_out": {
            "files": len(found.left_out),
            "first": [asdict(one) for one in found.left_out[:_SHOWN_LEFT_OUT]],
        },
        "files": list(found.files),
        "key": key,
    }
    # Milliseconds, so that windows that are taken one right after the other stand in their order.
    folder = home / FOLDER / f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z-{key[:12]}"
    write_drift(check, reference.sample, now, telling, folder)
    return {**check, "page": str(folder / HTML)}


def _only_experiment(homes: Homes, target: str) -> Experiment | None:
    """The experiment with that target, where there is one.

    Raises:
        InputError: there are several.
    """
    found = [experiment for experiment in read_experiments(homes)[0] if experiment.target.dataset == target]
    if len(found) > 1:
        listed = ", ".join(experiment.name for experiment in found)
        raise InputError(f"{target} is the target of {listed}; say by whose model to look, with --experiment NAME")
    return found[0] if found else None


def _of_set(images: ImageSet, target: ImageSet, seed: int) -> NewImages:
    """Images of a set at another set's size; of many, random ones."""
    from gtl_core.data.image_set import fitted
    from gtl_core.metrics.drift import chosen, every

    if images.channels != target.channels:
        raise InputError(
            f"{images.name} has {images.channels} channels and {target.name} has {target.channels}; import it again "
            f"with --channels {target.channels}"
        )
    rows = chosen(every(images.images), seed)
    return NewImages(fitted(images.images[rows], target.size), tuple(images.manifest["source_file"].iloc[rows]), ())


def _training_rows(
    target: ImageSet, experiment: Experiment | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of a set outside its test part, and those of them that are labelled in a draw of the experiment."""
    import numpy as np

    from gtl_core.data.draws import make_draws
    from gtl_core.metrics.drift import every

    if experiment is None or experiment.target.dataset != target.name:
        return np.setdiff1d(every(target.images), target.indices("test")), np.empty(0, np.int64)
    draws = make_draws(
        target,
        labelled_per_class=experiment.target.labelled_per_class,
        validation_per_class=experiment.target.validation_per_class,
        test_fraction=experiment.target.test_fraction,
        draws=experiment.evaluation.draws,
        seed=experiment.seed,
    )
    rows = np.concatenate([draws[0].labelled, draws[0].unlabelled, draws[0].validation])
    return np.sort(rows), np.unique(np.concatenate([draw.labelled for draw in draws]))


def _champion(homes: Homes, experiment: Experiment) -> Lens | None:
    """The champion's classifier; None where there is none, or somebody has removed its files."""
    from gtl_core.metrics.drift import Lens
    from gtl_core.registry.register import classifier_name
    from gtl_core.registry.standing import aliases
    from gtl_core.registry.tracking import open_store

    if not os.environ.get("MLFLOW_TRACKING_URI") and not (homes.mlruns / "mlflow.db").is_file():
        return None
    store, name = open_store(homes), classifier_name(experiment.name)
    try:
        version = aliases(store, name).get("champion")
    except InputError:  # nothing is registered yet
        return None
    if version is None:
        return None
    with tempfile.TemporaryDirectory(prefix="gtl-model-") as scratch:
        weights = store.model_folder(name, version, Path(scratch)) / "artifacts" / "classifier.safetensors"
        return Lens.load(weights, f"champion {name}/{version}") if weights.is_file() else None


def _source_classifier(homes: Homes, experiment: Experiment) -> Lens | None:
    """The newest source classifier of an experiment."""
    from gtl_core.metrics.drift import Lens

    kept = (homes.artifacts / experiment.name / "source_classifier").glob("[!.]*/classifier.safetensors")
    newest = max(kept, key=lambda path: path.stat().st_mtime_ns, default=None)
    return Lens.load(newest, f"source classifier {newest.parent.name}") if newest else None
