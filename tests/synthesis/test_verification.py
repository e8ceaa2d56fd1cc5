"""A signed folder is as its maker left it, or what differs is named; nothing in it is trusted or followed."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gtl_core.errors import InputError
from gtl_core.synthesis.export import export_images
from gtl_core.synthesis.signed_manifest import MANIFEST_BYTES_LIMIT, DamagedManifest, parse_manifest
from gtl_core.synthesis.signing import fingerprint, public_pem
from gtl_core.synthesis.verification import FOREIGN_LIMIT, Verification, verify_folder
from tests.synthesis.exported_sets import KEY, lineage_record, synthetic_set

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder that no test changes."""
    root = tmp_path_factory.mktemp("original")
    folder = synthetic_set(root / "set")
    export_images(folder, root / "out", lineage_record(folder), KEY)
    return root / "out"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(original, tmp_path / "out"))


def found(verification: Verification) -> set[tuple[str, str]]:
    return {(finding.kind, finding.file) for finding in verification.findings}


def resign(folder: Path, change: Callable[[list[dict]], None]) -> None:
    """Changes the lines of a manifest and signs it anew, as somebody with a key of their own would."""
    path = folder / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "manifest.sig").write_bytes(OTHER.sign(path.read_bytes()))
    (folder / "public_key.pem").write_bytes(public_pem(OTHER.public_key()))


def test_an_untouched_folder_is_as_it_was_signed_and_by_whom(folder: Path):
    verification = verify_folder(folder, KEY.public_key())
    assert verification.ok
    assert (verification.signed, verification.expected) == (True, True)
    assert verification.key == fingerprint(KEY.public_key())
    assert verification.manifest is not None
    assert len(verification.manifest.images) == 6
    assert verify_folder(folder).expected is None


