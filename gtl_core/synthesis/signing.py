"""Ed25519 keys: reading one, making one on first use, and telling public keys apart.

Ed25519 is RFC 8032. Keys are PEM files as OpenSSL writes them (`openssl genpkey -algorithm ed25519`), private ones
without a password, because exports run unattended; the file's permissions guard them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gtl_core.errors import InputError
from gtl_core.homes import Homes, signing_key_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES_LIMIT = 4096
"""Bytes of the longest file that is read as a key; an Ed25519 key takes 120."""

_MAKE_ONE = "make one with: openssl genpkey -algorithm ed25519 -out FILE"


def signing_key(given: Path | None = None) -> Ed25519PrivateKey:
    """The key to sign with: the one that is given, else the user's own, which is made where there is none.

    Args:
        given: file of a private key.

    Raises:
        InputError: the file is not there, is no Ed25519 private key, has a password, or others may read it; or a new
            key would come to lie in the project.
    """
    if given is not None:
        return _read_private(given)
    path = signing_key_file()
    if not path.exists():
        _make(path)
    return _read_private(path)


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as PEM, the one form that is accepted of it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_key(pem: bytes) -> Ed25519PublicKey:
    """The key in a PEM, to the byte as `public_pem` gives it.

    Raises:
        ValueError: it is something else.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a public key, but not of Ed25519")
    # What stands around a PEM is skipped by its readers; here nothing may.
    if public_pem(key) != pem:
        raise ValueError("a public key with something around or inside it that does not belong there")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a file that a person names.

    Raises:
        InputError: it is not there or holds no Ed25519 public key.
    """
    try:
        return public_key(_read(path).strip().replace(b"\r\n", b"\n") + b"\n")
    except ValueError as error:
        raise InputError(f"{path}: {error}; openssl pkey -in KEY -pubout gives that of a private key") from error


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key's DER form, 64 hexadecimal digits: what two people compare by telephone."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _read_private(path: Path) -> Ed25519PrivateKey:
    """The key in a file that nobody but its owner may read; what the file holds is in no message."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(path)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputError(f"{path}: others may read this private key; chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise InputError(f"{path}: this private key has a password; give one without, guarded by chmod 600") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: no private key in PEM form; {_MAKE_ONE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: a private key, but not of Ed25519; {_MAKE_ONE}")
    return key


def _read(path: Path) -> bytes:
    """A small regular file.

    Raises:
        InputError: it is something else.
    """
    if not path.is_file():
        raise InputError(f"no key file {path}")
    if path.stat().st_size > KEY_BYTES_LIMIT:
        raise InputError(f"{path}: too long for a key")
    return path.read_bytes()


def _make(path: Path) -> None:
    """Puts a new private key at `path`, readable by its owner alone from the first byte on.

    Of two processes that come here at once, the first one's key stays for both.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if path.resolve().is_relative_to(Homes.locate().root):
        raise InputError(f"GTL_KEY: {path} lies in the project, from where a key gets copied; name a file elsewhere")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(pem)
        with suppress(FileExistsError):
            os.link(name, path)  # unlike a rename, never takes the place of a key that is there
    finally:
        Path(name).unlink()
