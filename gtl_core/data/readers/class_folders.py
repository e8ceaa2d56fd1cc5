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
        top = _wrapper(paths)
        # A file beside the folders, such as a README, is passed over; an image there has lost its class.
        paths = [path for path in paths if len(path.parts) > top + 1 or path.suffix.lower() in suffixes]
        inner = [path.parts[top:] for path in paths]
        tops = {names[0] for names in inner}
        in_parts = any(map(part_named, tops)) and all(part_named(name) or means_unlabelled(name) for name in tops)
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


def _wrapper(paths: list[PurePosixPath]) -> int:
    """1 where all files lie in one folder that is neither a part nor a class, as archives are often packed; else 0."""
    top, *others = {path.parts[0] for path in paths}
    meant = part_named(top) or means_unlabelled(top)
    return int(not others and not meant and all(len(path.parts) > 2 for path in paths))


def _natural(name: str) -> tuple[int, int, str]:
    """Sorts numbers by value and before words."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)