@MANY
@given(data=st.data())
def test_any_byte_that_is_changed_in_any_file_is_found(original: Path, tmp_path: Path, data: st.DataObject):
    names = sorted(str(path.relative_to(original)) for path in original.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from(names))
    content = bytearray((original / name).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    folder = tmp_path / "out"
    if not folder.exists():
        shutil.copytree(original, folder)
    (folder / name).write_bytes(content)
    verification = verify_folder(folder)
    (folder / name).write_bytes((original / name).read_bytes())
    assert not verification.ok
    assert verify_folder(folder).ok


@MANY
@given(data=st.data(), cut=st.booleans())
def test_any_file_that_is_cut_or_lengthened_is_found(original: Path, tmp_path: Path, data: st.DataObject, cut: bool):
    names = sorted(str(path.relative_to(original)) for path in original.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from(names))
    content = (original / name).read_bytes()
    changed = (
        content[: data.draw(st.integers(0, len(content) - 1))]
        if cut
        else content + data.draw(st.binary(min_size=1, max_size=9))
    )
    folder = tmp_path / "out"
    if not folder.exists():
        shutil.copytree(original, folder)
    (folder / name).write_bytes(changed)
    verification = verify_folder(folder)
    (folder / name).write_bytes(content)
    assert not verification.ok


@settings(max_examples=300, deadline=None)
@given(
    text=st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.from_regex(rb'\{"[a-z":0-9,{}\[\]]*\n')
)
def test_a_manifest_of_any_bytes_is_refused_in_words(text: bytes):
    with pytest.raises(DamagedManifest):
        parse_manifest(text)


def test_a_changed_a_missing_and_a_foreign_file_are_each_named(folder: Path):
    (folder / "eins" / "000000.png").write_bytes(b"something else")
    (folder / "eins" / "000001.png").unlink()
    (folder / "eins" / "new.png").write_bytes(b"")
    (folder / "README.md").write_text("buy now")
    verification = verify_folder(folder)
    assert found(verification) == {
        ("changed", "eins/000000.png"),
        ("missing", "eins/000001.png"),
        ("foreign", "eins/new.png"),
        ("changed", "README.md"),
    }
    assert verification.signed


def test_an_image_that_only_moved_is_missing_in_one_place_and_foreign_in_the_other(folder: Path):
    (folder / "eins" / "000000.png").rename(folder / "zwei%2Fdrei" / "000009.png")
    assert found(verify_folder(folder)) == {("missing", "eins/000000.png"), ("foreign", "zwei%2Fdrei/000009.png")}


def test_an_image_that_was_saved_again_without_its_texts_is_told_from_one_of_other_pixels(folder: Path):
    path = folder / "eins" / "000000.png"
    with Image.open(path) as picture:
        pixels = picture.copy()
    pixels.info.clear()
    pixels.save(path)
    (finding,) = verify_folder(folder).findings
    assert "its pixels are as signed" in finding.what
    pixels.putpixel((0, 0), pixels.getpixel((0, 0)) ^ 1)
    pixels.save(path)
    (finding,) = verify_folder(folder).findings
    assert "something else" in finding.what


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.sig", "public_key.pem"])
def test_without_one_of_the_three_files_of_the_signature_nothing_is_signed(folder: Path, name: str):
    (folder / name).unlink()
    verification = verify_folder(folder)
    assert ("missing", name) in found(verification)
    assert not verification.signed


def test_a_folder_that_gtl_has_not_exported_is_told_so(tmp_path: Path):
    (tmp_path / "cat.png").write_bytes(b"")
    verification = verify_folder(tmp_path)
    assert {kind for kind, _ in found(verification)} == {"missing"}
    with pytest.raises(InputError, match="no folder"):
        verify_folder(tmp_path / "cat.png")


def test_who_signs_a_forgery_with_a_key_of_their_own_is_found_by_the_expected_key_only(folder: Path):
    def drop(lines: list[dict]) -> None:
        lines.pop()
        lines[0]["images"] -= 1

    resign(folder, drop)
    (folder / "%CE%BB" / "000001.png").unlink()
    assert verify_folder(folder).ok  # it is as its signer left it, whoever that is
    verification = verify_folder(folder, KEY.public_key())
    assert found(verification) == {("key", "public_key.pem")}
    assert verification.expected is False
    assert fingerprint(OTHER.public_key()) in verification.findings[0].what


def test_a_signature_of_another_text_or_by_another_key_does_not_verify(folder: Path):
    (folder / "public_key.pem").write_bytes(public_pem(OTHER.public_key()))
    assert found(verify_folder(folder)) == {("signature", "manifest.sig")}
    (folder / "public_key.pem").write_bytes(public_pem(KEY.public_key()))
    (folder / "manifest.sig").write_bytes(KEY.sign(b"another text"))
    assert found(verify_folder(folder)) == {("signature", "manifest.sig")}


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", "a/../../b", "./a.png", "a//b.png", "C:\\a", "a\\b", "a\nb", "\x1b[2J", "", "."],
)
def test_a_path_that_leads_out_of_the_folder_or_is_written_oddly_damages_the_manifest(folder: Path, path: str):
    (folder.parent / "secret").write_text("not to be read")

    def lead_out(lines: list[dict]) -> None:
        lines[1]["path"] = path

    resign(folder, lead_out)
    verification = verify_folder(folder)
    (damaged,) = (finding for finding in verification.findings if finding.kind == "damaged")
    assert "line 2: path cannot be" in damaged.what
    assert damaged.what.isprintable()
    assert verification.manifest is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(), "speaks of 6 images and 5 lines"),
        (lambda lines: lines[2].update(path=lines[1]["path"]), "stands in it twice"),
        (lambda lines: lines[1].update(path="manifest.sig"), "stands in it twice"),
        (lambda lines: lines[1].update(bytes=-1), "line 2: bytes cannot be -1"),
        (lambda lines: lines[1].update(bytes=True), "line 2: bytes cannot be True"),
        (lambda lines: lines[3].update(sha256="A" * 64), "line 4: sha256 cannot be"),
        (lambda lines: lines[1].pop("seed"), "line 2: expected path, bytes"),
        (lambda lines: lines[1].update(more=1), "line 2: expected path, bytes"),
        (lambda lines: lines[0].update(gtl_manifest=2), "later version"),
        (lambda lines: lines[0].update(files=[]), "files is no table"),
        (lambda lines: lines[1].update(class_name="x" * 70_000), "line 2: no line"),
        (lambda lines: lines.clear(), "last line is cut off"),
    ],
)
def test_a_damaged_manifest_is_told_by_its_line(folder: Path, change: Callable[[list[dict]], None], message: str):
    resign(folder, change)
    (damaged,) = (finding for finding in verify_folder(folder).findings if finding.kind == "damaged")
    assert message in damaged.what


