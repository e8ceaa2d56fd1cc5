"""The image sets in `data/`, by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from gtl_core.config import Experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet
from gtl_core.data.manifest import FILES
from gtl_core.errors import InputError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def require_name(name: str) -> None:
    """Makes sure that a new set can have a name, and so a folder of that name in `data/`.

    Raises:
        InputError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an image set: small letters, digits, - and _, at most 64, no - at first"
        )


def names(data_home: Path) -> list[str]:
    """Names of the image sets in a folder, sorted; damaged ones are among them."""
    if not data_home.is_dir():
        return []
    return sorted(
        folder.name
        for folder in data_home.iterdir()
        if not folder.name.startswith(".") and any((folder / file).is_file() for file in FILES)
    )


def find(data_home: Path, name: str) -> ImageSet:
    """Opens an image set by its name.

    Raises:
        InputError: there is none of that name (near names are suggested), or it is damaged.
    """
    known = names(data_home)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none yet'}."
        raise InputError(f"no image set {name!r} in {data_home}; {hint} `gtl data import` makes one of your files")
    return ImageSet.load(data_home / name)


def load_pair(experiment: Experiment, data_home: Path) -> tuple[ImageSet, ImageSet]:
    """Opens the source and the target of an experiment, and checks that they fit it.

    Raises:
        InputError: a set is not there or damaged, its channels are not the experiment's, it has fewer than two
            classes, the source has no labels, a class has no description where GANs learn by descriptions, or the
            target has too few images in a class for the draws that are asked for.
    """
    source, target = (find(data_home, part.dataset) for part in (experiment.source, experiment.target))
    wanted = experiment.image.channels
    for images in (source, target):
        if images.channels != wanted:
            raise InputError(
                f"{experiment.name}: {images.name} has {images.channels} channels but image.channels is {wanted}; "
                f"import it again with --channels {wanted}, or change image.channels"
            )
        if len(images.classes) < 2:
            raise InputError(f"{images.name} has one class only; a classifier needs two at least")
    if experiment.gan.condition == "text":
        _require_descriptions(experiment, {*source.classes, *target.classes})
    if not len(source.training_rows()):
        raise InputError(f"{source.name} has no labelled image to learn from; a source needs labels")
    # Making the draws is the one check of "enough images" that cannot differ from making them later.
    make_draws(
        target,
        labelled_per_class=experiment.target.labelled_per_class,
        validation_per_class=experiment.target.validation_per_class,
        test_fraction=experiment.target.test_fraction,
        draws=experiment.evaluation.draws,
        seed=experiment.seed,
    )
    return source, target


def _require_descriptions(experiment: Experiment, classes: set[str]) -> None:
    """Refuses classes without a description, and descriptions of classes that there are not."""
    described = experiment.descriptions.keys()
    if missing := sorted(classes - described):
        raise InputError(
            f"{experiment.name}: gan.condition is text, and descriptions has none of {', '.join(missing)}; say in a "
            "few words what each class looks like"
        )
    if unknown := sorted(described - classes):
        raise InputError(
            f"{experiment.name}: descriptions: neither {experiment.source.dataset} nor {experiment.target.dataset} has "
            f"a class {', '.join(unknown)}; they have {', '.join(sorted(classes))}"
        )
