"""Exported sets: pictures that say what they are, in a folder that is whole, repeatable and signed, or not there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.synthesis.export import export_images
from gtl_core.synthesis.signing import fingerprint
from gtl_core.synthesis.synthetic_set import SyntheticSet
from tests.synthesis.exported_sets import CLASSES, GENERATOR, KEY, lineage_record, synthetic_set

EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


@pytest.fixture
def made(tmp_path: Path) -> SyntheticSet:
    return SyntheticSet.load(synthetic_set(tmp_path / "set"))


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_hold_the_pixels_and_say_that_they_are_synthetic_and_of_which_model(channels: int, tmp_path: Path):
    made = SyntheticSet.load(synthetic_set(tmp_path / "set", channels=channels))
    exported = export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY)
    assert (exported.images, exported.left_out) == (6, 0)
    for row in range(6):
        with Image.open(tmp_path / "out" / made.manifest["source_file"][row]) as picture:
            pixels = np.asarray(picture)
            assert np.array_equal(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), made.images[row])
            assert picture.text["Synthetic"] == "true"
            assert picture.text["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
            assert picture.text["GeneratorSHA256"] == GENERATOR
            assert picture.text["Class"] == CLASSES[made.labels[row]]
            assert picture.text["Seed"] == "7"
            assert picture.text["Model"] == "gtl-scans-generator/3"
    assert b"tEXtSynthetic\x00true" in (tmp_path / "out" / made.manifest["source_file"][0]).read_bytes()


def test_picture_software_finds_the_source_type_in_the_xmp_packet_where_iptc_puts_it(
    made: SyntheticSet, tmp_path: Path
):
    export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY)
    with Image.open(tmp_path / "out" / "eins" / "000000.png") as picture:
        packet = ElementTree.fromstring(picture.text["XML:com.adobe.xmp"])  # noqa: S314 - our own
    (description,) = packet.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.attrib[f"{EXTENSION}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


def test_the_same_set_and_key_give_the_same_files_to_the_last_bit(made: SyntheticSet, tmp_path: Path):
    for out in ("first", "second"):
        export_images(made.folder, tmp_path / out, lineage_record(made.folder), KEY, "CC-BY-4.0")
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")


def test_the_manifest_has_a_header_and_a_line_for_each_image_with_its_hashes_class_seed_and_generator(
    made: SyntheticSet, tmp_path: Path
):
    exported = export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY)
    header, *lines = map(json.loads, (tmp_path / "out" / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    assert (header["model"], header["images"], header["classes"]) == ("gtl-scans-generator/3", 6, list(CLASSES))
    files = files_of(tmp_path / "out")
    assert {name: said["sha256"] for name, said in header["files"].items()} == {
        name: files[name] for name in ("README.md", "croissant.json")
    }
    assert [line["path"] for line in lines] == made.manifest["source_file"].tolist()
    assert [line["pixels_sha256"] for line in lines] == made.manifest["sha256"].tolist()
    assert [line["class_name"] for line in lines] == [CLASSES[label] for label in made.labels]
    for line in lines:
        assert line["sha256"] == files[line["path"]]
        assert (line["seed"], line["generator_sha256"]) == (7, GENERATOR)
    assert exported.key == fingerprint(KEY.public_key())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
def test_openssl_alone_verifies_the_signature_with_the_line_that_the_card_gives(made: SyntheticSet, tmp_path: Path):
    out = tmp_path / "out"
    exported = export_images(made.folder, out, lineage_record(made.folder), KEY)
    card = (out / "README.md").read_text(encoding="utf-8")
    (command,) = (line for line in card.splitlines() if line.startswith("openssl pkeyutl"))
    answer = subprocess.run(command.split(), cwd=out, capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert "Verified Successfully" in answer.stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", "public_key.pem", "-outform", "DER", "-out", tmp_path / "der"],
        cwd=out,
        check=True,
    )
    assert der.returncode == 0
    assert file_sha256(tmp_path / "der") == exported.key
    (out / "manifest.jsonl").write_bytes((out / "manifest.jsonl").read_bytes() + b"\n")
    assert subprocess.run(command.split(), cwd=out, capture_output=True, check=False).returncode != 0


def test_an_image_that_the_filter_dropped_stays_behind_and_its_absence_is_told(tmp_path: Path):
    folder = synthetic_set(tmp_path / "set", reasons=("", "copy", "", "sparse"))
    exported = export_images(folder, tmp_path / "out", lineage_record(folder), KEY)
    assert (exported.images, exported.left_out) == (4, 2)
    pictures = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert "eins/000001.png" not in pictures
    assert len(pictures) == 4
    assert "dropped 2 images" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_set_of_which_the_filter_dropped_every_image_is_not_exported(tmp_path: Path):
    folder = synthetic_set(tmp_path / "set", reasons=("copy",) * 6)
    with pytest.raises(InputError, match="dropped every image"):
        export_images(folder, tmp_path / "out", lineage_record(folder), KEY)
    assert not (tmp_path / "out").exists()


def test_an_export_never_writes_into_a_folder_that_is_there(made: SyntheticSet, tmp_path: Path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="there already"):
        export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_no_synthetic_set_leaves_nothing(made: SyntheticSet, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="image set"):
        export_images(tmp_path / "empty", tmp_path / "out", lineage_record(made.folder), KEY)
    assert {path.name for path in tmp_path.iterdir()} == {"set", "empty"}


def test_images_other_than_the_registered_ones_are_never_signed(made: SyntheticSet, tmp_path: Path):
    record = lineage_record(made.folder)
    record["synthetic"]["manifest_sha256"] = "0" * 64
    with pytest.raises(InputError, match="not the synthetic set that was registered"):
        export_images(made.folder, tmp_path / "out", record, KEY)
    pixels = np.lib.format.open_memmap(made.folder / "images.npy", mode="r+")
    pixels[4, 0, 0, 0] ^= 1
    pixels.flush()
    with pytest.raises(InputError, match="its pixels have changed"):
        export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY)
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


def test_an_export_that_is_stopped_at_its_last_step_leaves_nothing(made: SyntheticSet, tmp_path: Path):
    class Stopped:
        """A key whose owner presses Ctrl-C while it signs."""

        public_key = KEY.public_key

        def sign(self, _text: bytes) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_images(made.folder, tmp_path / "out", lineage_record(made.folder), Stopped())
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


@pytest.mark.parametrize("licence", ["CC BY 4.0", "../mit", "", "mit\nx: y"])
def test_a_licence_that_is_no_identifier_is_refused(licence: str, made: SyntheticSet, tmp_path: Path):
    with pytest.raises(InputError, match="--licence"):
        export_images(made.folder, tmp_path / "out", lineage_record(made.folder), KEY, licence)


def test_the_program_in_the_documentation_verifies_a_folder_without_gtl(made: SyntheticSet, tmp_path: Path):
    page = Path(__file__).parents[2] / "docs" / "provenance.md"
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    out = tmp_path / "out"
    export_images(made.folder, out, lineage_record(made.folder), KEY)

    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", "-c", program, out], capture_output=True, text=True, check=False)

    assert (ran().returncode, ran().stdout) == (0, "as signed\n")
    (out / "eins" / "000001.png").write_bytes(b"")
    (out / "more.png").touch()
    assert (ran().returncode, ran().stdout) == (1, "differing: ['eins/000001.png', 'more.png']\n")
    (out / "manifest.jsonl").write_bytes((out / "manifest.jsonl").read_bytes().replace(b"eins", b"Eins"))
    assert "InvalidSignature" in ran().stderr
