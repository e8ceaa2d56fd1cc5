"""Reading from commits, without touching what is checked out."""

from __future__ import annotations

import subprocess
from pathlib import Path

_DIRTY = "-dirty"


def is_dirty(commit: str) -> bool:
    """Whether a recorded commit says that the code differed from it."""
    return commit.endswith(_DIRTY)


def clean(commit: str) -> str:
    """The commit alone."""
    return commit.removesuffix(_DIRTY)


def has_commit(root: Path, commit: str) -> bool:
    """Whether a repository has a commit."""
    command = ["git", "cat-file", "-e", f"{clean(commit)}^{{commit}}"]
    return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0


def file_at(root: Path, commit: str, path: str) -> bytes | None:
    """A file as it is in a commit; None where the commit or the file is not there.

    Args:
        root: the checkout.
        commit: as a lineage record has it.
        path: below the root, with `/` between its parts.
    """
    command = ["git", "show", f"{clean(commit)}:./{path}"]
    shown = subprocess.run(command, cwd=root, capture_output=True, check=False)
    return None if shown.returncode else shown.stdout
