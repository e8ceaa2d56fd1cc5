"""Checking a folder against its signed manifest; nothing in the folder is trusted before that."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.errors import InputError
from gtl_core.synthesis.signed_manifest import (
    MANIFEST,
    MANIFEST_BYTES_LIMIT,
    PUBLIC_KEY,
    SIGNATURE,
    DamagedManifest,
    SignedFile,
    SignedImage,
    SignedManifest,
    parse_manifest,
)
from gtl_core.synthesis.signing import KEY_BYTES_LIMIT, fingerprint, public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FOREIGN_LIMIT = 1000
"""Foreign files that are listed; a folder may hold any number of them."""

_SIGNATURE_BYTES = 64
_DECODED_BYTES_LIMIT = 16 * 2**20
"""Bytes of the largest image file that is decoded, to tell whether it is only its wrapping that has changed."""

Kind = Literal["changed", "missing", "foreign", "damaged", "signature", "key"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was signed.

    Attributes:
        kind: what sort of thing.
        file: the file's path below the folder.
        what: what is wrong with it, in words.
    """

    kind: Kind
    file: str
    what: str


@dataclass(frozen=True)
class Verification:
    """What a check of a folder has found.

    Attributes:
        findings: empty where every file is as it was signed.
        key: fingerprint of the key that the folder says it was signed with; None where it cannot be read.
        signed: whether the signature is that of this manifest by this key.
        expected: whether the key is the one that was asked for; None where none was.
        manifest: what the manifest says; None where it cannot be read. Only to be believed where `signed`.
    """

    findings: tuple[Finding, ...]
    key: str | None
    signed: bool
    expected: bool | None
    manifest: SignedManifest | None

    @property
    def ok(self) -> bool:
        """Whether every file is as it was signed, by the expected key where one was named."""
        return not self.findings


