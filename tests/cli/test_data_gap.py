"""`gtl data gap` as a person types it: its table, its JSON, what it keeps, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import UNLABELLED, ImageSetWriter
from pipelines.cli.main import invoke


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded handwritten digits, and small sets that are near to them, far from them, or of no use."""
    folder = tmp_path_factory.mktemp("data")
    EMBEDDED["handwritten-digits"](folder / "handwritten-digits")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    digits = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
    write(folder / "digits", digits[1200:], bunch.target[1200:].tolist(), tuple("0123456789"))
    write(folder / "noise", noise, [index % 2 for index in range(200)], ("a", "b"))
    write(folder / "colour", np.repeat(noise, 3, axis=1), [index % 2 for index in range(200)], ("a", "b"))
    write(folder / "unlabelled", noise, [UNLABELLED] * 200, ("a", "b"))
    write(folder / "few", noise[:3], [0, 1, 1], ("a", "b"))
    write(folder / "one-class", noise, [0] * 200, ("a",))
    return folder


def write(folder: Path, images: np.ndarray, labels: list[int], classes: tuple[str, ...]) -> None:
    with ImageSetWriter(folder, classes) as writer:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.add(image, label=label, source_file=str(index))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(autouse=True)
def project(root: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GTL_ARTIFACTS", "GTL_MLRUNS", "GTL_DAGSTER", "GTL_EXPERIMENTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GTL_ROOT", str(root))
    monkeypatch.setenv("GTL_DATA", str(data))


def kept(root: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in (root / "artifacts").rglob("*")}


def test_sources_are_ranked_the_nearest_first_each_with_its_light(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["data", "gap", "handwritten-digits", "noise", "digits"]) == 0
    printed = capfd.readouterr()
    title, head, *rows = printed.out.splitlines()
    assert title == "sources for handwritten-digits, the nearest first"
    assert head.split()[:5] == ["source", "light", "gap", "looks", "doubt"]
    assert rows[0].split()[:2] == ["digits", "green"]
    assert rows[1].split()[0] == "noise"
    assert rows[1].split()[1] != "green"
    assert "short classifier of noise" in printed.err
    assert "never a decision" in printed.out

    before = kept(root)
    assert invoke(["data", "gap", "handwritten-digits", "digits", "noise", "--json"]) == 0
    again = capfd.readouterr()
    assert "short classifier" not in again.err
    assert kept(root) == before
    found = json.loads(again.out)
    assert (found["target"], found["labelled_per_class"]) == ("handwritten-digits", 10)
    first, second = found["sources"]
    assert (first["source"], second["source"]) == ("digits", "noise")
    assert first["gap"] < second["gap"]
    assert {"leep", "logme", "h_score", "mmd", "a_distance"} <= {measure["name"] for measure in first["measures"]}
    assert first["what"].endswith("100 of its images with their labels; no test image")


def test_other_labels_are_measured_anew_with_the_same_classifier(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "gap", "handwritten-digits", "digits"]) == 0
    capfd.readouterr()
    assert invoke(["data", "gap", "handwritten-digits", "digits", "--labelled-per-class", "0", "--json"]) == 0
    printed = capfd.readouterr()
    assert "short classifier" not in printed.err
    (found,) = json.loads(printed.out)["sources"]
    assert found["parts"]["labels"] is None
    assert "leep" in found["missing"]


def test_the_help_says_what_the_columns_mean_and_gives_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "gap", "--help"]) == 0
    told = " ".join(capfd.readouterr().out.split())
    for part in ("doubt:", "A-distance:", "never decides", "gtl data gap handwritten-digits typeset-digits"):
        assert part in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["handwritten-digits"], "sources"),
        (["handwritten-digits", "digit"], "did you mean digits"),
        (["handwriten-digits", "digits"], "did you mean handwritten-digits"),
        (["handwritten-digits", "digits", "noise", "digits"], "digits is named twice"),
        (["handwritten-digits", "handwritten-digits"], "handwritten-digits is named twice"),
        (["handwritten-digits", "unlabelled"], "unlabelled has no labelled image to learn from"),
        (["handwritten-digits", "one-class"], "one-class has one class only"),
        (["handwritten-digits", "colour"], "colour has 3 channels and handwritten-digits has 1"),
        (["handwritten-digits", "digits", "--size", "18"], "no multiple of 4"),
        (["handwritten-digits", "digits", "--labelled-per-class", "200"], "--labelled-per-class 200: every class"),
        (["unlabelled", "digits"], "--labelled-per-class 0"),
        (["few", "digits"], "and 11 outside of it; lower it, where 0 leaves labels out, or import more images"),
        (["few", "digits", "--labelled-per-class", "0"], "few has too few images: every class needs one in the test"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(
    arguments: list[str], says: str, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = kept(root)
    assert invoke(["data", "gap", *arguments]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert says in printed.err
    assert "_per_class" not in printed.err
    assert kept(root) == before
