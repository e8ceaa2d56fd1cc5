"""What was not measured, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import listed, name_of

_FEW_IMAGES = 20
_FEW_DRAWS = 5


def build(inputs: Inputs) -> Section:
    """A list of sentences, each of which follows from the run's own numbers or from how all runs are measured."""
    verdict = inputs.verdict
    draws, images = verdict["draws"], verdict["test_images"]
    sentences = [
        verdict["scope"],
        f"One test part of {images:,} images was used. Images from another camera, site or year may be harder.",
        f"A true difference below {100 * verdict['detectable']:.1f} points would mostly have gone unseen.",
    ]
    if draws < _FEW_DRAWS:
        sentences.append(
            f"With {draws} draws the spread between draws is known only roughly; five or more make the interval firmer."
        )
    few = [name for name, row in (inputs.compared[0].get("per_class") or {}).items() if row["images"] < _FEW_IMAGES]
    if few:
        sentences.append(f"Fewer than {_FEW_IMAGES} test images of: {listed(few)}. Their recall is a rough guess.")
    if not inputs.experiment.target.has_labels:
        sentences.append(
            "No target label was used for any choice; the rule that chose in its place can choose badly, and without "
            "labels nobody would notice. The test part alone has labels."
        )
    sentences += [
        "Choices were made on few validation images, so the best arm of all may not be the one that was chosen.",
        "Intervals hold for one question each. Whoever looks through many classes or groups will find some that differ "
        "by chance.",
        "Distances between images describe them. They do not decide whether images are useful, and a low distance is "
        "no proof that they are.",
        "The screen for copies finds what is near in one network's features. It does not make synthetic images safe to "
        "give away.",
    ]
    if inputs.synthetic and verdict["label"] != "helps":
        sentences.append(
            "That this GAN did not help with these budgets does not say that no GAN would; longer training, another "
            "strategy or more images of the source may."
        )
    absent = _absent(inputs)
    if absent:
        sentences.append(
            "Not measured here: " + "; ".join(f"{name}, {reason}" for name, reason in absent.items()) + "."
        )
    return Section(
        "What this report does not say",
        html=element("ul", joined(element("li", sentence) for sentence in sentences), class_="limits"),
        numbers=sentences,
    )


def _absent(inputs: Inputs) -> Mapping[str, str]:
    """What the measurement of the synthetic images itself says that it lacks."""
    try:
        missing = inputs.quality.get("missing", {})
    except Missing:
        return {}
    return {name_of(str(name)): str(reason).rstrip(".") for name, reason in missing.items()}
