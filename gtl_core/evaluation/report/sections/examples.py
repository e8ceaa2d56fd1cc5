"""Real and synthetic images side by side, class by class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gtl_core.data.image_set import UNLABELLED
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.pictures import how_many, strip
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import listed
from gtl_core.files import read_json

_BYTES = 2_400_000
_MOST_CLASSES = 12
_MOST_IMAGES = 5
_DROPPED = {
    "disagrees": "look like another class",
    "sparse": "lie far from real images",
    "copy": "lie too near a training image",
}
_KINDS = ("random", "best", "worst")


def build(inputs: Inputs) -> Section:
    """Images of the judged strategy beside real ones, and of every other strategy a line a class."""
    synthetic, reason = _synthetic(inputs)
    classes = inputs.classes
    shown = min(len(classes), _MOST_CLASSES)
    kinds = 1 + len(_KINDS) + len(synthetic) - 1
    if not synthetic:
        raise Missing("no synthetic images are there")
    first = next(iter(synthetic.values()))
    count = how_many(_BYTES, shown * kinds, first, min(_MOST_IMAGES, first.shape[2]))
    real = _real(inputs, shown, count)
    judged, *others = synthetic
    blocks = joined(
        _class_block(classes[label], real.get(label), synthetic[judged][label][:, :count], judged)
        for label in range(shown)
    )
    main = element("figure", _unlabelled(real), element("div", blocks, class_="classes"))
    parts = []
    for other in others:
        lines = joined(
            element(
                "figure",
                strip(synthetic[other][label][0, :count], f"Synthetic images of class {classes[label]} by {other}", 30),
                element("figcaption", classes[label]),
                class_="tile",
            )
            for label in range(shown)
        )
        parts.append(element("h3", f"Also made: {other}") + element("div", lines, class_="tiles"))
    finding = f"Made by {judged}, the strategy that the verdict is about.{_selected(inputs, judged)}"
    if len(classes) > shown:
        finding += f" The first {shown} of {len(classes)} classes."
    meaning = (
        "Real images are training and validation images of the target, never of its test part. Best and worst are "
        "those nearest to and furthest from real images of their class, as the feature network sees them. Look for "
        "classes that are mixed up, for one image that comes again and again, and for strokes or textures that no real "
        "one has."
    )
    if reason:
        meaning = f"{meaning} Best and worst are not shown: {reason}."
    numbers = {"strategies": list(synthetic), "classes_shown": list(classes[:shown]), "images_a_strip": count}
    return Section("Real and synthetic images", finding, main, meaning, joined(parts), numbers)


def _synthetic(inputs: Inputs) -> tuple[dict[str, npt.NDArray[np.uint8]], str]:
    """For each strategy uint8 (K, 3, n, C, S, S); without best and worst images (K, 1, n, C, S, S), and why."""
    try:
        found = inputs.arrays("examples", "examples")
        return found, ""
    except Missing as missing:
        return {label: _random(inputs, label) for label in inputs.judged_first(inputs.synthetic)}, str(missing)


def _random(inputs: Inputs, strategy: str) -> npt.NDArray[np.uint8]:
    """Images of the first draw's set, evenly spaced over each class: uint8 (K, 1, n, C, S, S)."""
    from gtl_core.synthesis.synthetic_set import SyntheticSet

    made = SyntheticSet.load(inputs.synthetic[strategy][0])
    rows = [np.flatnonzero(made.labels == label) for label in range(len(made.classes))]
    count = min(_MOST_IMAGES, *(len(found) for found in rows))
    if not count:
        raise Missing("a class has no synthetic image")
    return np.stack([np.array(made.images[_spread(found, count)])[None] for found in rows])


def _spread(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """At most `count` of some rows, evenly spaced."""
    count = min(count, len(rows))
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)] if count else rows


def _selected(inputs: Inputs, strategy: str) -> str:
    """How many images a filter has left out of the first draw's set, and why; empty where there was none."""
    folders = inputs.synthetic.get(strategy)
    selection = read_json(folders[0] / "card.json").get("filter") if folders else None
    if not selection:
        return ""
    most_first = sorted(selection["dropped"].items(), key=lambda pair: -pair[1])
    dropped = {reason: count for reason, count in most_first if count}
    told = listed([f"{count:,} {_DROPPED.get(reason, reason)}" for reason, count in dropped.items()])
    whole = selection["kept"] + sum(dropped.values())
    return f" The filter kept {selection['kept']:,} of {whole:,} images in the first draw{f'; {told}' if told else ''}."


def _real(inputs: Inputs, classes: int, count: int) -> dict[int, npt.NDArray[np.uint8]]:
    """Real images by class; of a target without labels some of any class, under `UNLABELLED`."""
    try:
        draw = inputs.draws[0]
        if not inputs.experiment.target.has_labels:
            return {UNLABELLED: inputs.real_images(_spread(draw.unlabelled, 2 * count))}
        known = np.concatenate([draw.labelled, draw.validation])
        labels = inputs.target.labels[known]
        rows = {label: known[labels == label][:count] for label in range(classes)}
        return {label: inputs.real_images(found) for label, found in rows.items() if len(found)}
    except Missing:
        return {}


def _unlabelled(real: dict[int, npt.NDArray[np.uint8]]) -> Markup:
    """Real images of unknown class, where no other ones are there."""
    if UNLABELLED not in real:
        return Markup("")
    picture = strip(real[UNLABELLED], "Real target images, whose classes nobody has told", 34)
    return element(
        "figure", picture, element("figcaption", "real target images, of any class: none has a label"), class_="tile"
    )


def _class_block(
    name: str, real: npt.NDArray[np.uint8] | None, synthetic: npt.NDArray[np.uint8], strategy: str
) -> Markup:
    """One class: real, and random, best and worst synthetic images."""
    strips = [] if real is None else [("real", strip(real, f"Real images of class {name}", 34))]
    strips += [
        (kind, strip(images, f"Synthetic images of class {name} by {strategy}: {kind}", 34))
        for kind, images in zip(_KINDS, synthetic, strict=False)
    ]
    cells = joined(
        element(
            "figure", picture, element("figcaption", kind), class_=f"tile {'real' if kind == 'real' else ''}".strip()
        )
        for kind, picture in strips
    )
    return element("div", element("h3", name), element("div", cells, class_="strips"), class_="class")