def verify_folder(folder: Path, expected: Ed25519PublicKey | None = None) -> Verification:
    """Checks that a folder holds the files of its signed manifest, all of them, unchanged, and no others.

    Memory grows with the manifest and not with the images. Symbolic links are reported and never followed.

    Args:
        folder: what an export or an audit has made, from wherever it comes.
        expected: the public key of whom it should come from. Without it this shows only that the folder is as its
            signer left it, whoever that is.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}")
    findings: list[Finding] = []
    text = _small(folder, MANIFEST, MANIFEST_BYTES_LIMIT, findings)
    signature = _small(folder, SIGNATURE, _SIGNATURE_BYTES, findings)
    key = _key(folder, findings)
    if key and expected and fingerprint(key) != fingerprint(expected):
        what = f"the folder was signed with the key {fingerprint(key)}, expected was {fingerprint(expected)}"
        findings.append(Finding("key", PUBLIC_KEY, what))
    signed = False
    if text is not None and signature is not None and (key or expected):
        signed = _is_signed(text, signature, key or expected)
        if not signed:
            what = "the signature is not that of this manifest by this key: one of the three was changed"
            findings.append(Finding("signature", SIGNATURE, what))
    manifest = None
    if text is not None:
        try:
            manifest = parse_manifest(text)
        except DamagedManifest as error:
            findings.append(Finding("damaged", MANIFEST, f"{error}; the other files were not compared with it"))
    if manifest:
        findings += _compare(folder, manifest)
    return Verification(
        findings=tuple(findings),
        key=fingerprint(key) if key else None,
        signed=signed,
        expected=key is not None and fingerprint(key) == fingerprint(expected) if expected else None,
        manifest=manifest,
    )


def _small(folder: Path, name: str, limit: int, findings: list[Finding]) -> bytes | None:
    """A file of at most `limit` bytes; None where there is no such one, which is then among the findings."""
    try:
        with os.fdopen(_opened(folder / name), "rb") as stream:
            content = stream.read(limit + 1)
    except FileNotFoundError:
        findings.append(Finding("missing", name, "the folder was not signed by gtl, or this file was taken away"))
    except OSError as error:
        findings.append(Finding("damaged", name, _reason(error)))
    else:
        if len(content) <= limit:
            return content
        findings.append(Finding("damaged", name, f"it is longer than the {limit} bytes that are read of it"))
    return None


def _key(folder: Path, findings: list[Finding]) -> Ed25519PublicKey | None:
    """The public key that lies in the folder."""
    pem = _small(folder, PUBLIC_KEY, KEY_BYTES_LIMIT, findings)
    try:
        return public_key(pem) if pem is not None else None
    except ValueError as error:
        findings.append(Finding("damaged", PUBLIC_KEY, str(error)))
        return None


def _is_signed(text: bytes, signature: bytes, key: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _compare(folder: Path, manifest: SignedManifest) -> list[Finding]:
    """What in a folder is not as its manifest says, by path."""
    entries: dict[str, SignedFile] = {entry.path: entry for entry in (*manifest.files, *manifest.images)}
    absent = set(entries)
    findings: list[Finding] = []
    foreign = 0
    for path, kind in _walk(folder):
        if path in entries and kind == "file":
            absent.remove(path)
            what = _difference(folder / path, entries[path])
            if what:
                findings.append(Finding("changed", path, what))
        elif path not in (MANIFEST, SIGNATURE, PUBLIC_KEY):
            foreign += 1
            if foreign <= FOREIGN_LIMIT:
                findings.append(Finding("foreign", _shown(path), f"a {kind} that the manifest does not name"))
    if foreign > FOREIGN_LIMIT:
        findings.append(Finding("foreign", ".", f"{foreign - FOREIGN_LIMIT} more that the manifest does not name"))
    findings += [Finding("missing", path, "the manifest names it") for path in absent]
    return sorted(findings, key=lambda finding: (finding.file, finding.kind))


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything below a folder that is no folder: its path, and whether it is a file, a link or something special."""
    rest = [""]
    while rest:
        below = rest.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    path = below + entry.name
                    if entry.is_symlink():
                        yield path, "symbolic link"
                    elif entry.is_dir():
                        rest.append(path + "/")
                    else:
                        yield path, "file" if entry.is_file() else "special file"
        except PermissionError:
            yield below, "folder without permission to read it"


def _shown(path: str) -> str:
    """A path that may be printed, whatever the name of a file holds that somebody else has made."""
    return path if path.isprintable() else ascii(path)[1:-1]


def _difference(path: Path, entry: SignedFile) -> str:
    """How a file differs from its entry; empty where it does not."""
    try:
        with os.fdopen(_opened(path), "rb") as stream:
            # A file of another length is not read: it may be of any length.
            same_length = os.fstat(stream.fileno()).st_size == entry.bytes
            if same_length and hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256:
                return ""
            if isinstance(entry, SignedImage) and _has_pixels(stream, entry):
                return "the file was written anew; its pixels are as signed"
    except OSError as error:
        return _reason(error)
    return "it holds something else than what was signed"


def _has_pixels(stream: Any, entry: SignedImage) -> bool:
    """Whether an open file is an image with the pixels of an entry."""
    import numpy as np
    from PIL import Image

    if os.fstat(stream.fileno()).st_size > _DECODED_BYTES_LIMIT:
        return False
    stream.seek(0)
    try:
        with Image.open(stream, formats=["PNG"]) as picture:
            if picture.mode not in ("L", "RGB") or picture.width * picture.height > _DECODED_BYTES_LIMIT:
                return False
            pixels = np.asarray(picture)
    except Exception:  # noqa: BLE001 - a decoder's answers to a broken file are many, and mean the same here
        return False
    planes = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return hashlib.sha256(planes.tobytes()).hexdigest() == entry.pixels_sha256


def _opened(path: Path) -> int:
    """A descriptor of a regular file; a link is not followed, and a pipe is not waited for.

    Raises:
        OSError: it is no regular file, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file")
    return descriptor


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or error}"
