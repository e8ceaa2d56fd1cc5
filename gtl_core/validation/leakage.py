"""Pictures that stand where they should not: twice in a split, in two splits, in source and target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.validation.duplicates import SURE, Pairs, Rows, exact_duplicates, near_duplicates

FailingRow = tuple[str, int, str, str, str]

_KEPT_BEFORE = (("test", "train"), ("test", "val"), ("val", "train"))
"""Splits that may share nothing: where two do, the second gives way, because the first is what is judged on."""


@dataclass(frozen=True)
class Copies:
    """Failing rows that hold the picture of another row.

    Attributes:
        exact: pixel for pixel.
        sure: not exact, and surely one picture.
        likely: perhaps one picture, perhaps two that are much alike.
        grouped: another picture of the same group.
    """

    exact: list[FailingRow] = field(default_factory=list)
    sure: list[FailingRow] = field(default_factory=list)
    likely: list[FailingRow] = field(default_factory=list)
    grouped: list[FailingRow] = field(default_factory=list)


def within_splits(images: ImageSet) -> Copies:
    """Duplicates within each split; of each group of copies the first row is not listed."""
    copies = Copies()
    manifest = images.manifest
    labels, splits = manifest["label"].to_numpy(), manifest["split"].to_numpy()
    for split in sorted(set(splits)):
        rows = np.flatnonzero(splits == split)
        for group in exact_duplicates(manifest["sha256"].iloc[rows]):
            first, *others = rows[group].tolist()
            for row in others:
                same = labels[row] == labels[first] or UNLABELLED in (labels[row], labels[first])
                differs = "" if same else f", which is labelled {_class(images, first)}"
                copies.exact.append(_failing(images, row, f"the same image as {_name(images, first)}{differs}"))
        pairs = near_duplicates(images, rows, images, rows)
        ordered = Pairs(np.maximum(pairs.first, pairs.second), np.minimum(pairs.first, pairs.second), pairs.similarity)
        _add_near(copies, images, images, ordered)
    return copies


def between_splits(images: ImageSet) -> Copies:
    """What one split shares with another; the rows listed are those of train, or of val where test has the other."""
    copies = Copies()
    splits, groups = images.manifest["split"].to_numpy(), images.manifest["group"].fillna("").to_numpy()
    for kept, giving_way in _KEPT_BEFORE:
        kept_rows, rows = np.flatnonzero(splits == kept), np.flatnonzero(splits == giving_way)
        _add_shared(copies, images, rows, images, kept_rows)
        others = set(groups[kept_rows]) - {""}
        copies.grouped.extend(
            _failing(images, row, f"{kept} has other images of its group {groups[row]}")
            for row in rows.tolist()
            if groups[row] in others
        )
    return copies


def between_sets(images: ImageSet, others: ImageSet, rows: Rows | None = None) -> Copies:
    """The images of one set whose pictures stand in another too.

    Args:
        images: the set whose rows are listed.
        others: the other set.
        rows: the rows of the other set that count, int64; all where None.
    """
    copies = Copies()
    chosen = np.arange(len(others.manifest)) if rows is None else rows
    _add_shared(copies, images, np.arange(len(images.manifest)), others, chosen)
    return copies


def _add_shared(copies: Copies, images: ImageSet, rows: Rows, others: ImageSet, other_rows: Rows) -> None:
    """Adds the rows of `images` that are also among the rows of `others`."""
    hashes = images.manifest["sha256"].to_numpy()
    place = dict(zip(others.manifest["sha256"].to_numpy()[other_rows], other_rows, strict=True))
    for row in rows.tolist():
        if hashes[row] in place:
            copies.exact.append(_failing(images, row, f"the same image as {_name(others, int(place[hashes[row]]))}"))
    _add_near(copies, images, others, near_duplicates(images, rows, others, other_rows))


def _add_near(copies: Copies, images: ImageSet, others: ImageSet, pairs: Pairs) -> None:
    """Adds the first row of each pair, once, with the most similar other row; exact copies are left out."""
    hashes, other_hashes = images.manifest["sha256"].to_numpy(), others.manifest["sha256"].to_numpy()
    best: dict[int, tuple[float, int]] = {}
    for row, other, similarity in pairs:
        if hashes[row] != other_hashes[other] and similarity > best.get(row, (0.0, 0))[0]:
            best[row] = (similarity, other)
    for row, (similarity, other) in sorted(best.items()):
        sure = similarity >= SURE
        like = "the same picture as" if sure else "much like"
        reason = f"{like} {_name(others, other)} (correlation {similarity:.4f})"
        (copies.sure if sure else copies.likely).append(_failing(images, row, reason))


def unique_rows(rows: Iterable[FailingRow]) -> list[FailingRow]:
    """The first entry of each row of each set, sorted by set and row."""
    first: dict[tuple[str, int], FailingRow] = {}
    for entry in rows:
        first.setdefault((entry[0], entry[1]), entry)
    return [first[key] for key in sorted(first)]


def _failing(images: ImageSet, row: int, reason: str) -> FailingRow:
    of_row = images.manifest.iloc[row]
    return (images.name, row, str(of_row["split"]), str(of_row["source_file"]), reason)


def _name(images: ImageSet, row: int) -> str:
    """A row as people find it: its source file, set and split."""
    of_row = images.manifest.iloc[row]
    part = f", {of_row['split']}" if of_row["split"] else ""
    return f"{of_row['source_file']} ({images.name}{part})"


def _class(images: ImageSet, row: int) -> str:
    return images.classes[int(images.manifest["label"].iloc[row])]
