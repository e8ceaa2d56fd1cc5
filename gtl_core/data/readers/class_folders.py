"""Reader of class folders, in a folder or a zip archive, with or without parts.

`[TOP/][train|val|test/]CLASS/[GROUP/…]NAME.png`: folders between the class and the file name the group. A folder named
`unlabelled` in the place of a class holds images without label; beside the parts it belongs to `train`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from gtl_core.data.manifest import UNLABELLED
from gtl_core.data.readers.file_trees import FileTree, UnreadableFile
from gtl_core.data.readers.record import Record, means_unlabelled, part_named, splits_of
from gtl_core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Endings of the files that are taken for images."""


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image that can be read."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


class ClassFolderReader:
    """Reads images whose folder names their class.

    Args:
        tree: the files.
        where: the path that was given, for messages.
        suffixes: endings of the files that are wanted, such as those of images.

    Raises:
        InputError: there is no file, or a file lies in no class folder.
    """

    def __init__(self, tree: FileTree, where: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> None:
        self._tree = tree
        paths = [PurePosixPath(name) for name in tree.names]
        if not paths:
            raise InputError(f"{where}: no images in it")
        top = _wrapper(paths, suffixes)
        # A file beside the folders, such as a README, is passed over; an image there has lost its class.
        paths = [path for path in paths if len(path.parts) > top + 1 or path.suffix.lower() in suffixes]
        inner = [path.parts[top:] for path in paths]
        tops = {names[0] for names in inner}
        strangers = {name for name in tops if not part_named(name) and not means_unlabelled(name)}
        in_parts = any(map(part_named, tops)) and not strangers
        if in_parts:
            inner = [names if part_named(names[0]) else ("train", *names) for names in inner]
        parts = [part_named(names[0]) for names in inner]
        depth = 2 if in_parts else 1
        loose = [path for path, names in zip(paths, inner, strict=True) if len(names) <= depth]
        if loose or not paths:
            name = f"{loose[0]} lies" if loose else "the files lie"
            raise InputError(
                f"{where}: {name} in no class folder; expected CLASS/NAME{suffixes[-1]} or "
                f"train/CLASS/NAME{suffixes[-1]}, with unlabelled for CLASS where they have no label"
            )
        if strangers:
            _require_no_parts(inner, strangers, where)
        splits = splits_of(part for part in parts if part) if in_parts else {}
        folders = {names[depth - 1] for names in inner}
        self.classes = tuple(sorted((name for name in folders if not means_unlabelled(name)), key=_natural))
        self.total = len(paths)
        numbers = {name: number for number, name in enumerate(self.classes)}
        self._entries = [
            (
                path.as_posix(),
                numbers.get(names[depth - 1], UNLABELLED),
                splits[part] if in_parts and part else "",
                "/".join(names[depth:-1]),
            )
            for path, names, part in zip(paths, inner, parts, strict=True)
        ]

    def records(self) -> Iterator[Record]:
        """Gives the images by name; see `Reader.records`."""
        for name, label, split, group in self._entries:
            try:
                yield Record(self._tree.read(name), label, split, group, name)
            except UnreadableFile as error:
                yield Record(None, label, split, group, name, str(error))


def _wrapper(paths: list[PurePosixPath], suffixes: tuple[str, ...]) -> int:
    """1 where all files lie in one folder that is neither a part nor a class, as archives are often packed; else 0.

    Beside that folder, and beside the folders in it, there may be files that are not wanted, such as a README.
    """
    tops = {path.parts[0] for path in paths if len(path.parts) > 1}
    if len(tops) != 1 or any(part_named(top) or means_unlabelled(top) for top in tops):
        return 0
    shallow = [path for path in paths if len(path.parts) < 3]
    return int(len(shallow) < len(paths) and not any(path.suffix.lower() in suffixes for path in shallow))


def _require_no_parts(inner: list[tuple[str, ...]], strangers: set[str], where: str) -> None:
    """Refuses folders that would be taken for classes though some of them are parts, as far as can be told.

    A class may be called `test`, or `train` among vehicles; two that are called like parts are none, and neither is one
    in which the same folders lie as in its neighbours.
    """
    below: dict[str, set[str]] = {}
    for names in inner:
        below.setdefault(names[0], set()).update(names[1:-1][:1])
    parts = sorted(name for name in below if part_named(name))
    alike = parts and any(below[parts[0]] & below[name] for name in strangers)
    if len(parts) > 1 or alike:
        raise InputError(
            f"{where}: {min(strangers)} lies beside {' and '.join(parts)} and is no part; parts are called train, val "
            "and test, so rename it or move it away (or rename the others, where they are classes)"
        )


def _natural(name: str) -> tuple[int, int, str, str]:
    """Sorts numbers by value and before words."""
    if not (name.isascii() and name.isdigit()):
        return 1, 0, name, ""
    # Not by `int`, which takes no more digits than a file name may have.
    digits = name.lstrip("0")
    return 0, len(digits), digits, name
