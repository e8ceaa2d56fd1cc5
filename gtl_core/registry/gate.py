"""The gate: a challenger must load and predict elsewhere, and be better than the champion on today's test images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gtl_core.config import Metric
from gtl_core.files import write_json

_TIMEOUT_SECONDS = 600
_ROUNDING = 1e-9
"""Scores are sums of floating-point weights: 0.3 − 0.2 is a hair less than 0.1."""

_SCRIPT = Path(__file__).with_name("fresh_process.py")


@dataclass(frozen=True)
class GateResult:
    """What the gate found.

    Attributes:
        passed: whether the challenger may become champion.
        reasons: one line each; why it was refused, or what it was compared with.
        metric: what the scores measure.
        min_gain: how much better the challenger had to be.
        challenger_score: its score on the test images; None where it did not predict.
        champion_score: the champion's on the same images; None where there is none or it cannot be compared.
        improved: test images that the challenger alone recognised; None as for the champion's score.
        worsened: test images that the champion alone recognised; None as for the champion's score.
    """

    passed: bool
    reasons: tuple[str, ...]
    metric: Metric
    min_gain: float
    challenger_score: float | None = None
    champion_score: float | None = None
    improved: int | None = None
    worsened: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {**asdict(self), "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Candidate:
    """A packaged model for a fresh process to try.

    Attributes:
        name: how reasons call it, such as `challenger gtl-demo-classifier/3`.
        folder: the packaged model.
        kind: a classifier, which is given images, or a generator, which is given class names.
    """

    name: str
    folder: Path
    kind: Literal["classifier", "generator"]

    def about(self) -> dict[str, Any]:
        """`classes`, `size` and `channels`, as the package says."""
        from mlflow.models import Model

        return dict(Model.load(str(self.folder)).metadata or {})


@dataclass(frozen=True)
class Prediction:
    """What a candidate gave in a fresh process.

    Attributes:
        values: probabilities float32 (N, K) of a classifier, images uint8 (K, C, S, S) of a generator; None where it
            failed.
        columns: what the K columns of probabilities are called.
        error: why it failed; empty where it did not.
    """

    values: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    error: str = ""


def predict_elsewhere(candidates: Sequence[Candidate], images: np.ndarray) -> list[Prediction]:
    """Loads candidates in one fresh process that cannot import this project, and lets each of them predict.

    Args:
        candidates: models to try; generators draw one image of every class that they know.
        images: uint8 (N, C, H, W), what classifiers are given, each in its own size.

    Returns:
        One prediction a candidate, in order.
    """
    from gtl_core.data.image_set import fitted

    with tempfile.TemporaryDirectory(prefix="gtl-gate-") as name:
        folder = Path(name)
        jobs: list[dict[str, str]] = []
        for candidate in candidates:
            about = candidate.about()
            if candidate.kind == "classifier":
                inputs = folder / f"images-{about['size']}.npy"
                if not inputs.exists():
                    np.save(inputs, np.ascontiguousarray(fitted(images, about["size"])), allow_pickle=False)
            else:
                inputs = folder / f"labels-{len(jobs)}.json"
                write_json(inputs, about["classes"])
            jobs.append({"model": str(candidate.folder), "inputs": str(inputs), "kind": candidate.kind})
        write_json(folder / "jobs.json", jobs)
        ended = _run(folder)
        return [_prediction(folder, index, ended) for index in range(len(jobs))]


def judge(
    *,
    challenger: Candidate,
    generator: Candidate,
    champion: Candidate | None,
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    metric: Metric,
    min_gain: float,
    memorisation: Mapping[str, Any] | None,
) -> GateResult:
    """Judges a new classifier, with the generator that follows it, against the champion.

    Args:
        challenger: the new classifier.
        generator: the new generator, which must load and draw.
        champion: the champion's classifier as the registry has it, or None where there is none yet.
        images: uint8 (N, C, H, W), today's test images.
        labels: int64 (N,), their classes.
        classes: names of the classes.
        metric: what to compare.
        min_gain: how much higher the challenger's score must be than the champion's.
        memorisation: what the screen found of the generator's strategy; None where nobody asks.
    """
    unlike = why_incomparable(champion, images, classes) if champion else ""
    compared = [champion] if champion and not unlike else []
    new, drawn, *old = predict_elsewhere([challenger, generator, *compared], images)
    problems = [
        f"{candidate.name} does not load and predict in a fresh process: {prediction.error}"
        for candidate, prediction in ((challenger, new), (generator, drawn))
        if prediction.error
    ]
    problems += [unlike] if unlike else []
    copying = why_it_copies(memorisation) if memorisation is not None else ""
    problems += [f"{generator.name} {copying}"] if copying else []
    problems += [f"{champion.name} cannot be scored again: {p.error}" for p in old if p.error and champion]
    return decide(new, old[0] if old else None, problems, labels, classes, metric, min_gain)


def decide(
    new: Prediction,
    old: Prediction | None,
    problems: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    metric: Metric,
    min_gain: float,
) -> GateResult:
    """Compares the predictions of challenger and champion on the same images.

    Args:
        new: the challenger's.
        old: the champion's; None where there is none or it cannot be compared.
        problems: what has been found against the challenger already.
        labels: int64 (N,).
        classes: names of the classes.
        metric: what to compare.
        min_gain: how much higher the challenger's score must be.
    """
    from gtl_core.evaluation.scores import image_weights

    weights = image_weights(labels, metric)
    mine = None if new.values is None else _hits(new.values, new.columns, labels, classes)
    theirs = None if old is None or old.values is None else _hits(old.values, old.columns, labels, classes)
    score = None if mine is None else float(weights[mine].sum())
    bar = None if theirs is None else float(weights[theirs].sum())
    reasons = list(problems)
    if score is not None and bar is not None and score - bar < min_gain - _ROUNDING:
        reasons.append(
            f"{metric} {score:.4f} against the champion's {bar:.4f}: a gain of {score - bar:+.4f} where at least "
            f"{min_gain:+.4f} is asked for"
        )
    passed = not reasons
    if passed:
        against = "there is no champion yet" if bar is None else f"the champion has {bar:.4f}"
        reasons.append(f"{metric} {score:.4f} on {len(labels)} test images; {against}")
    improved = worsened = None
    if mine is not None and theirs is not None:
        improved, worsened = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    return GateResult(
        passed=passed,
        reasons=tuple(reasons),
        metric=metric,
        min_gain=min_gain,
        challenger_score=score,
        champion_score=bar,
        improved=improved,
        worsened=worsened,
    )


def why_it_copies(memorisation: Mapping[str, Any]) -> str:
    """Why a generator may not pass that must not copy, with the number that says so; empty where it may.

    Args:
        memorisation: `memorisation` of a strategy in `quality.json`; one that was not measured is empty, and may not
            pass.
    """
    if not memorisation:
        return "was not screened for copies, and promotion.memorisation is screen; quality.json says why"
    return f"copies its training images: {memorisation['sentence']}" if memorisation["screen"] == "copies" else ""


def why_incomparable(champion: Candidate, images: np.ndarray, classes: Sequence[str]) -> str:
    """Why a champion cannot be scored on images uint8 (N, C, H, W) of these classes; empty where it can."""
    if not (champion.folder / "MLmodel").is_file():
        return (
            f"{champion.name} cannot be scored again: its files are not at {champion.folder}; restore them, or take "
            "the champion alias away to start anew"
        )
    about = champion.about()
    if set(about["classes"]) != set(classes):
        return (
            f"{champion.name} knows the classes {', '.join(about['classes'])} and today's are {', '.join(classes)}: "
            "they cannot be compared; take the champion alias away to start anew"
        )
    if about["channels"] != images.shape[1]:
        return (
            f"{champion.name} takes {about['channels']} channels and today's images have {images.shape[1]}: they "
            "cannot be compared; take the champion alias away to start anew"
        )
    return ""


def _hits(values: np.ndarray, columns: Sequence[str], labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Which images got their own class, bool (N,), whatever the order of the model's columns."""
    order = [list(columns).index(f"p({name})") for name in classes]
    hits: np.ndarray = values[:, order].argmax(axis=1) == labels
    return hits


def _run(folder: Path) -> str:
    """Runs the script on a folder of jobs; gives why it ended badly, or an empty text."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW_"))}
    command = [sys.executable, "-I", "-B", str(_SCRIPT), str(folder)]
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIMEOUT_SECONDS} s"
    lines = ended.stderr.strip().splitlines()
    return f"exit code {ended.returncode}: {lines[-1] if lines else 'no message'}" if ended.returncode else ""


def _prediction(folder: Path, index: int, ended: str) -> Prediction:
    """What job number `index` left in the folder."""
    values, columns, error = (folder / f"{index}{suffix}" for suffix in (".npy", ".json", ".error"))
    if error.exists():
        return Prediction(error=error.read_text(encoding="utf-8"))
    if not values.exists():
        return Prediction(error=ended or "it gave nothing")
    names = tuple(json.loads(columns.read_text(encoding="utf-8"))) if columns.exists() else ()
    array = np.load(values, allow_pickle=False)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return Prediction(error="it gave numbers that are not finite")
    return Prediction(array, names)
