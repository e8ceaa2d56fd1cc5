"""`gtl data validate`: exit codes, the quarantine file, and a copy without the failing images."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.errors import InputError
from gtl_core.validation.cleaning import drop_failing
from gtl_core.validation.suite import validate_set


@pytest.fixture
def leaky(digits, make_set) -> ImageSet:
    """Digits of which one stands in train and test, one is blank, and two in train are the same."""
    images = digits[0][:300].copy()
    images[250], images[3], images[40] = images[20], 0, images[41]
    splits = ["train" if row < 200 else "test" for row in range(300)]
    return make_set(images, digits[1][:300], splits, name="leaky")


@pytest.fixture
def gtl(tmp_path, monkeypatch):
    """Runs the command over the data of this test."""
    monkeypatch.setenv("GTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GTL_ARTIFACTS", str(tmp_path / "artifacts"))
    from pipelines.cli.main import invoke

    return lambda *words: invoke(["data", "validate", *words])


def test_a_copy_leaves_out_what_blocks_and_keeps_the_rest_as_it_was(leaky: ImageSet, tmp_path):
    copy = drop_failing(leaky, validate_set(leaky), tmp_path / "data" / "mended")
    kept = [row for row in range(300) if row not in (3, 20)]
    np.testing.assert_array_equal(copy.images, leaky.images[kept])
    pd.testing.assert_frame_equal(copy.manifest, leaky.manifest.iloc[kept].reset_index(drop=True))
    assert copy.classes == leaky.classes
    assert validate_set(copy).passed


def test_a_copy_keeps_images_without_label_as_they_were(digits, make_set, tmp_path):
    images = digits[0][:300].copy()
    images[3] = 0
    labels = [*[UNLABELLED] * 200, *digits[1][200:300]]
    faulty = make_set(images, labels, ["train" if row < 200 else "test" for row in range(300)])
    copy = drop_failing(faulty, validate_set(faulty), tmp_path / "data" / "mended")
    assert copy.labels.tolist() == labels[:3] + labels[4:]
    assert validate_set(copy).passed


def test_a_copy_never_takes_the_place_of_another_set(leaky: ImageSet, tmp_path):
    with pytest.raises(InputError, match="there already"):
        drop_failing(leaky, validate_set(leaky), leaky.folder)
    with pytest.raises(InputError, match="no name for a set"):
        drop_failing(leaky, validate_set(leaky), tmp_path / "Not A Name")
    assert len(ImageSet.load(leaky.folder)) == 300


def test_a_set_that_fails_exits_with_3_and_lists_the_images(leaky: ImageSet, gtl, tmp_path, capsys):
    assert gtl("leaky") == 3
    shown = capsys.readouterr()
    assert "split_leakage" in shown.err
    assert len(shown.err.splitlines()) == 1
    quarantine = pd.read_csv(tmp_path / "artifacts" / "validation" / "leaky" / "quarantine.csv")
    assert {"leaky/3.png", "leaky/20.png"} <= set(quarantine["source_file"])


def test_a_sound_set_exits_with_0_and_speaks_json(digits, make_set, gtl, capsys):
    make_set(digits[0][:300], digits[1][:300], name="sound")
    assert gtl("sound", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["set"] == "sound"
    assert report["passed"] is True


def test_a_leaky_set_is_mended_into_a_copy_that_passes(leaky: ImageSet, gtl, tmp_path):
    assert gtl("leaky", "--drop-to", "mended") == 0
    assert len(ImageSet.load(tmp_path / "data" / "mended")) == 298
    assert gtl("leaky", "--drop-to", "mended") == 2


@pytest.mark.parametrize("name", ["../mended", "inner/mended", "/mended", "..", "Mended", ""])
def test_a_copy_lies_in_data_and_nowhere_else(leaky: ImageSet, gtl, tmp_path, capsys, name):
    before = sorted(tmp_path.rglob("*"))
    assert gtl("leaky", "--drop-to", name) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"gtl: {name!r} cannot name an image set")
    assert told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_is_validated_against_its_target(leaky: ImageSet, digits, make_set, gtl, tmp_path):
    images = digits[0][600:900].copy()
    images[11] = leaky.images[250]
    target = make_set(digits[0][:300], digits[1][:300], name="target")
    make_set(images, digits[1][600:900], name="source")
    assert len(target) == 300
    assert gtl("source") == 0
    images[12] = target.images[5]
    make_set(images, digits[1][600:900], name="source")
    assert gtl("source", "--target", "target") == 3
    assert gtl("source", "--target", "target", "--drop-to", "source-mended") == 0
    assert gtl("source", "--target", "source") == 2
    assert gtl("nothing-of-this-name") == 2
