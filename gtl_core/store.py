"""Stage outputs in `artifacts/`, addressed by what they were made from.

A stage's folder is `artifacts/EXPERIMENT/STAGE/KEY`, where the key is a hash of its inputs (configuration, keys of
the stages before it, versions of data) and of the code that makes it. A folder that is there is whole: it is built
under another name and renamed at the end. What a killed build had written stays there under that other name, so
that the next build of the same key can go on from it.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gtl_core.files import canonical_sha256, file_sha256, read_json, write_json

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
    """

    name: str
    key: str
    path: Path
    version: str
    seconds: float
    reused: bool


@dataclass(frozen=True)
class StageStore:
    """The stages of one experiment."""

    artifacts: Path
    experiment: str

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

    def build(self, name: str, key: str, make: Callable[[Path], None], *, force: bool = False) -> Stage:
        """The finished stage, made by `make` unless it is there.

        Args:
            name: the stage's name; slashes make folders.
            key: from `key`.
            make: writes the stage's files into the folder that it is given, which may hold what an interrupted
                earlier call had written.
            force: make it anew even where it is there, from an empty folder.
        """
        found = self.find(name, key)
        if found and not force:
            return found
        path = self.path(name, key)
        partial = path.with_name(f".{key}.partial")
        if force:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        make(partial)
        seconds = time.monotonic() - started
        files = {
            str(file.relative_to(partial)): file_sha256(file)
            for file in sorted(partial.rglob("*"))
            if file.is_file() and file.name != RECORD
        }
        version = canonical_sha256(files)
        write_json(partial / RECORD, {"name": name, "key": key, "version": version, "seconds": seconds, "files": files})
        if path.exists():
            old = path.with_name(f".{key}.old")
            shutil.rmtree(old, ignore_errors=True)
            path.replace(old)
            partial.replace(path)
            shutil.rmtree(old)
        else:
            partial.replace(path)
        return Stage(name, key, path, version, seconds, reused=False)


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
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]
