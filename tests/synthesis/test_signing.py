"""Signing keys: the user's own is made once and kept from others; a wrong one is refused in words, never shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from gtl_core.errors import InputError
from gtl_core.homes import signing_key_file
from gtl_core.synthesis.signing import fingerprint, public_key, public_pem, read_public_key, signing_key


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own key is to lie; nothing is there yet."""
    monkeypatch.setenv("GTL_ROOT", str(tmp_path / "project"))
    path = tmp_path / "configuration" / "key.pem"
    monkeypatch.setenv("GTL_KEY", str(path))
    return path


def written(path: Path, key: object, guard: KeySerializationEncryption | None = None, mode: int = 0o600) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, guard or NoEncryption()))  # type: ignore[attr-defined]
    path.chmod(mode)
    return path


def test_the_own_key_is_made_on_first_use_readable_by_its_owner_alone_and_is_the_same_ever_after(own: Path):
    first = signing_key()
    assert own.stat().st_mode & 0o777 == 0o600
    assert own.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in own.parent.iterdir()] == ["key.pem"]
    assert fingerprint(signing_key().public_key()) == fingerprint(first.public_key())


def test_without_the_variable_the_own_key_lies_in_the_users_configuration(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("GTL_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert signing_key_file() == tmp_path / "gtl" / "signing_key.pem"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert signing_key_file() == Path.home() / ".config" / "gtl" / "signing_key.pem"


def test_two_first_exports_at_once_sign_with_one_key(own: Path):
    program = "from gtl_core.synthesis.signing import *; print(fingerprint(signing_key().public_key()))"
    started = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0, 0, 0]
    assert [path.name for path in own.parent.iterdir()] == ["key.pem"]


def test_no_key_is_made_inside_the_project(own: Path, monkeypatch):
    monkeypatch.setenv("GTL_KEY", str(own.parents[1] / "project" / "key.pem"))
    with pytest.raises(InputError, match="lies in the project"):
        signing_key()
    assert not (own.parents[1] / "project").exists()


def test_a_key_that_is_given_is_used_and_one_that_is_not_there_is_not_made(own: Path, tmp_path: Path):
    key = Ed25519PrivateKey.generate()
    assert signing_key(written(tmp_path / "given.pem", key)).public_key() == key.public_key()
    with pytest.raises(InputError, match="no key file"):
        signing_key(tmp_path / "absent.pem")
    assert not own.exists()


def test_a_key_that_others_may_read_is_refused(own: Path, tmp_path: Path):
    with pytest.raises(InputError, match="chmod 600"):
        signing_key(written(tmp_path / "key.pem", Ed25519PrivateKey.generate(), mode=0o640))


def test_what_is_no_ed25519_key_is_refused_by_what_it_is_and_nothing_of_it_is_shown(own: Path, tmp_path: Path):
    path = tmp_path / "key.pem"
    path.write_text("my secret words")
    path.chmod(0o600)
    with pytest.raises(InputError, match="no private key in PEM form") as refused:
        signing_key(path)
    assert "secret" not in str(refused.value)
    with pytest.raises(InputError, match="not of Ed25519"):
        signing_key(written(path, rsa.generate_private_key(65537, 2048)))
    with pytest.raises(InputError, match="has a password"):
        signing_key(written(path, Ed25519PrivateKey.generate(), BestAvailableEncryption(b"words")))
    path.write_bytes(b"x" * 5000)
    with pytest.raises(InputError, match="too long"):
        signing_key(path)


def test_a_public_key_is_one_text_and_no_other(tmp_path: Path):
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    pem = public_pem(key)
    assert public_key(pem) == key
    for other in (b"hello\n" + pem, pem + b"\n", pem.replace(b"\n", b"\r\n"), pem[:-1]):
        with pytest.raises(ValueError, match="around or inside"):
            public_key(other)
    # Where a person names the file, how it was copied does not matter.
    (tmp_path / "copied.pem").write_bytes(b"\n" + pem.replace(b"\n", b"\r\n"))
    assert read_public_key(tmp_path / "copied.pem") == key


def test_a_public_key_of_another_kind_is_refused(tmp_path: Path):
    pem = rsa.generate_private_key(65537, 2048).public_key()
    (tmp_path / "rsa.pem").write_bytes(public_pem(pem))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not of Ed25519"):
        read_public_key(tmp_path / "rsa.pem")
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(InputError, match="openssl pkey"):
        read_public_key(tmp_path / "text.pem")
