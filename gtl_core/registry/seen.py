"""Which images a model has seen, and as what: a file beside its record that stands when data and stages are gone.

| column | what |
|---|---|
| `dataset` | name of the image set |
| `role` | what the image served as, one of `ROLES` |
| `group` | what the set's manifest gives as its group, such as a patient; may be empty |
| `sha256` | of the pixels as the set holds them, 32 bytes: the `sha256` of its manifest |

Rows are sorted by the hash. A registered classifier and the generator that goes with it share one such file, because
they come and go together: what either of them learned from, the pair has learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from gtl_core.files import atomic_path

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.data.image_set import ImageSet

SEEN_FILE = "seen.parquet"
"""Name of the file inside a model's folder."""

Role = Literal["source", "labelled", "unlabelled", "validation", "test", "compared"]

ROLES: Mapping[Role, str] = {
    "source": "it learned from it, as the source",
    "labelled": "it learned from it, with its label",
    "unlabelled": "it could learn from it, without its label",
    "validation": "its settings were chosen on it",
    "test": "it was judged on it",
    "compared": "it never learned from it; what it was compared with did, or was chosen on it",
}

LEARNED: tuple[Role, ...] = ("source", "labelled", "unlabelled")
"""Roles after which an image is in the weights."""

HELPED: tuple[Role, ...] = (*LEARNED, "validation")
"""Roles after which a model may do better on an image than on others of its kind."""

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class SeenImage:
    """One image that a model has seen.

    Attributes:
        dataset: name of its set.
        role: what it served as.
        group: its group, or empty.
        sha256: of its pixels, 64 hexadecimal digits.
    """

    dataset: str
    role: Role
    group: str
    sha256: str


def write_seen(
    path: Path, source: ImageSet, target: ImageSet, draws: Sequence[Draw], draw: int, *, pool: bool, transferred: bool
) -> None:
    """Writes what the models of one registration have seen.

    Args:
        path: the file to write.
        source: the source.
        target: the target.
        draws: all draws of the evaluation, whose arms were compared.
        draw: the one that the models are of.
        pool: whether unlabelled images could be learned from.
        transferred: whether either model has learned from the source.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    own = draws[draw]
    parts: list[tuple[ImageSet, Role, npt.NDArray[np.int64]]] = [
        (source, "source" if transferred else "compared", source.training_rows()),
        (target, "labelled", own.labelled),
        (target, "unlabelled", own.unlabelled if pool else own.unlabelled[:0]),
        (target, "validation", own.validation),
        (target, "test", own.test),
    ]
    mine = np.concatenate([rows for images, _, rows in parts if images is target])
    others = [rows for other in draws for rows in (other.labelled, other.validation)]
    others += [other.unlabelled for other in draws if pool]
    parts.append((target, "compared", np.setdiff1d(np.concatenate(others), mine)))
    columns: dict[str, list[Any]] = {"dataset": [], "role": [], "group": [], "sha256": []}
    for images, role, rows in parts:
        manifest = images.manifest.iloc[rows]
        columns["dataset"] += [images.name] * len(rows)
        columns["role"] += [role] * len(rows)
        columns["group"] += manifest["group"].tolist()
        columns["sha256"] += [bytes.fromhex(sha256) for sha256 in manifest["sha256"]]
    kinds = {name: pa.binary() if name == "sha256" else pa.string() for name in columns}
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()})
    table = table.sort_by([(name, "ascending") for name in ("sha256", "dataset", "role")])
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, row_group_size=_ROWS_AT_ONCE, use_dictionary=["dataset", "role", "group"])


def count_seen(path: Path) -> list[dict[str, Any]]:
    """How many images of each set a model has seen in each role: `{dataset, role, images}`, in the order of `ROLES`."""
    import pyarrow.parquet as pq

    table = (
        pq.read_table(path, columns=["dataset", "role"]).group_by(["dataset", "role"]).aggregate([([], "count_all")])
    )
    order = get_args(Role)
    rows = [{"dataset": row["dataset"], "role": row["role"], "images": row["count_all"]} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: order.index(row["role"]))


def new_to(path: Path, images: np.ndarray, groups: np.ndarray) -> npt.NDArray[np.bool_]:
    """Which images a model has neither learned from nor been chosen on, nor on any other of their group: bool (N,).

    Groups of the source do not count: its names are another set's, and whoever learns from it has seen them alike.

    Args:
        path: the file.
        images: hashes of pixels, str (N,), 64 hexadecimal digits each.
        groups: str (N,), empty where unknown.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["role", "group", "sha256"], filters=[("role", "in", list(HELPED))])
    rows = list(zip(*(table[name].to_pylist() for name in ("role", "group", "sha256")), strict=True))
    hashes = {sha256.hex() for _, _, sha256 in rows}
    units = {group for role, group, _ in rows if group and role != "source"}
    seen = [image in hashes or group in units for image, group in zip(images, groups, strict=True)]
    return ~np.array(seen, bool)


def find_seen(path: Path, images: Sequence[str] = (), group: str | None = None) -> Iterator[SeenImage]:
    """The rows of some images, or of a group, whatever set they stand in.

    Args:
        path: the file.
        images: hashes of pixels, 64 hexadecimal digits each.
        group: a group's name; None to look for images alone.
    """
    import pyarrow.parquet as pq

    wanted: list[Any] = [[("sha256", "in", [bytes.fromhex(sha256) for sha256 in images])]] if images else []
    if group is not None:
        wanted.append([("group", "==", group)])
    for row in pq.read_table(path, filters=wanted).to_pylist():
        yield SeenImage(row["dataset"], row["role"], row["group"], row["sha256"].hex())
