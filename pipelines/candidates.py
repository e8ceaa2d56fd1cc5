"""Candidate sources for a target, ranked by the domain gap that a short classifier of each shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.config import ClassifierConfig
from gtl_core.data.catalog import find
from gtl_core.errors import InputError
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress, Progress
from gtl_core.store import StageStore
from pipelines.stage_rooms import stage_code_version

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gtl_core.data.draws import Draw
    from gtl_core.data.image_set import ImageSet

FOLDER = "domain-gap"
"""Folder of `artifacts/` in which classifiers and gaps are kept, so that a second look is instant."""

SHORT = ClassifierConfig(width=16, source_steps=300)
"""Enough to tell near sources from far ones; an experiment trains its source classifier longer."""

SIZES = (16, 32)
"""Images are looked at in the target's own size, within these."""

_TEST_FRACTION = 0.3
_MOST_IMAGES = 20_000
_SEED = 0


def rank_sources(
    homes: Homes,
    target: str,
    sources: Sequence[str],
    *,
    labelled_per_class: int,
    size: int | None,
    on_progress: OnProgress,
) -> list[dict[str, Any]]:
    """Measures the gap between every source and the target.

    Args:
        homes: where the sets are, and where classifiers and gaps are kept.
        target: name of the target set.
        sources: names of the candidates.
        labelled_per_class: labels of the target that may be looked at; 0 for none.
        size: height and width that images are brought to; None for the target's own, within `SIZES`.
        on_progress: is shown the training of each candidate's classifier.

    Returns:
        What `measure_gap` gives, with the `source` it belongs to; the smallest gap first.

    Raises:
        InputError: a set is not there or named twice, its channels are not the target's, a source has no labels or
            one class only, the size is none that networks take, or the target has too few labelled images in a class.
    """
    named = [target, *sources]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]} is named twice; name the target once and every candidate source once")
    wanted = find(homes.data, target)
    candidates = [find(homes.data, name) for name in sources]
    for candidate in candidates:
        _require_source(candidate, wanted)
    side = _side(wanted) if size is None else size
    if side % 4:
        raise InputError(f"--size {side} is no multiple of 4, and networks halve images twice at least; take another")
    draw = _draw(wanted, labelled_per_class)
    store = StageStore(homes.artifacts, FOLDER)
    ranked = [
        {"source": candidate.name, **_gap(store, candidate, wanted, draw, labelled_per_class, side, on_progress)}
        for candidate in candidates
    ]
    return sorted(ranked, key=lambda row: row["gap"])


def _gap(
    store: StageStore,
    source: ImageSet,
    target: ImageSet,
    draw: Draw,
    labelled_per_class: int,
    size: int,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """The gap of one candidate, from the store where it was measured before."""
    inputs = {"source": source.version, "size": size, "classifier": SHORT.model_dump(mode="json"), "seed": _SEED}
    classifier_key = store.key(inputs | {"images": _MOST_IMAGES}, stage_code_version("source_classifier"))
    gap_key = store.key(
        {
            "classifier": classifier_key,
            "target": target.version,
            "labelled_per_class": labelled_per_class,
            "draws": stage_code_version("draws"),
        },
        stage_code_version("domain_gap"),
    )

    def learn(folder: Path) -> None:
        from gtl_core.data.image_set import fitted
        from gtl_core.training.classifier import train_source_classifier

        rows = _rows_to_learn(source)
        images, labels = fitted(source.images[rows], size), source.labels[rows]
        train_source_classifier(images, labels, source.classes, SHORT, _SEED, folder, told)

    def told(progress: Progress) -> None:
        on_progress(dataclasses.replace(progress, task=f"short classifier of {source.name}"))

    def measure(folder: Path) -> None:
        from gtl_core.metrics.relatedness import NUMBERS, gap_of_draw

        stage = store.build(f"source_classifier/{source.name}", classifier_key, learn)
        gap = gap_of_draw(
            source,
            target,
            draw,
            stage.path / "classifier.safetensors",
            size=size,
            use_labels=labelled_per_class > 0,
            seed=_SEED,
        )
        write_json(folder / NUMBERS, gap)

    stage = store.build(f"domain_gap/{target.name}/{source.name}", gap_key, measure)
    gap: dict[str, Any] = read_json(stage.path / "gap.json")
    return gap


def _require_source(source: ImageSet, target: ImageSet) -> None:
    """Refuses a set that cannot be a source for the target."""
    if source.channels != target.channels:
        raise InputError(
            f"{source.name} has {source.channels} channels and {target.name} has {target.channels}; "
            f"import it again with --channels {target.channels}"
        )
    if not len(source.training_rows()):
        raise InputError(f"{source.name} has no labelled image to learn from; a source needs labels")
    if len(source.classes) < 2:
        raise InputError(f"{source.name} has one class only; a classifier needs two at least")


def _side(target: ImageSet) -> int:
    """The target's own size, within `SIZES` and a multiple of 4."""
    low, high = SIZES
    return 4 * (min(max(target.size, low), high) // 4)


def _draw(target: ImageSet, labelled_per_class: int) -> Draw:
    """What of the target may be looked at: so many labelled images a class, and all others but the test part."""
    import numpy as np

    from gtl_core.data.draws import make_draws
    from gtl_core.data.image_set import UNLABELLED

    known = np.flatnonzero(target.labels != UNLABELLED)
    if labelled_per_class and not len(np.setdiff1d(known, target.indices("test"))):
        raise InputError(
            f"{target.name} has no labelled image outside its test part; leave its labels out with "
            "--labelled-per-class 0"
        )
    try:
        draw = make_draws(
            target,
            labelled_per_class=labelled_per_class,
            validation_per_class=1,
            test_fraction=_TEST_FRACTION,
            draws=1,
            seed=_SEED,
        )[0]
    except InputError as error:
        # Its message names the settings of an experiment, most of which this command does not have.
        raise InputError(_too_few(target, labelled_per_class)) from error
    # Draws have a validation part; here its pixels count as those of the pool do, and its labels are left out.
    pool = np.concatenate([draw.validation, draw.unlabelled])
    return dataclasses.replace(draw, validation=draw.validation[:0], unlabelled=pool)


def _too_few(target: ImageSet, labelled_per_class: int) -> str:
    """Why nothing could be drawn of the target, and what to do."""
    if not labelled_per_class:
        return (
            f"{target.name} has too few images: every class needs one in the test part, and there must be others to "
            "look at; import more images"
        )
    return (
        f"{target.name} has too few labelled images in a class for --labelled-per-class {labelled_per_class}: every "
        f"class needs one in the test part and {labelled_per_class + 1} outside of it; lower it, where 0 leaves labels "
        "out, or import more images"
    )


def _rows_to_learn(source: ImageSet) -> npt.NDArray[np.int64]:
    """Rows that the short classifier learns from: as many of every class, or all that a class has."""
    import numpy as np

    rows = source.training_rows()
    rng = np.random.default_rng(_SEED)
    most = max(1, _MOST_IMAGES // len(source.classes))
    labels = source.labels[rows]
    return np.sort(np.concatenate([rng.permutation(rows[labels == label])[:most] for label in np.unique(labels)]))
