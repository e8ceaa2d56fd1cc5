"""The gate: a challenger must load and predict elsewhere, keep its limits, and be better than the champion today."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gtl_core.config import Metric, PromotionConfig
from gtl_core.evaluation.report.words import listed
from gtl_core.evaluation.scores import image_weights
from gtl_core.files import read_json, write_json
from gtl_core.registry.comparison import Comparison, comparable_images
from gtl_core.registry.gain import Gain, paired_gain
from gtl_core.registry.limits import copying, limit_rules
from gtl_core.registry.rules import ROUNDING, Rule

_TIMEOUT_SECONDS = 600
_ERROR_CHARACTERS = 400
"""Of why a model failed: enough to know, and little enough for a line that stands beside others."""

_NOT_HANDED_ON = ("PYTHON", "MLFLOW_", "GTL_")
"""What the names of environment variables begin with that a fresh process does without: it must find no project of
its own accord, and needs no address or password."""

_SCRIPT = Path(__file__).with_name("fresh_process.py")


@dataclass(frozen=True)
class GateResult:
    """What the gate found.

    Attributes:
        passed: whether the challenger may become champion.
        reasons: one line each; why it was refused, or what it was compared with.
        rules: every rule that was looked at, kept or broken.
        metric: what the scores measure.
        min_gain: how much better the challenger had to be.
        challenger_score: its score on the test images, of which those count that were compared on; None where it did
            not predict.
        champion_score: the champion's on the same images; None where there is none or it cannot be compared.
        gain_low: lower end of the interval of the challenger's gain; None without a champion's score, and where no
            interval is asked for.
        gain_high: upper end.
        improved: test images that the challenger alone recognised; None as for the champion's score.
        worsened: test images that the champion alone recognised; None as for the champion's score.
        test_images: how many images today's test part has; None in a result of a time when that was not noted.
        compared_images: how many of them both were compared on; None as for the champion's score.
    """

    passed: bool
    reasons: tuple[str, ...]
    rules: tuple[Rule, ...]
    metric: Metric
    min_gain: float
    challenger_score: float | None = None
    champion_score: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    improved: int | None = None
    worsened: int | None = None
    test_images: int | None = None
    compared_images: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {**asdict(self), "reasons": list(self.reasons), "rules": [asdict(rule) for rule in self.rules]}


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
        milliseconds: of a classifier's prediction of one image; None where it was not timed.
        machine: what it was timed on.
        error: why it failed; empty where it did not.
    """

    values: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    milliseconds: float | None = None
    machine: str = ""
    error: str = ""

    def of(self, classes: Sequence[str]) -> np.ndarray | None:
        """Probabilities float32 (N, K) in the order of these classes, whatever the model's own; None as `values`."""
        return None if self.values is None else self.values[:, [self.columns.index(f"p({name})") for name in classes]]


def predict_elsewhere(
    candidates: Sequence[Candidate], images: np.ndarray, *, timed: Candidate | None = None
) -> list[Prediction]:
    """Loads candidates in one fresh process that cannot import this project, and lets each of them predict.

    Args:
        candidates: models to try; generators draw one image of every class that they know.
        images: uint8 (N, C, H, W), what classifiers are given, each in its own size.
        timed: the classifier among them whose prediction of one image is timed, if any.

    Returns:
        One prediction a candidate, in order.
    """
    from gtl_core.data.image_set import fitted

    with tempfile.TemporaryDirectory(prefix="gtl-gate-") as name:
        folder = Path(name)
        jobs: list[dict[str, Any]] = []
        expected = []
        for candidate in candidates:
            about = candidate.about()
            if candidate.kind == "classifier":
                inputs = folder / f"images-{about['size']}.npy"
                if not inputs.exists():
                    np.save(inputs, np.ascontiguousarray(fitted(images, about["size"])), allow_pickle=False)
                expected.append(len(images))
            else:
                inputs = folder / f"labels-{len(jobs)}.json"
                write_json(inputs, about["classes"])
                expected.append(len(about["classes"]))
            job = {"model": str(candidate.folder), "inputs": str(inputs), "kind": candidate.kind}
            jobs.append({**job, "timed": candidate == timed})
        write_json(folder / "jobs.json", jobs)
        ended = _run(folder)
        return [_prediction(folder, index, rows, ended) for index, rows in enumerate(expected)]


