"""`gtl imagine`: from a text to a sheet of images that says what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from gtl_core.data.pictures import contact_sheet
from gtl_core.files import file_sha256
from gtl_core.homes import Homes
from gtl_core.networks.registry import GanSpec
from gtl_core.registry.tracking import open_store
from gtl_core.synthesis.imagining import imagine
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import FEATURES, ClassTexts
from gtl_core.training.gan import untrained
from pipelines.cli.main import invoke
from pipelines.stages import Chain
from tests.described_digits import TEXTS
from tests.pipelines.small_chain import as_experiment, project_of_digits, small_experiment
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

TOLD = ClassTexts(("a thin bone", "a thick bone"))
SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=2, text=FEATURES)


def pointed_to(homes: Homes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for variable, value in homes.environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Homes]) -> Homes:
    """A project with two registered generators: `scans` was told its classes by texts, `plain` was not."""
    homes = new_project(tmp_path_factory.mktemp("imagine") / "project")
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    gans = {"scans": untrained(SPEC, ("eins", "zwei"), 0, TOLD)}
    gans["plain"] = untrained(replace(SPEC, text=0), ("eins", "zwei"), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name, gan in gans.items():
            path = homes.root / f"{name}.safetensors"
            gan.save(path)
            made = {"kinds": ("classifier", "generator"), "gan": path}
            scratch = tmp_path_factory.mktemp("scratch")
            register_version(open_store(homes), homes, scratch, scans_experiment(name), **made)
    return homes


@pytest.fixture
def folder(registered: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pointed_to(registered, tmp_path, monkeypatch)
    return tmp_path


def test_a_text_becomes_a_sheet_that_says_by_what_it_was_drawn(
    registered: Homes, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert invoke(["imagine", "scans", "A thick BONE", "--count", "5", "--seed", "3", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    weights = registered.root / "scans.safetensors"
    assert made == {
        "text": "A thick BONE",
        "model": "gtl-scans-generator/1",
        "generator_sha256": file_sha256(weights),
        "seed": 3,
        "count": 5,
        "file": "a-thick-bone.png",
        "unknown_words": [],
    }
    expected = contact_sheet(imagine(GanCheckpoint.load(weights), "a thick bone", 5, 3), columns=3)
    with Image.open(folder / "a-thick-bone.png") as sheet:
        assert np.array_equal(np.asarray(sheet), np.asarray(expected))
        assert sheet.text["Synthetic"] == "true"
        assert sheet.text["Class"] == "A thick BONE"
        assert sheet.text["Model"] == "gtl-scans-generator/1"
        assert sheet.text["GeneratorSHA256"] == made["generator_sha256"]
        assert sheet.text["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")


def test_a_sheet_is_called_like_as_much_of_its_text_as_a_file_may_be(folder: Path):
    assert invoke(["imagine", "scans", "太い骨" * 100]) == 0
    assert [path.name for path in folder.iterdir()] == ["太い骨" * 11 + ".png"]


def test_words_that_the_generator_was_not_taught_are_named(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert invoke(["imagine", "scans", "a purple bone", "--out", "sheet.png"]) == 0
    told = capsys.readouterr()
    assert told.out == "16 images of 'a purple bone' by gtl-scans-generator/1 in sheet.png\n"
    assert "no description has the words purple" in told.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scans", "?!"], "there is no word in the text '?!'"),
        (["plain", "a bone"], "not told its classes by texts"),
        (["scan", "a bone"], "did you mean gtl-scans-generator"),
        (["scans", "a bone", "--out", "sheet.jpg"], "a sheet is a PNG file; name one, such as sheet.png"),
        (["scans", "a bone", "--out", "taken.png"], "taken.png is there already"),
        (["scans", "a bone", "--source"], "no experiment 'scans'"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
):
    (folder / "taken.png").write_bytes(b"mine")
    assert invoke(["imagine", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["taken.png"]
    assert (folder / "taken.png").read_bytes() == b"mine"


def test_the_source_gan_of_an_experiment_draws_too_once_it_is_trained(
    tmp_path: Path, tiny_digits: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    homes = project_of_digits(tmp_path, tiny_digits)
    sections = {"descriptions": TEXTS, "gan": {"condition": "text"}}
    homes.experiments.mkdir()
    (homes.experiments / "small.yaml").write_text(yaml.safe_dump(small_experiment(**sections)), encoding="utf-8")
    pointed_to(homes, tmp_path, monkeypatch)
    command = ["imagine", "small", "a handwritten seven", "--source", "--json"]
    assert invoke(command) == 2
    assert "source_gan is not there yet" in capsys.readouterr().err
    stage = Chain(as_experiment(**sections), homes).source_gan()
    assert invoke(command) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["model"] == "small/source_gan"
    assert made["generator_sha256"] == file_sha256(stage.path / "gan.safetensors")
