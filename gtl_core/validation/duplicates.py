"""Exact duplicates by SHA-256, near duplicates by a perceptual hash that a pixel comparison confirms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gtl_core.data.image_set import ImageSet, fitted

SURE = 0.999
"""Correlation from which two pictures are taken as one. The most alike of different pictures reach 0.998 in USPS, 0.992
in the UCI digits, 0.986 in MNIST's test part and 0.980 in 5,000 images of CIFAR-10."""

LIKELY = 0.995
"""Correlation from which two pictures are reported: of those sets, only USPS has such pairs (22, ones and sevens)."""

_SIDE = 32
"""Largest side in pixels at which pictures are compared."""

_MAX_DISTANCE = 12
"""Bits in which the hashes of two candidates may differ."""

_NEIGHBOURS = 24
"""Entries looked at on either side of a hash in each sorted table."""

_CANDIDATES = 8
"""Candidates a picture, the closest hashes first, that are compared pixel by pixel."""

_CHUNK = 1024
"""Pictures held in memory at once, beside their candidates."""

_SHIFTS = tuple((down, right) for down in (0, -1, 1) for right in (0, -1, 1))
"""The shifts by at most one pixel, no shift first."""

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Pictures = NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows that hold one picture, sorted by row.

    Attributes:
        first: row indices of the set that was looked up, int64 (P,).
        second: row indices of the set that was searched, int64 (P,).
        similarity: correlation of the two pictures after alignment, float32 (P,).
    """

    first: Rows
    second: Rows
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        return zip(self.first.tolist(), self.second.tolist(), self.similarity.tolist(), strict=True)

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """The pairs that a mask (P,) keeps."""
        return Pairs(self.first[kept], self.second[kept], self.similarity[kept])


def exact_duplicates(sha256: pd.Series) -> list[Rows]:
    """Groups of rows with the same hash, each sorted, in the order of their first rows."""
    values = sha256.reset_index(drop=True)
    repeated = values[values.duplicated(keep=False)]
    groups = [np.sort(np.asarray(rows, dtype=np.int64)) for rows in repeated.groupby(repeated).groups.values()]
    return sorted(groups, key=lambda rows: int(rows[0]))


def perceptual_hashes(pictures: Pictures) -> Hashes:
    """Signs of the lowest 8×8 cosine frequencies, the mean left out.

    Brightness does not enter and contrast scales all frequencies alike, so neither changes the hash. After Zauner,
    "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), with zero in place of the median.

    Args:
        pictures: float32 (N, H, W).

    Returns:
        uint64 (N,).
    """
    from scipy.fft import dctn

    low = dctn(pictures, axes=(1, 2), norm="ortho")[:, :8, :8]
    bits = np.zeros((len(pictures), 8, 8), dtype=np.uint8)
    bits[:, : low.shape[1], : low.shape[2]] = low > 0
    bits[:, 0, 0] = 0
    return np.packbits(bits.reshape(len(pictures), 64), axis=1).view(np.uint64)[:, 0]


def near_duplicates(
    queries: ImageSet, query_rows: Rows, others: ImageSet, other_rows: Rows, threshold: float = LIKELY
) -> Pairs:
    """Pairs of one picture re-encoded, shifted by a pixel, or with a little noise.

    Every picture is brought to at most 32×32 pixels. The hash of its inner window is looked up, for each of the nine
    shifts by at most one pixel, in tables of the other side's hashes that are sorted from each byte on in turn (Manku
    et al., "Detecting Near-Duplicates for Web Crawling", 2007). The closest candidates are then compared by the
    correlation of their pixels under that shift. Time grows as N·log N, and the pixels of a chunk are in memory at a
    time.

    A picture is paired with eight others at most, however many copies it has.

    Args:
        queries: the set that is looked up.
        query_rows: which of its rows, int64 (Q,).
        others: the set that is searched; may be `queries`, and then no row is paired with itself.
        other_rows: which of its rows, int64 (T,).
        threshold: least correlation of a pair.
    """
    if not len(query_rows) or not len(other_rows):
        return _joined([])
    comparison = _Comparison.of(queries, others)
    tables = _Tables(
        np.concatenate(
            [perceptual_hashes(_window(p.mean(1), (0, 0))) for _, p in comparison.chunks(others, other_rows)]
        )
    )
    found = []
    for rows, pictures in comparison.chunks(queries, query_rows):
        hashes = np.stack([perceptual_hashes(_window(pictures.mean(1), shift)) for shift in _SHIFTS])
        query, entry, shift = tables.candidates(hashes, rows, other_rows if queries is others else None)
        first, second = rows[query], other_rows[entry]
        similarity = np.empty(len(first), dtype=np.float32)
        for start in range(0, len(first), _CHUNK):
            part = slice(start, start + _CHUNK)
            similarity[part] = _correlations(
                pictures[query[part]], comparison.pictures(others, second[part]), shift[part]
            )
        found.append(Pairs(first, second, similarity).where(similarity >= threshold))
    return _joined(found)


@dataclass(frozen=True)
class _Comparison:
    """The common form in which the pictures of two sets are compared."""

    size: int
    grey: bool

    @classmethod
    def of(cls, first: ImageSet, second: ImageSet) -> _Comparison:
        sides = (*first.images.shape[2:], *second.images.shape[2:])
        return cls(size=min(_SIDE, *sides), grey=first.channels != second.channels)

    def pictures(self, images: ImageSet, rows: Rows) -> Pictures:
        """Pictures of some rows, float32 (N, C, size, size)."""
        pictures = fitted(np.asarray(images.images[rows]), self.size).astype(np.float32)
        return pictures.mean(axis=1, keepdims=True) if self.grey else pictures

    def chunks(self, images: ImageSet, rows: Rows) -> Iterator[tuple[Rows, Pictures]]:
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            yield part, self.pictures(images, part)


class _Tables:
    """Hashes in eight sorted tables, the n-th sorted from its n-th byte on, so that near hashes meet in one of them."""

    def __init__(self, hashes: Hashes) -> None:
        turned = [_turned(hashes, byte) for byte in range(8)]
        self._order = [np.argsort(values, kind="stable") for values in turned]
        self._sorted = [values[order] for values, order in zip(turned, self._order, strict=True)]

    def candidates(self, hashes: Hashes, rows: Rows, own_rows: Rows | None) -> tuple[Rows, Rows, Rows]:
        """The closest entries to each query.

        Args:
            hashes: hashes of the queries, uint64 (shifts, Q).
            rows: rows of the queries, int64 (Q,).
            own_rows: rows of the entries where they are of the same set, int64 (T,); an entry of the query's own row
                is no candidate.

        Returns:
            Query, entry and shift of each candidate, int64 (P,) each, at most `_CANDIDATES` a query.
        """
        steps = np.arange(-_NEIGHBOURS, _NEIGHBOURS)
        parts: list[list[Rows]] = []
        for number, hashes_of_shift in enumerate(hashes):
            for byte, (order, table) in enumerate(zip(self._order, self._sorted, strict=True)):
                wanted = _turned(hashes_of_shift, byte)
                near = np.clip(np.searchsorted(table, wanted)[:, None] + steps, 0, len(table) - 1)
                distance = np.bitwise_count(table[near] ^ wanted[:, None])
                found, column = np.nonzero(distance <= _MAX_DISTANCE)
                met = order[near[found, column]]
                apart = np.full(len(met), True) if own_rows is None else own_rows[met] != rows[found]
                values = (found, met, np.full(len(met), number), distance[found, column].astype(np.int64))
                parts.append([value[apart] for value in values])
        query, entry, shift, distance = (np.concatenate([part[i] for part in parts]) for i in range(4))
        # Of each pair only the shift that fits best; of each query only its closest entries.
        best: Rows = np.lexsort((shift, distance, entry, query))
        best = best[_starts(query[best], entry[best])]
        best = best[np.lexsort((entry[best], distance[best], query[best]))]
        starts = np.flatnonzero(_starts(query[best]))
        rank = np.arange(len(best)) - np.repeat(starts, np.diff(np.append(starts, len(best))))
        best = best[rank < _CANDIDATES]
        return query[best], entry[best], shift[best]


def _turned(hashes: Hashes, byte: int) -> Hashes:
    """Hashes with their first bytes moved to the end."""
    if byte == 0:
        return hashes
    bits = np.uint64(8 * byte)
    return (hashes << bits) | (hashes >> (np.uint64(64) - bits))


def _starts(*keys: Rows) -> NDArray[np.bool_]:
    """Where a new combination of sorted keys begins."""
    new = np.zeros(len(keys[0]), dtype=np.bool_)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return new


def _window(pictures: Pictures, shift: tuple[int, int]) -> Pictures:
    """The inner window of pictures (..., H, W), all but one pixel on each side, moved by `shift`."""
    height, width = pictures.shape[-2:]
    down, right = shift
    return pictures[..., 1 + down : height - 1 + down, 1 + right : width - 1 + right]


def _correlations(first: Pictures, second: Pictures, shifts: Rows) -> NDArray[np.float32]:
    """Correlation of each pair of pictures (P, C, H, W), the first moved by its shift; 0 where one is constant."""
    result = np.zeros(len(first), dtype=np.float32)
    right = _standardised(_window(second, (0, 0)))
    for number, shift in enumerate(_SHIFTS):
        chosen = np.flatnonzero(shifts == number)
        left = _standardised(_window(first[chosen], shift))
        result[chosen] = np.einsum("ij,ij->i", left, right[chosen])
    return result


def _standardised(pictures: Pictures) -> Pictures:
    """Pictures as rows of mean 0 and length 1; constant ones as zeros."""
    rows = pictures.reshape(len(pictures), math.prod(pictures.shape[1:]))
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Pictures = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-3)
    return result


def _joined(parts: list[Pairs]) -> Pairs:
    """All pairs of several parts, sorted by row."""
    first = np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)])
    second = np.concatenate([np.empty(0, np.int64), *(part.second for part in parts)])
    similarity = np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)])
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], similarity[order])