def judge(
    *,
    challenger: Candidate,
    generator: Candidate,
    champion: Candidate | None,
    images: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    hashes: np.ndarray,
    classes: Sequence[str],
    promotion: PromotionConfig,
    memorisation: Mapping[str, Any] | None,
) -> GateResult:
    """Judges a new classifier, with the generator that follows it, against the champion.

    Both are compared on the test images that the champion has not learned from. The limits are asked of all of them,
    which are new to the challenger.

    Args:
        challenger: the new classifier.
        generator: the new generator, which must load and draw.
        champion: the champion's classifier as the registry has it, or None where there is none yet.
        images: uint8 (N, C, H, W), today's test images.
        labels: int64 (N,), their classes.
        groups: str (N,), what each image belongs to; empty where that is not known.
        hashes: str (N,), the SHA-256 of each image, as the set's manifest has it.
        classes: names of the classes.
        promotion: the rules.
        memorisation: what was measured of the generator's strategy, empty where it could not be measured; None where
            `promotion` does not ask.
    """
    unlike = why_incomparable(champion, images, classes) if champion else ""
    comparison = None
    if champion and not unlike:
        comparison = comparable_images(champion.name, champion.folder, hashes, groups, labels, classes)
        unlike = comparison.refusal
    compared = [champion] if champion and not unlike else []
    timed = challenger if promotion.limits.latency_ms is not None else None
    new, drawn, *old = predict_elsewhere([challenger, generator, *compared], images, timed=timed)
    if champion and old and old[0].error:
        unlike = f"{champion.name} cannot be scored again: {old[0].error}"
    rules = [loads("classifier_loads", challenger, new), loads("generator_loads", generator, drawn)]
    if promotion.memorisation == "screen":
        rules.append(copying(generator.name, memorisation or {}))
    rules += limit_rules(
        promotion.limits,
        labels=labels,
        probabilities=new.of(classes),
        classes=classes,
        memorisation=memorisation or {},
        milliseconds=new.milliseconds,
        machine=new.machine,
        size=sum(path.stat().st_size for path in challenger.folder.rglob("*") if path.is_file()),
    )
    theirs = old[0].of(classes) if old else None
    return decide(new.of(classes), theirs, unlike, rules, labels, groups, promotion, comparison)


def loads(name: str, candidate: Candidate, prediction: Prediction) -> Rule:
    """That a model must load and predict in a fresh process."""
    does = "loads and predicts" if not prediction.error else "does not load and predict"
    said = f"{candidate.name} {does} in a fresh process"
    return Rule(name, not prediction.error, None, None, f"{said}: {prediction.error}" if prediction.error else said)


def decide(
    new: np.ndarray | None,
    old: np.ndarray | None,
    unlike: str,
    rules: Sequence[Rule],
    labels: np.ndarray,
    groups: np.ndarray,
    promotion: PromotionConfig,
    comparison: Comparison | None = None,
) -> GateResult:
    """Adds the rule of the gain to those that have been looked at already, and sums up.

    Args:
        new: what the challenger predicts, probabilities float (N, K); None where it failed.
        old: what the champion predicts of the same images; None where there is none or it cannot be compared.
        unlike: why the champion cannot be compared; empty where it can, or where there is none.
        rules: the other rules.
        labels: int (N,).
        groups: str (N,), empty where unknown.
        promotion: metric, least gain and interval.
        comparison: which images to compare on; None for all.
    """
    metric, images, among = promotion.metric, len(labels), ""
    if comparison and new is not None and old is not None:
        rows, among = comparison.rows, comparison.words
        new, old, labels, groups = new[rows], old[rows], labels[rows], groups[rows]
    weights = image_weights(labels, metric)
    mine = None if new is None else new.argmax(axis=1) == labels
    theirs = None if old is None else old.argmax(axis=1) == labels
    score = None if mine is None else float(weights[mine].sum())
    bar = None if theirs is None else float(weights[theirs].sum())
    gain = improved = worsened = None
    if mine is not None and theirs is not None:
        improved, worsened = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
        if promotion.interval is not None:
            gain = paired_gain(mine, theirs, labels, groups, metric, promotion.interval)
    found = (*rules, _gain_rule(score, bar, gain, unlike, len(labels), among, promotion))
    passed = all(rule.passed for rule in found)
    return GateResult(
        passed=passed,
        reasons=tuple(rule.sentence for rule in found if not rule.passed) if not passed else (found[-1].sentence,),
        rules=found,
        metric=metric,
        min_gain=promotion.min_gain,
        challenger_score=score,
        champion_score=bar,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        improved=improved,
        worsened=worsened,
        test_images=images,
        compared_images=None if theirs is None else len(labels),
    )


