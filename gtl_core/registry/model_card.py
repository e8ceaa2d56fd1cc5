"""The card that lies beside a registered model: README.md in the layout of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from gtl_core.synthesis.markdown import bullets, datasets_table, front_matter, plain, table

MODEL_CARD = "README.md"

_TASK: Mapping[str, str] = {"classifier": "image-classification", "generator": "unconditional-image-generation"}
"""Hugging Face's names of tasks; it has none for images of a class that is asked for."""

_LIMITS: Mapping[str, Sequence[str]] = {
    "classifier": (
        "It knows these classes and no others: whatever it is shown gets one of their names.",
        "Its probabilities tell how sure it is, not how often it is right, and images that look unlike the target's "
        "may be named wrongly with high probability.",
        "It was measured on images that were held back from one set. On another device, site or day it may be worse.",
    ),
    "generator": (
        "What it draws was never in front of a camera. Never validate or test a model on it, and never take it for "
        "evidence.",
        "It can repeat images that it has learned from. Whether it did was at most screened; a screen is no guarantee "
        "of privacy.",
        "It shares what is one-sided in its training data, and may overdo it.",
    ),
}

_USE: Mapping[str, str] = {
    "classifier": "# images: uint8 (N, C, H, W); gives the name and the probability of each class\n"
    "model.predict(images)",
    "generator": "# gives uint8 (N, C, H, W)\n"
    'model.predict(pandas.DataFrame({{"label": [{label!r}]}}), params={{"seed": 1}})',
}


def model_card(
    kind: Literal["classifier", "generator"],
    name: str,
    *,
    experiment: str,
    classes: Sequence[str],
    size: int,
    channels: int,
    best: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]],
    lineage: Mapping[str, Any],
    files: Mapping[str, str],
) -> str:
    """What a person should know before using a registered model.

    Args:
        kind: what it is.
        name: the registered model.
        experiment: the experiment that made it.
        classes: names of the classes.
        size: height and width of its images in pixels.
        channels: 1 for grey, 3 for colour.
        best: the evaluation's `best.json`: which arm the classifier is, and by what it was chosen.
        arms: the evaluation's `arms.json`.
        lineage: from `build_record`.
        files: SHA-256 of the model's files.
    """
    verdict = lineage["verdict"]
    row = next(row for row in arms if row["arm"] == best["arm"])
    pixels = f"{size}×{size} pixels, {'grey' if channels == 1 else 'colour'}"
    what = (
        f"A classifier of images ({pixels}) into {len(classes)} classes: arm {best['arm']} of the experiment "
        f"{experiment}, chosen by {best['chosen_by']}. {_backbone(lineage)}"
        if kind == "classifier"
        else f"A generator of images ({pixels}) of {len(classes)} classes: the GAN of the experiment {experiment}, "
        "whose images were tried as training images of a classifier."
    )
    return f"""{_front_matter(kind, name, row, lineage)}
# {plain(name)}

{plain(what)}

Classes: {", ".join(plain(label) for label in classes)}.

## What was found

{_score(row, best, verdict) if kind == "classifier" else ""}Whether a GAN's images helped the classifier:

> {plain(verdict.get("sentence") or f"The verdict is: {verdict['label']}.")}

## Limits

{bullets([*_LIMITS[kind], *([verdict["scope"]] if "scope" in verdict else [])])}
## What it has learned from

{datasets_table(lineage["datasets"])}
## What it is made of

{table(["file", "SHA-256"], list(files.items()))}
{table(["stage", "SHA-256"], [[made["stage"], made["sha256"]] for made in lineage["checkpoints"]])}
Code: commit `{lineage["git_commit"]}`. Data version: `{lineage["data_version"]}`. `lineage.json` beside this card has
the rest, `seen.parquet` the hash of every image that it has seen, and `gtl lineage {name} --verify` hashes all of it
again.

## How to use it

```python
import mlflow, pandas

model = mlflow.pyfunc.load_model("models:/{name}@champion")
{_USE[kind].format(label=classes[0])}
```
"""


def _score(row: Mapping[str, Any], best: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """How good the arm is, of which the model is one."""
    metric = verdict["metric"].replace("_", " ")
    mean, low, high = (f"{100 * row[name]:.1f}" for name in ("mean", "low", "high"))
    return (
        f"On {verdict['test_images']} test images this arm reaches a {metric} of {mean} % (95 % interval {low} to "
        f"{high}) over {verdict['draws']} draws of training images. This model is the one of draw {best['draw']}.\n\n"
    )


def _backbone(lineage: Mapping[str, Any]) -> str:
    """What network the classifier is."""
    settings = lineage["experiment"]["classifier"]
    if "backbone" in lineage:
        folder = PurePath(settings["backbone"]).name
        return f"Its backbone began as the checkpoint {folder} (SHA-256 {lineage['backbone']['sha256']})."
    return f"Its backbone is {settings['backbone']} of width {settings['width']}."


def _front_matter(kind: str, name: str, row: Mapping[str, Any], lineage: Mapping[str, Any]) -> str:
    """What programs read of the card."""
    values: dict[str, Any] = {
        "license": "unknown",
        "library_name": "mlflow",
        "pipeline_tag": _TASK[kind],
        "tags": ["gtl", "pytorch", "safetensors", "gan-transfer-learning"],
    }
    if kind == "classifier":
        metric = lineage["verdict"]["metric"]
        target = next(dataset["name"] for dataset in lineage["datasets"] if dataset["role"] == "target")
        values["model-index"] = [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": _TASK[kind]},
                        "dataset": {"name": target, "type": target, "split": "test"},
                        "metrics": [{"type": metric, "name": f"{metric}, mean over draws", "value": row["mean"]}],
                    }
                ],
            }
        ]
    return front_matter(values)
