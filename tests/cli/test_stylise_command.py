"""`gtl stylise`: from two folders to pictures with the content of one and the look of the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.image_set import ImageSet
from gtl_core.homes import Homes
from gtl_core.synthesis import stylise
from pipelines.cli.main import invoke


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps: what is looked at here is what comes before and after the training."""
    monkeypatch.setattr(stylise, "STEPS", 4)
    monkeypatch.setattr(stylise, "TRANSLATION", stylise.TRANSLATION.model_copy(update={"steps": 2, "batch": 4}))


@pytest.fixture
def folders(homes: Homes, tiny_digits: Path) -> Path:
    """Six digits, and eight on a light ground."""
    images = np.array(ImageSet.load(tiny_digits).images[:, 0])
    for name, part in (("digits", images[:6]), ("light", 255 - images[100:108] // 2)):
        for index, image in enumerate(part):
            save(homes.root / name / f"{index}.png", image)
    return homes.root


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("method", ["adain", "translate"])
def test_pictures_with_another_look_say_so_in_themselves_and_come_with_numbers(method: str, folders: Path, capfd):
    digits, light, out = (str(folders / name) for name in ("digits", "light", "out"))
    command = ["stylise", digits, "--like", light, "--method", method, "--json"]
    assert invoke([*command, "--out", out]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report == json.loads((folders / "out" / "report.json").read_text(encoding="utf-8"))
    assert {path.name for path in (folders / "out").iterdir()} == {
        *(f"{index}.png" for index in range(6)),
        "sheet.png",
        "report.json",
    }
    assert report["style_before"] > report["style_floor"]
    assert report["content_kept"] <= 1.0
    assert (report["pictures"][0]["style"] is None) == (method == "translate")
    with Image.open(folders / "out" / "0.png") as picture:
        assert picture.size == (16, 16)
        assert picture.text["DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
        assert picture.text["Style"] == "light"
    again = str(folders / "again")
    assert invoke([*command, "--out", again]) == 0
    assert "of 4" not in capfd.readouterr().err  # nothing is trained again
    assert (folders / "again" / "0.png").read_bytes() == (folders / "out" / "0.png").read_bytes()


def test_pictures_that_were_shared_out_otherwise_are_learned_from_anew(folders: Path, capfd):
    for name, digits in (("first", 3), ("second", 2)):  # the same pictures in the same order, but for who gives what
        images = [np.asarray(Image.open(folders / "digits" / f"{index}.png")) for index in range(6)]
        images += [np.asarray(Image.open(folders / "light" / f"{index}.png")) for index in range(2)]
        for index, image in enumerate(images):
            save(folders / name / ("content" if index < digits else "look") / f"{index}.png", image)
        content, look, out = (str(folders / name / part) for part in ("content", "look", "out"))
        assert invoke(["stylise", content, "--like", look, "--out", out]) == 0
        assert "of 4" in capfd.readouterr().err


def test_what_cannot_be_stylised_is_told_in_one_line_before_anything_is_trained(folders: Path, capfd):
    (folders / "empty").mkdir()
    (folders / "broken").mkdir()
    (folders / "broken" / "a.png").write_bytes(b"no picture")
    save(folders / "colour" / "a.png", np.zeros((16, 16, 3), np.uint8))
    save(folders / "few" / "a.png", np.zeros((16, 16), np.uint8))
    save(folders / "big" / "a.png", np.zeros((500, 300), np.uint8))
    save(folders / "big" / "b.png", np.zeros((500, 300), np.uint8))
    for name in ("sheet.png", "other.png"):
        save(folders / "clash" / name, np.zeros((16, 16), np.uint8))
    for index in range(4):
        save(folders / "colours" / f"{index}.png", np.zeros((16, 16, 3), np.uint8))
    cases = [
        (["digits", "--like", "empty"], "empty: no picture in it"),
        (["digits", "--like", "broken"], "neither JPEG nor PNG"),
        (["digits", "--like", "colours"], "is colour and 0.png in"),
        (["digits", "--like", "few"], "1 pictures are too few to learn from; give 4"),
        (["few", "--like", "light"], "give 2 at least"),
        (["big", "--like", "light"], "say what size"),
        (["clash", "--like", "light"], "two files of the result would be called sheet.png"),
        (["digits", "--like", "nowhere"], "neither a folder of pictures nor an image set"),
        (["digits", "--like", "light", "--size", "30"], "a multiple of 4"),
        (["digits", "--like", "light", "--strength", "2"], "a number from 0 to 1"),
        (["digits", "--like", "light", "--strength", "0.5", "--method", "translate"], "only --method adain"),
    ]
    for (images, _, like, *more), said in cases:
        out = folders / "out"
        assert invoke(["stylise", str(folders / images), "--like", str(folders / like), *more, "--out", str(out)]) == 2
        err = capfd.readouterr().err
        assert said in err, err
        assert err.count("\n") == 1
        assert not out.exists()
    assert not (folders / "artifacts").exists()