def _gain_rule(
    score: float | None,
    bar: float | None,
    gain: Gain | None,
    unlike: str,
    images: int,
    among: str,
    promotion: PromotionConfig,
) -> Rule:
    """That the gain, or the lower end of its interval where the experiment asks for one, must reach the least gain."""
    metric, limit = promotion.metric, promotion.min_gain
    if unlike or score is None:
        return Rule("gain", False, None, limit, unlike or "the gain was not measured, because there is no prediction")
    if bar is None:
        said = f"{metric} {score:.4f} on {images:,} test images; there is no champion yet"
        return Rule("gain", True, None, limit, said)
    value = gain.low if gain else score - bar
    found = f"a gain of {score - bar:+.4f}{_interval(gain, images, promotion)}"
    if value >= limit - ROUNDING:
        said = f"{metric} {score:.4f} on {among or f'{images:,} test images'}; the champion has {bar:.4f}, {found}"
        return Rule("gain", True, value, limit, said)
    asked = f"whose lower end must reach {limit:+.4f}" if gain else f"where at least {limit:+.4f} is asked for"
    said = f"{metric} {score:.4f} against the champion's {bar:.4f}{f' on {among}' if among else ''}: {found} {asked}"
    return Rule("gain", False, value, limit, f"{said}; {limit - value:.4f} is missing")


def _interval(gain: Gain | None, images: int, promotion: PromotionConfig) -> str:
    """The interval in brackets, where there is one."""
    if gain is None or promotion.interval is None:
        return ""
    grouped = f", the {images:,} images being of {gain.units:,} groups" if gain.units < images else ""
    return f" ({100 * promotion.interval:.4g} % interval {gain.low:+.4f} to {gain.high:+.4f}{grouped})"


def why_incomparable(champion: Candidate, images: np.ndarray, classes: Sequence[str]) -> str:
    """Why a champion cannot be scored on images uint8 (N, C, H, W) of these classes; empty where it can."""
    if not (champion.folder / "MLmodel").is_file():
        return (
            f"{champion.name} cannot be scored again: its files are not at {champion.folder}; restore them, or take "
            "the champion alias away to start anew"
        )
    try:
        about = champion.about()
    except Exception as error:  # noqa: BLE001 - a damaged file fails in any way
        return f"{champion.name} cannot be scored again: its MLmodel cannot be read: {_short(str(error))}"
    if not {"classes", "size", "channels"} <= about.keys():
        return (
            f"{champion.name} cannot be scored again: it was not packaged by gtl; take the champion alias away to "
            "start anew"
        )
    if set(about["classes"]) != set(classes):
        return (
            f"{champion.name} knows the classes {listed(about['classes'])} and today's are {listed(classes)}: "
            "they cannot be compared; take the champion alias away to start anew"
        )
    if about["channels"] != images.shape[1]:
        return (
            f"{champion.name} takes {about['channels']} channels and today's images have {images.shape[1]}: they "
            "cannot be compared; take the champion alias away to start anew"
        )
    return ""


def _run(folder: Path) -> str:
    """Runs the script on a folder of jobs; gives why it ended badly, or an empty text."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
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


def _prediction(folder: Path, index: int, rows: int, ended: str) -> Prediction:
    """What job number `index`, which was given `rows` images or class names, left in the folder."""
    values, about, error = (folder / f"{index}{suffix}" for suffix in (".npy", ".json", ".error"))
    if error.exists():
        return Prediction(error=_short(error.read_text(encoding="utf-8")))
    if not values.exists():
        return Prediction(error=_short(ended or "it gave nothing"))
    given = np.load(values, allow_pickle=False)
    if len(given) != rows:
        return Prediction(error=f"it gave {len(given)} predictions for {rows} inputs")
    if not np.isfinite(given).all():
        return Prediction(error="it gave values that are no numbers")
    told = read_json(about) if about.exists() else {"columns": []}
    return Prediction(given, tuple(told["columns"]), told.get("milliseconds"), told.get("machine", ""))


def _short(error: str) -> str:
    """An error in one line of bounded length."""
    return textwrap.shorten(error, _ERROR_CHARACTERS, placeholder=" …")
