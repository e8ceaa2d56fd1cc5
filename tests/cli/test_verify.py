"""`gtl verify`: exit codes, a line for what is wrong, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gtl_core.data.mel import MelScale
from gtl_core.synthesis.export import export_images
from gtl_core.synthesis.signing import fingerprint, public_pem
from pipelines.cli.main import invoke
from tests.synthesis.exported_sets import KEY, lineage_record, synthetic_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported folder."""
    made = synthetic_set(tmp_path / "set")
    export_images(made, tmp_path / "out", lineage_record(made), KEY)
    return tmp_path / "out"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The maker's public key, had from the maker."""
    (tmp_path / "maker.pem").write_bytes(public_pem(KEY.public_key()))
    return tmp_path / "maker.pem"


def test_a_whole_folder_of_the_expected_maker_ends_with_0(folder: Path, key_file: Path, capfd):
    assert invoke(["verify", str(folder), "--public-key", str(key_file)]) == 0
    out, err = capfd.readouterr()
    assert "6 images of gtl-scans-generator/3, as signed" in out
    assert f"{fingerprint(KEY.public_key())}, as expected" in out
    assert err == ""


def test_of_pictures_of_sounds_it_counts_the_sounds_too(tmp_path: Path, capfd):
    made = synthetic_set(tmp_path / "set")
    record = lineage_record(made)
    record["datasets"][1]["sound"] = MelScale.of(8000, 16, 0.25).to_json()
    export_images(made, tmp_path / "out", record, KEY)
    assert invoke(["verify", str(tmp_path / "out")]) == 0
    assert "6 images and 6 sounds of gtl-scans-generator/3, as signed" in capfd.readouterr().out
    assert invoke(["verify", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["images"], told["sounds"]) == (6, 6)


def test_without_an_expected_key_it_is_said_that_the_maker_is_not_known(folder: Path, capfd):
    assert invoke(["verify", str(folder)]) == 0
    out = capfd.readouterr().out
    assert "as expected" not in out
    assert "check with --public-key FILE" in out


def test_what_differs_is_a_line_each_and_ends_with_3(folder: Path, capfd):
    (folder / "eins" / "000000.png").write_bytes(b"")
    (folder / "eins" / "000001.png").unlink()
    (folder / "zwei%2Fdrei" / "more.png").touch()
    assert invoke(["verify", str(folder)]) == 3
    out, err = capfd.readouterr()
    for start in ("changed  eins/000000.png", "missing  eins/000001.png", "foreign  zwei%2Fdrei/more.png"):
        assert sum(line.startswith(start) for line in out.splitlines()) == 1
    assert err.count("\n") == 1
    assert "changed 1, missing 1, foreign 1" in err


def test_another_maker_than_the_expected_one_ends_with_3(folder: Path, key_file: Path, capfd):
    key_file.write_bytes(public_pem(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()))
    assert invoke(["verify", str(folder), "--public-key", str(key_file)]) == 3
    assert "expected was" in capfd.readouterr().out


def test_programs_get_every_finding_as_json(folder: Path, capfd):
    for index in range(30):
        (folder / f"{index}.txt").touch()
    assert invoke(["verify", str(folder), "--json"]) == 3
    found = json.loads(capfd.readouterr().out)
    assert (found["ok"], found["signed"], found["expected_key"], found["images"]) == (False, True, None, 6)
    assert found["key"] == fingerprint(KEY.public_key())
    assert len(found["findings"]) == 30
    assert found["findings"][0] == {
        "kind": "foreign",
        "file": "0.txt",
        "what": "a file that the manifest does not name",
    }


def test_people_get_the_first_findings_and_their_number(folder: Path, capfd):
    for index in range(30):
        (folder / f"{index}.txt").touch()
    assert invoke(["verify", str(folder)]) == 3
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1 + 20 + 1
    assert "10 more" in out
    assert "foreign 30" in err


@pytest.mark.parametrize(("named", "message"), [("absent.pem", "no key file"), ("text.pem", "no public key")])
def test_a_key_file_that_is_none_is_bad_input(folder: Path, tmp_path: Path, named: str, message: str, capfd):
    (tmp_path / "text.pem").write_text("hello")
    assert invoke(["verify", str(folder), "--public-key", str(tmp_path / named)]) == 2
    assert message in capfd.readouterr().err


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path, capfd):
    assert invoke(["verify", str(tmp_path / "absent")]) == 2
    assert "no folder" in capfd.readouterr().err
