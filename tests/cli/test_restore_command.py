"""`gtl restore`: from pictures and masks on disk to completed pictures that say what was done to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gtl_core.homes import Homes
from gtl_core.networks.registry import GanSpec
from gtl_core.registry.tracking import open_store
from gtl_core.training.runtime import to_uint8
from pipelines.cli.main import invoke
from tests.registry.recorded_models import register_version, scans_experiment, write_scans
from tests.vivid_gan import vivid_gan

GENERATOR = "gtl-scans-generator"
SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=2)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Homes]) -> Homes:
    """A project with a registered generator, and two of its pictures in `pictures/`."""
    homes = new_project(tmp_path_factory.mktemp("restore") / "project")
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    gan = vivid_gan(SPEC, ("eins", "zwei"))
    gan.save(homes.root / "gan.safetensors")
    scratch = tmp_path_factory.mktemp("scratch")
    kinds = ("classifier", "generator")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = {"kinds": kinds, "gan": homes.root / "gan.safetensors"}
        register_version(open_store(homes), homes, scratch, scans_experiment(), **made)
    latents = torch.randn((2, 8), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        drawn = to_uint8(gan.averaged_generator()(latents, torch.tensor([0, 1]))).numpy()
    for name, image in zip(("one", "two"), drawn, strict=True):
        save(homes.root / "pictures" / f"{name}.png", image[0])
    hole = np.zeros((16, 16), np.uint8)
    hole[5:10, 6:11] = 255
    save(homes.root / "mask.png", hole)
    return homes


@pytest.fixture
def project(registered: Homes, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for variable, value in registered.environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(registered.root)
    return registered.root


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_pictures_with_a_hole_come_back_whole_and_say_what_was_done_to_them(project: Path, tmp_path: Path, capfd):
    out = tmp_path / "restored"
    assert invoke(["restore", "pictures", "--mask", "mask.png", "--model", "scans", "--out", str(out), "--json"]) == 0
    printed, err = capfd.readouterr()
    report = json.loads(printed)
    assert report == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert "restoration" in err
    assert report["model"] == f"{GENERATOR}/1"
    assert [picture["file"] for picture in report["pictures"]] == ["one.png", "two.png"]
    assert {path.name for path in out.iterdir()} == {"one.png", "two.png", "sheet.png", "report.json"}
    for picture in report["pictures"]:
        assert picture["missing_pixels"] == 25
        assert picture["misfit"] < picture["misfit_before"]
        with Image.open(out / picture["file"]) as restored, Image.open(project / "pictures" / picture["file"]) as old:
            outside = np.ones((16, 16), bool)
            outside[5:10, 6:11] = False
            assert np.array_equal(np.asarray(restored)[outside], np.asarray(old)[outside])
            assert restored.text["Model"] == f"{GENERATOR}/1"
            assert restored.text["Class"] == picture["class"]
            assert restored.text["DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")


def test_noise_is_taken_away_by_the_model_of_the_class_that_was_told(project: Path, tmp_path: Path, capfd):
    command = ["restore", "pictures/one.png", "--noise", "0.05", "--label", "zwei", "--out", str(tmp_path / "clean")]
    assert invoke([*command, "--model", f"{GENERATOR}/1"]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith(f"1 pictures restored by {GENERATOR}/1")
    report = json.loads((tmp_path / "clean" / "report.json").read_text(encoding="utf-8"))
    assert (report["noise"], report["pictures"][0]["class"]) == (0.05, "zwei")


def small(folder: Path) -> None:
    save(folder / "mask.png", np.full((8, 8), 255, np.uint8))


def empty(folder: Path) -> None:
    save(folder / "mask.png", np.zeros((16, 16), np.uint8))


def full(folder: Path) -> None:
    save(folder / "mask.png", np.full((16, 16), 255, np.uint8))


def for_another(folder: Path) -> None:
    save(folder / "mask.png" / "one.png", np.eye(16, dtype=np.uint8) * 255)


def missing(folder: Path) -> None:
    """No mask at all."""


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (small, "is 8×8 pixels and one.png is 16×16"),
        (empty, "has no white pixel"),
        (full, "is all white"),
        (for_another, "no mask for two.png"),
        (missing, "is not there"),
    ],
)
def test_a_mask_that_does_not_fit_is_told_in_one_line_and_leaves_nothing(
    write: Callable[[Path], None], said: str, project: Path, tmp_path: Path, capfd
):
    write(tmp_path)
    mask, out = str(tmp_path / "mask.png"), tmp_path / "out"
    assert invoke(["restore", "pictures", "--mask", mask, "--model", "scans", "--out", str(out)]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pictures", "--mask", "mask.png", "--model", "scams"], GENERATOR),
        (["pictures", "--mask", "mask.png", "--model", "gtl-scans-classifier"], GENERATOR),
        (["pictures", "--mask", "mask.png", "--model", "scans", "--label", "zwie"], "did you mean zwei"),
        (["colour.png", "--mask", "mask.png", "--model", "scans"], "colour.png is colour and the model draws grey"),
        (["broken.png", "--mask", "mask.png", "--model", "scans"], "broken.png: neither JPEG nor PNG"),
        (["pictures", "--model", "scans"], "either --mask MASK"),
        (["pictures", "--noise", "much", "--model", "scans"], "a number between 0 and 1"),
        (["sheet.png", "--noise", "0.1", "--model", "scans"], "two files of the result would be called sheet.png"),
        (["twice", "--noise", "0.1", "--model", "scans"], "two files of the result would be called one.png"),
        (["nested", "--noise", "0.1", "--model", "scans"], "two files of the result would be called one.png"),
    ],
)
def test_what_cannot_be_restored_is_told_in_one_line(
    arguments: list[str], said: str, project: Path, tmp_path: Path, capfd
):
    save(project / "colour.png", np.zeros((16, 16, 3), np.uint8))
    (project / "broken.png").write_bytes(b"no picture")
    for name in ("sheet.png", "twice/one.png", "twice/one.jpg", "nested/one.jpg", "nested/one.png/two.png"):
        save(project / name, np.zeros((16, 16), np.uint8))
    assert invoke(["restore", *arguments, "--out", str(tmp_path / "out")]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_tried(project: Path, tmp_path: Path, capfd):
    (tmp_path / "notes.txt").write_text("mine")
    out = str(tmp_path / "notes.txt" / "new" / "out")
    assert invoke(["restore", "pictures", "--mask", "mask.png", "--model", "scans", "--out", out]) == 2
    err = capfd.readouterr().err
    assert "notes.txt is no folder" in err
    assert err.count("\n") == 1


def test_a_checkpoint_that_is_gone_is_told_before_anything_is_tried(project: Path, tmp_path: Path, capfd):
    (checkpoint,) = (project / "artifacts").rglob("transferred_gan/finetune/key/weights.safetensors")
    moved = checkpoint.rename(tmp_path / "kept")
    try:
        command = ["restore", "pictures", "--mask", "mask.png", "--model", "scans", "--out", str(tmp_path / "out")]
        assert invoke(command) == 2
    finally:
        moved.rename(checkpoint)
    assert "is gone; run its experiment again" in capfd.readouterr().err
