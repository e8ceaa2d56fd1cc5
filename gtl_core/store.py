"""Stage outputs in `artifacts/`, addressed by what they were made from.

A stage's folder is `artifacts/EXPERIMENT/STAGE/KEY`, where the key is a hash of its inputs (configuration, keys of
the stages before it, versions of data) and of the code that makes it. A folder that is there is whole: it is built
under another name and renamed at the end. What a killed build had written stays there under that other name, so
that the next build of the same key can go on from it; two processes never build in one folder at once.

A key says nothing of its experiment, so what another experiment has made from the same need not be made again.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from gtl_core.files import canonical_sha256, file_sha256, link_file, read_json, write_json

RECORD = "stage.json"


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        name: its name, such as `source_gan` or `transferred_gan/finetune/draw-0`.
        key: hash of what it was made from; the name of its folder.
        path: its folder.
        version: hash of what was made: the data version that Dagster is told.
        seconds: how long the build took, when it took place.
        reused: whether it was there already.
        taken_over: whether another experiment had made it, and this one took it over just now.
    """

    name: str
    key: str
    path: Path
    version: str
    seconds: float
    reused: bool
    taken_over: bool = False


def _any_inputs() -> None:
    """Takes the inputs of a stage as they are."""


@dataclass(frozen=True)
class StageStore:
    """The stages of one experiment.

    Attributes:
        artifacts: the home of all stages.
        experiment: the experiment's name.
        require_same_inputs: raises where what stages are made from is not what their keys say any more. It is asked
            before and after each build, and what was made meanwhile is thrown away. Worker processes are handed it.
    """

    artifacts: Path
    experiment: str
    require_same_inputs: Callable[[], None] = _any_inputs

    def key(self, inputs: Mapping[str, Any], code: str) -> str:
        """Key of a stage that is made from `inputs` (JSON-able) by code of version `code`."""
        return canonical_sha256({"inputs": inputs, "code": code})[:16]

    def path(self, name: str, key: str) -> Path:
        """Folder of a stage, whether it is there or not."""
        return self.artifacts / self.experiment / name / key

    def find(self, name: str, key: str) -> Stage | None:
        """The finished stage, or None."""
        path = self.path(name, key)
        if not (path / RECORD).is_file():
            return None
        record = read_json(path / RECORD)
        return Stage(name, key, path, record["version"], record["seconds"], reused=True)

    def build(
        self, name: str, key: str, make: Callable[[Path], None], *, force: bool = False, shared: bool = False
    ) -> Stage:
        """The finished stage, made by `make` unless it is there.

        Args:
            name: the stage's name; slashes make folders.
            key: from `key`.
            make: writes the stage's files into the folder that it is given, which may hold what an interrupted
                earlier call had written.
            force: make it anew even where it is there, from an empty folder.
            shared: whether its files tell nothing of their experiment, so that those of another one do as well.

        Raises:
            GtlError: what `require_same_inputs` raises.
        """
        found = self.find(name, key)
        if found and not force:
            return found
        path = self.path(name, key)
        partial = path.with_name(f".{key}.partial")
        with _alone(partial):
            found = self.find(name, key)
            if found and not force:  # made by the process that this one has waited for
                partial.rmdir()
                return found
            if shared and not force and (found := self._take_over(name, key, partial)):
                return found
            return self._make(name, key, make, partial, force=force)

    def _take_over(self, name: str, key: str, partial: Path) -> Stage | None:
        """The stage with the files of another experiment's, if one has made it and they are whole, else None."""
        for record in sorted(self.artifacts.glob(f"*/{glob.escape(name)}/{key}/{RECORD}")):
            files = _whole(record.parent)
            if files is None:
                continue
            _clear(partial)
            with contextlib.suppress(OSError):  # removed meanwhile
                for file in (*files, RECORD):
                    link_file(record.parent / file, partial / file)
            if _whole(partial) is not None:
                _rename(partial, self.path(name, key))
                found = self.find(name, key)
                return replace(found, taken_over=True) if found else None
            _clear(partial)  # what is made here must not be written into the files of the other
        return None

    def _make(self, name: str, key: str, make: Callable[[Path], None], partial: Path, *, force: bool) -> Stage:
        """Makes a stage in its unfinished folder, and gives that its own name at the end."""
        path = self.path(name, key)
        if force:
            _clear(partial)
        self.require_same_inputs()
        started = time.monotonic()
        try:
            make(partial)
        finally:
            self._discard_if_mixed(partial)
        seconds = time.monotonic() - started
        files = {
            str(file.relative_to(partial)): file_sha256(file)
            for file in sorted(partial.rglob("*"))
            if file.is_file() and file.name != RECORD
        }
        version = canonical_sha256(files)
        write_json(partial / RECORD, {"name": name, "key": key, "version": version, "seconds": seconds, "files": files})
        _rename(partial, path)
        return Stage(name, key, path, version, seconds, reused=False)

    def _discard_if_mixed(self, partial: Path) -> None:
        """Removes what was built, so that nothing goes on from it, where the inputs have changed under it."""
        try:
            self.require_same_inputs()
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _rename(partial: Path, path: Path) -> None:
    """Gives a stage that is made its own name; one that has it already goes."""
    if not path.exists():
        partial.replace(path)
        return
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    path.replace(old)
    partial.replace(path)
    shutil.rmtree(old)


def _whole(folder: Path) -> list[str] | None:
    """The files of a finished stage, where all are as they were made; None where one is damaged or gone."""
    try:
        files = read_json(folder / RECORD)["files"]
        same = all(file_sha256(folder / name) == sha256 for name, sha256 in files.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # the record may hold any JSON
        return None
    return list(files) if same else None


def _clear(folder: Path) -> None:
    """Removes what is in a folder, which itself stays, with the lock on it."""
    for left in list(folder.iterdir()):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes a folder and keeps every other process that asks for it waiting, until the block ends.

    A worker of a run that was killed may go on for a moment without knowing it, and whoever repeats the run must not
    write where it writes. The system frees the lock, which lies on the folder itself, when its process ends.
    """
    handle = _locked(folder)
    try:
        yield
    finally:
        os.close(handle)


def _locked(folder: Path) -> int:
    """Opens and locks a folder, which is made where it is not there."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Who held it before may have given the folder its final name, or removed it.
            if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
            os.close(handle)


@cache
def code_version(*rooms: str) -> str:
    """Hash of the code in some rooms of `gtl_core`, blind to comments, docstrings and layout.

    Args:
        rooms: names of packages or modules below `gtl_core`, such as `training`.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for room in sorted(rooms):
        files = sorted((root / room).rglob("*.py")) if (root / room).is_dir() else [root / f"{room}.py"]
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(_program(file))
    return digest.hexdigest()[:16]


@cache  # most rooms are hashed for several stages
def _program(file: Path) -> bytes:
    """What a file of code does: its syntax tree without docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:]
    return ast.dump(tree).encode()