def test_a_json_of_great_depth_is_a_damaged_line(folder: Path):
    text = (folder / "manifest.jsonl").read_bytes() + b"[" * 50_000 + b"\n"
    (folder / "manifest.jsonl").write_bytes(text)
    (damaged,) = (finding for finding in verify_folder(folder).findings if finding.kind == "damaged")
    assert "line 8: no line" in damaged.what


def test_links_are_named_and_never_followed(folder: Path, tmp_path: Path):
    shutil.copy(folder / "eins" / "000000.png", tmp_path / "same.png")
    (folder / "eins" / "000000.png").unlink()
    (folder / "eins" / "000000.png").symlink_to(tmp_path / "same.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "private.txt").write_text("private")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert found(verify_folder(folder)) == {
        ("missing", "eins/000000.png"),
        ("foreign", "eins/000000.png"),
        ("foreign", "more"),
    }


def test_a_linked_manifest_is_not_read(folder: Path, tmp_path: Path):
    shutil.move(folder / "manifest.jsonl", tmp_path / "manifest.jsonl")
    (folder / "manifest.jsonl").symlink_to(tmp_path / "manifest.jsonl")
    verification = verify_folder(folder)
    assert found(verification) == {("damaged", "manifest.jsonl")}
    assert not verification.signed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_named_and_not_waited_for(folder: Path):
    os.mkfifo(folder / "eins" / "pipe")
    (folder / "manifest.sig").unlink()
    os.mkfifo(folder / "manifest.sig")
    assert found(verify_folder(folder)) == {("foreign", "eins/pipe"), ("damaged", "manifest.sig")}


def test_a_manifest_beyond_the_limit_is_not_read(folder: Path):
    with (folder / "manifest.jsonl").open("r+b") as stream:
        stream.truncate(MANIFEST_BYTES_LIMIT + 1)  # sparse: it takes no room
    (damaged,) = verify_folder(folder).findings
    assert "longer than" in damaged.what


def test_a_small_file_that_unpacks_to_very_many_pixels_is_changed_and_not_unpacked(folder: Path):
    buffer = io.BytesIO()
    Image.new("L", (6_000, 6_000)).save(buffer, format="PNG")
    (folder / "eins" / "000000.png").write_bytes(buffer.getvalue())
    assert found(verify_folder(folder)) == {("changed", "eins/000000.png")}


def test_of_very_many_foreign_files_the_first_are_named_and_the_rest_counted(folder: Path):
    for index in range(FOREIGN_LIMIT + 5):
        (folder / f"{index}.txt").touch()
    findings = verify_folder(folder).findings
    assert len(findings) == FOREIGN_LIMIT + 1
    assert "5 more" in findings[0].what


def test_a_foreign_name_that_would_move_a_terminals_cursor_is_written_out(folder: Path):
    (folder / "a\x1b[2Jb").touch()
    os.close(os.open(os.fsencode(folder) + b"/\xff", os.O_CREAT))
    names = {finding.file for finding in verify_folder(folder).findings}
    assert names == {"a\\x1b[2Jb", "\\udcff"}
    for name in names:
        name.encode()
