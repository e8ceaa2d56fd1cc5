"""The signed manifest of a folder: which files it holds, what is in each, and whose word that is.

| file | what |
|---|---|
| `manifest.jsonl` | a header line, then a line for each image, then one for each sound, as JSON |
| `manifest.sig` | the Ed25519 signature of `manifest.jsonl`, 64 bytes |
| `public_key.pem` | the public half of the key that it was made with |

The header names the hashes of all other files of the folder, so that nothing in it goes unsigned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gtl_core.files import file_sha256
from gtl_core.synthesis.signing import public_pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MANIFEST, SIGNATURE, PUBLIC_KEY = "manifest.jsonl", "manifest.sig", "public_key.pem"

MANIFEST_BYTES_LIMIT = 256 * 2**20
"""Bytes of the longest manifest that is read: about 600,000 images."""

_FORMAT = 1
_LINE_BYTES_LIMIT = 64 * 2**10
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedManifest(ValueError):
    """A manifest that does not say what a manifest says; the message names the line."""


@dataclass(frozen=True)
class SignedFile:
    """One file of a manifest.

    Attributes:
        path: below the folder, with `/` between its parts.
        bytes: its length.
        sha256: of its content.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SignedImage(SignedFile):
    """One image of a manifest.

    Attributes:
        pixels_sha256: of the pixels alone, uint8 (C, H, W) in row-major order: the same in whatever file they stand.
        class_name: what it shows.
        seed: of the latents that its set was drawn from.
        generator_sha256: of the checkpoint that it was drawn with.
    """

    pixels_sha256: str
    class_name: str
    seed: int
    generator_sha256: str


@dataclass(frozen=True)
class SignedManifest:
    """What a manifest says.

    Attributes:
        about: the folder as a whole: the `model` that it is of or about, `created`, `software`, and of a set of images
            its `classes`, `size` and `channels`.
        images: in the order of the set; none in a folder that is no set of images.
        files: all other files but those of the manifest itself; the sounds are the last of them.
        sounds: how many of the files are sounds.
    """

    about: Mapping[str, Any]
    images: Sequence[SignedImage]
    files: Sequence[SignedFile]
    sounds: int


def sign_folder(
    folder: Path,
    about: Mapping[str, Any],
    images: Sequence[SignedImage],
    names: Sequence[str],
    key: Ed25519PrivateKey,
    sounds: Sequence[SignedFile] = (),
) -> None:
    """Writes manifest, signature and public key into a folder whose other files are all there.

    Args:
        folder: the folder, not yet at its place: these three files are written one by one.
        about: what the header says of the folder as a whole; JSON-able.
        images: the images.
        names: the other files.
        key: what to sign with.
        sounds: what the images sound like, where they are pictures of sounds.
    """
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in names}
    counts = {"images": len(images)} | ({"sounds": len(sounds)} if sounds else {})
    header = {"gtl_manifest": _FORMAT, **about, **counts, "files": files}
    lines = [_line(header), *(_line(asdict(entry)) for entry in (*images, *sounds))]
    text = "".join(lines).encode()
    (folder / MANIFEST).write_bytes(text)
    (folder / SIGNATURE).write_bytes(key.sign(text))
    (folder / PUBLIC_KEY).write_bytes(public_pem(key.public_key()))


def parse_manifest(text: bytes) -> SignedManifest:
    """What a manifest says, whoever wrote it.

    Args:
        text: the content of `manifest.jsonl`.

    Raises:
        DamagedManifest: a line is not as described, a path leads out of the folder or stands twice, or the number of
            lines is not the one in the header.
    """
    if not text.endswith(b"\n"):
        raise DamagedManifest("its last line is cut off")
    lines = text[:-1].split(b"\n")
    about = _object(lines[0], 1)
    if about.pop("gtl_manifest", None) != _FORMAT:
        raise DamagedManifest("line 1: no header of a manifest of gtl, or of a later version of gtl")
    count, sounds, named = about.pop("images", None), about.pop("sounds", 0), about.pop("files", None)
    if not isinstance(named, dict) or not all(isinstance(value, dict) for value in named.values()):
        raise DamagedManifest("line 1: files is no table of names")
    files = [_record({"path": name, **value}, SignedFile, 1) for name, value in named.items()]
    entries = [(_object(line, number), number) for number, line in enumerate(lines[1:], start=2)]
    if not (_is_count(count) and _is_count(sounds)) or count + sounds != len(entries):
        said = f"{count} images" + (f" and {sounds} sounds" if sounds else "")
        raise DamagedManifest(f"its header speaks of {said} and {len(entries)} lines follow")
    images = [_record(entry, SignedImage, number) for entry, number in entries[:count]]
    files += [_record(entry, SignedFile, number) for entry, number in entries[count:]]
    seen = {MANIFEST, SIGNATURE, PUBLIC_KEY}
    for entry in (*files, *images):
        if entry.path in seen:
            raise DamagedManifest(f"{entry.path!r} stands in it twice")
        seen.add(entry.path)
    return SignedManifest(about, images, files, sounds)


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _object(line: bytes, number: int) -> dict[str, Any]:
    """The JSON object on a line."""
    try:
        if len(line) > _LINE_BYTES_LIMIT:
            raise ValueError
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # json's and Unicode's errors are ValueErrors
        raise DamagedManifest(f"line {number}: no line of a manifest") from error
    if not isinstance(value, dict):
        raise DamagedManifest(f"line {number}: no line of a manifest")
    return value


def _record(values: Mapping[str, Any], kind: type[Any], number: int) -> Any:
    """An entry with just the fields of `kind`, each of them checked."""
    wanted = {field.name: _CHECKS[field.name] for field in fields(kind)}
    if values.keys() != wanted.keys():
        raise DamagedManifest(f"line {number}: expected {', '.join(wanted)}")
    for name, valid in wanted.items():
        if not valid(values[name]):
            raise DamagedManifest(f"line {number}: {name} cannot be {_short(values[name])}")
    return kind(**values)


def _is_path(value: Any) -> bool:
    """Whether a text names a file below the folder and nothing else, on every operating system."""
    if not isinstance(value, str) or not value.isprintable() or set(value) & set('\\:*?"<>|'):
        return False
    path = PurePosixPath(value)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.as_posix() == value


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "path": _is_path,
    "bytes": _is_count,
    "sha256": _is_sha256,
    "pixels_sha256": _is_sha256,
    "class_name": lambda value: isinstance(value, str),
    "seed": lambda value: type(value) is int,
    "generator_sha256": _is_sha256,
}
