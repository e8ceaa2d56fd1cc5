"""An export of a generator of sounds holds its sounds too, signed like the pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from mlcroissant import Dataset
from scipy.io import wavfile

from gtl_core.data.mel import MelScale
from gtl_core.errors import InputError
from gtl_core.progress import Progress
from gtl_core.synthesis.export import export_images
from gtl_core.synthesis.signed_manifest import DamagedManifest, parse_manifest
from gtl_core.synthesis.verification import verify_folder
from tests.synthesis.exported_sets import GENERATOR, KEY, lineage_record, synthetic_set

SCALE = MelScale.of(8000, 16, 0.25)


def record_of_sounds(folder: Path) -> dict[str, Any]:
    """A lineage record whose target is a set of sounds."""
    record = lineage_record(folder)
    record["datasets"][1]["sound"] = {**SCALE.to_json(), "longer_than_picture": 0}
    return record


@pytest.fixture
def out(tmp_path: Path) -> Path:
    made = synthetic_set(tmp_path / "set")
    exported = export_images(made, tmp_path / "out", record_of_sounds(made), KEY)
    assert (exported.images, exported.sounds) == (6, 6)
    return tmp_path / "out"


def test_beside_each_picture_lies_its_sound_which_says_that_it_is_synthetic(out: Path) -> None:
    pictures = sorted(path.relative_to(out).with_suffix(".wav") for path in out.rglob("*.png"))
    assert sorted(path.relative_to(out) for path in out.rglob("*.wav")) == pictures
    content = (out / "eins" / "000001.wav").read_bytes()
    rate, samples = wavfile.read(io.BytesIO(content))
    assert (rate, len(samples)) == (8000, SCALE.length)
    for said in (b"Synthetic: true", b"Model: gtl-scans-generator/3", GENERATOR.encode(), b"Class: eins"):
        assert said in content


def test_sounds_are_signed_line_by_line_and_a_changed_or_missing_one_is_found(out: Path) -> None:
    assert verify_folder(out).ok
    header, *lines = map(json.loads, (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    assert (header["images"], header["sounds"], len(lines)) == (6, 6, 12)
    assert lines[6].keys() == {"path", "bytes", "sha256"}
    first, second, *_ = sorted(out.rglob("*.wav"))
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    second.unlink()
    findings = {(finding.kind, finding.file) for finding in verify_folder(out).findings}
    assert findings == {
        ("changed", first.relative_to(out).as_posix()),
        ("missing", second.relative_to(out).as_posix()),
    }


@pytest.mark.parametrize("said", ['"sounds":5', '"sounds":-6', '"sounds":null', '"sounds":"6"'])
def test_a_header_that_counts_other_sounds_is_damaged(said: str, out: Path) -> None:
    text = (out / "manifest.jsonl").read_text(encoding="utf-8")
    with pytest.raises(DamagedManifest, match="and 12 lines follow"):
        parse_manifest(text.replace('"sounds":6', said).encode())


def test_the_same_set_gives_the_same_sounds_to_the_last_bit(out: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    export_images(tmp_path / "set", again, record_of_sounds(tmp_path / "set"), KEY)
    assert (again / "manifest.sig").read_bytes() == (out / "manifest.sig").read_bytes()


def test_the_cards_speak_of_the_sounds_and_croissant_still_loads(out: Path) -> None:
    assert "log-mel pictures of sounds" in (out / "README.md").read_text(encoding="utf-8")
    metadata = Dataset(jsonld=out / "croissant.json").metadata
    assert [each.id for each in metadata.distribution] == ["image-files", "sound-files"]


def test_progress_counts_the_sounds(tmp_path: Path) -> None:
    made = synthetic_set(tmp_path / "set")
    seen: list[Progress] = []
    export_images(made, tmp_path / "out", record_of_sounds(made), KEY, on_progress=seen.append)
    assert (seen[-1].step, seen[-1].total) == (6, 6)


def test_a_card_that_has_lost_its_scale_is_told_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    made = synthetic_set(tmp_path / "set")
    record = record_of_sounds(made)
    del record["datasets"][1]["sound"]["hop"]
    with pytest.raises(InputError, match="scans-new: its card does not say how its sounds became pictures"):
        export_images(made, tmp_path / "out", record, KEY)
    assert not (tmp_path / "out").exists()


def test_an_export_of_images_has_no_sounds(tmp_path: Path) -> None:
    made = synthetic_set(tmp_path / "set")
    assert export_images(made, tmp_path / "out", lineage_record(made), KEY).sounds == 0
    assert not list((tmp_path / "out").rglob("*.wav"))
