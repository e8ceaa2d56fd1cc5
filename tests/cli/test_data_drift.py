"""`gtl data drift` as a person types it: its table, its JSON, its page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.training.classifier import new_classifier, save_classifier
from pipelines.cli.main import invoke

FILE = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: {target}, labelled_per_class: 3}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [finetune]}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the embedded digits, darker copies of some, and an experiment with a classifier."""
    root = tmp_path_factory.mktemp("project")
    EMBEDDED["handwritten-digits"](root / "data" / "handwritten-digits")
    digits = ImageSet.load(root / "data" / "handwritten-digits")
    rows = digits.indices("train")[:80]
    with ImageSetWriter(root / "data" / "dark", digits.classes) as writer:
        for row in rows:
            dark = (digits.images[row] * 0.7).astype(np.uint8)
            writer.add(dark, label=int(digits.labels[row]), source_file=f"dark/{row}")
    with ImageSetWriter(root / "data" / "colour", ("a", "b")) as writer:
        for index in range(60):
            writer.add(np.full((3, 8, 8), index, np.uint8), label=index % 2, source_file=str(index))
    for folder, count in (("same", 80), ("few", 49)):
        (root / folder).mkdir()
        for row in rows[:count]:
            Image.fromarray(digits.images[row, 0]).save(root / folder / f"{row}.png")
    (root / "same" / "notes.txt").write_text("x")
    (root / "experiments").mkdir()
    (root / "experiments" / "digits.yaml").write_text(FILE.format(name="digits", target="handwritten-digits"))
    path = root / "artifacts" / "digits" / "source_classifier" / "0123" / "classifier.safetensors"
    save_classifier(path, new_classifier(size=16, channels=1, width=4, classes=2, seed=0), ("a", "b"))
    return root


@pytest.fixture(autouse=True)
def project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        "GTL_ARTIFACTS",
        "GTL_MLRUNS",
        "GTL_DAGSTER",
        "GTL_EXPERIMENTS",
        "GTL_DATA",
        "MLFLOW_TRACKING_URI",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GTL_ROOT", str(root))
    monkeypatch.chdir(root)


def test_the_biggest_difference_comes_first_and_a_sentence_says_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", "dark", "--against", "handwritten-digits"]) == 0
    title, head, *rows = capfd.readouterr().out.splitlines()
    assert title == "80 images of dark against 997 of handwritten-digits"
    assert head.split() == ["what", "before", "now", "distance", "p"]
    assert rows[0].split()[0] == "contrast"
    assert rows[0].endswith("drifted")
    assert any(line.startswith("Drifted: contrast fell from 0.37") for line in rows)
    assert any(line.startswith("seen by: source classifier 0123, weights ") for line in rows)


def test_the_page_and_its_numbers_lie_in_the_experiments_folder(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", "same", "--against", "handwritten-digits", "--json"]) == 0
    check = json.loads(capfd.readouterr().out)
    page = Path(check["page"])
    assert page.is_relative_to(root / "artifacts" / "digits" / "drift")
    assert "<h1>same against handwritten-digits</h1>" in page.read_text()
    kept = json.loads((page.parent / "drift.json").read_text())
    assert kept == {name: value for name, value in check.items() if name != "page"}
    assert (check["drifted"], check["images"], check["reference"]["images"]) == (False, 80, 997)
    assert check["left_out"] == {"files": 1, "first": [{"file": "notes.txt", "why": "no image"}]}
    assert (check["by_hand"], check["consecutive"], check["triggered"], check["action"]) == (True, 0, False, "none")
    assert set(check) >= {"experiment", "at", "against", "window", "tests", "c2st", "sentence"}
    assert all({"name", "p", "effect", "threshold", "drifted"} <= set(test) for test in check["tests"])


def test_scripts_can_ask_to_fail_on_drift(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", "dark", "--against", "handwritten-digits", "--fail-on-drift"]) == 3
    assert "gtl: dark has drifted from handwritten-digits: " in capfd.readouterr().err
    assert invoke(["data", "drift", "same", "--against", "handwritten-digits", "--fail-on-drift"]) == 0


def test_without_an_experiment_the_properties_are_compared_alone(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", "handwritten-digits", "--against", "dark", "--json"]) == 0
    check = json.loads(capfd.readouterr().out)
    assert [test["name"] for test in check["tests"]] == ["mean", "contrast", "sharpness", "entropy"]
    assert check["experiment"] is None
    assert Path(check["page"]).is_relative_to(root / "artifacts" / ".drift" / "dark")


def test_of_several_experiments_with_one_target_one_has_to_be_named(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = root / "experiments" / "other.yaml"
    other.write_text(FILE.format(name="other", target="handwritten-digits"))
    try:
        assert invoke(["data", "drift", "same", "--against", "handwritten-digits"]) == 2
        assert "is the target of digits, other; say by whose model to look" in capfd.readouterr().err
        assert invoke(["data", "drift", "same", "--against", "handwritten-digits", "--experiment", "digits"]) == 0
    finally:
        other.unlink()


def test_the_help_says_what_is_compared_and_gives_examples(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", "--help"]) == 0
    told = " ".join(capfd.readouterr().out.split())
    for part in ("brightness, contrast, sharpness, entropy", "the champion of the experiment", "--fail-on-drift"):
        assert part in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dark"], "--against"),
        (["nowhere", "--against", "handwritten-digits"], "'nowhere' is no image set and no path"),
        (["dark", "--against", "handwriten-digits"], "did you mean handwritten-digits"),
        (["dark", "--against", "dark"], "cannot have drifted from itself"),
        (["dark", "--against", "handwritten-digits", "--experiment", "digit"], "did you mean digits"),
        (["colour", "--against", "handwritten-digits"], "colour has 3 channels and handwritten-digits has 1"),
        (["few", "--against", "handwritten-digits"], "49 new images are too few"),
        (["experiments", "--against", "handwritten-digits"], "no image in it that can be read"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "drift", *arguments]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert says in printed.err
