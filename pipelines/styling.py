"""Stylisation of pictures: from the folders or sets that were named to the pictures that are written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.data.catalog import find, names
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress
from gtl_core.store import StageStore, code_version

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gtl_core.data.picture_files import PictureFile

FOLDER = "stylisation"
"""Folder of `artifacts/` in which trainings are kept, so that other pictures or strengths are instant."""
SIZES = (16, 256)
LARGEST_UNASKED = 64
FEWEST_CONTENT, FEWEST_STYLE = 2, 4
"""Fewer pictures have no spread that anything could be measured by."""
_ROOMS = ("config/strategies", "networks", "training", "transfer", "synthesis/stylise")


@dataclass(frozen=True, eq=False)
class _Pictures:
    """One side.

    Attributes:
        where: what was named.
        names: one for each picture.
        images: uint8 (N, C, S, S).
    """

    where: str
    names: tuple[str, ...]
    images: npt.NDArray[np.uint8]


def stylise_pictures(
    homes: Homes,
    content: str,
    like: str,
    *,
    method: Literal["adain", "translate"],
    strength: float | None,
    size: int | None,
    seed: int,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Stylises pictures, and writes them with a sheet and a report.

    Args:
        homes: where sets are, and where trainings are kept.
        content: a folder of pictures, or the name of an image set; two pictures at least.
        like: the same, for the look; four at least.
        method: `adain` or `translate`.
        strength: how far `adain` goes, 0 to 1; None for all the way.
        size: height and width to bring all pictures to; None for the largest side of the content, where that is at most
            `LARGEST_UNASKED`.
        seed: of everything that is random.
        out: folder to make.
        on_progress: shows the training.

    Returns:
        The report.

    Raises:
        InputError: there are no such pictures, too few of them, some that cannot be read, grey ones and colour ones,
            no size was given for large ones, `strength` does not fit, or `out` is there already.
    """
    from gtl_core.metrics.style import content_kept, style_shift
    from gtl_core.synthesis.changed_pictures import ChangedPicture, require_new, result_names, write_changed
    from gtl_core.synthesis.stylise import apply, train
    from gtl_core.training.gan import arrays_sha256

    require_new(out)
    if strength is not None and (method != "adain" or not 0.0 <= strength <= 1.0):
        raise InputError("--strength is a number from 0 to 1, and only --method adain has one")
    contents, styles = _opened(homes, content, like, size)
    result_names(contents.names)
    store = StageStore(homes.artifacts, FOLDER)
    sides = {"content": arrays_sha256(contents.images), "style": arrays_sha256(styles.images)}
    inputs = {**sides, "method": method, "seed": seed}
    key = store.key(inputs, code_version(*_ROOMS))

    def learn(folder: Path) -> None:
        train(method, contents.images, styles.images, seed=seed, folder=folder, on_progress=on_progress)

    checkpoint = store.build(method, key, learn).path / "gan.safetensors"
    strength = 1.0 if strength is None else strength
    made = apply(checkpoint, contents.images, styles.images, strength=strength, seed=seed)
    shift = style_shift(contents.images, made.images, styles.images, seed)
    kept = content_kept(contents.images, made.images)
    text = {"Method": method, "Style": Path(like).name, "Strength": str(strength), "Seed": str(seed)}
    changed = []
    for index, name in enumerate(contents.names):
        style = styles.names[made.styles[index]] if made.styles[index] >= 0 else None
        numbers = {"style": style, "content_kept": float(kept[index])}
        changed.append(ChangedPicture(name, made.images[index], text, numbers))
    rows = [contents.images, made.images]
    if method == "adain":
        rows.insert(1, styles.images[made.styles])
    about = {"content": content, "like": like, "method": method, "strength": strength, "seed": seed}
    measured = {**asdict(shift), "style_moved": shift.style_moved}
    return write_changed(out, changed, rows, {**about, "size": contents.images.shape[2], **measured})


def _opened(homes: Homes, content: str, like: str, size: int | None) -> tuple[_Pictures, _Pictures]:
    """Both sides, at one size and with the same channels."""
    sides = [_read(homes, where) for where in (content, like)]
    fewest = (FEWEST_CONTENT, FEWEST_STYLE)
    for where, pictures, few in zip((content, like), sides, fewest, strict=True):
        if len(pictures) < few:
            raise InputError(f"{where}: {len(pictures)} pictures are too few to learn from; give {few} at least")
    kinds = {1: "grey", 3: "colour"}
    channels = sides[0][0].channels
    for where, pictures in zip((content, like), sides, strict=True):
        for picture in pictures:
            if picture.channels != channels:
                raise InputError(
                    f"{picture.name} in {where} is {kinds[picture.channels]} and {sides[0][0].name} in {content} is "
                    f"{kinds[channels]}; save all pictures as {kinds[channels]}"
                )
    side = _side(sides[0]) if size is None else size
    if side % 4 or not SIZES[0] <= side <= SIZES[1]:
        raise InputError(f"--size {side}: expected a multiple of 4 from {SIZES[0]} to {SIZES[1]}")
    return _fitted(content, sides[0], side), _fitted(like, sides[1], side)


def _read(homes: Homes, where: str) -> list[PictureFile]:
    """The pictures of a folder, a file or an image set."""
    import numpy as np

    from gtl_core.data.picture_files import MOST, PictureFile, read_pictures

    if Path(where).exists():
        return read_pictures([Path(where)])
    if where not in names(homes.data):
        raise InputError(f"{where} is neither a folder of pictures nor an image set; gtl data list shows the sets")
    images = find(homes.data, where)
    if len(images) > MOST:
        raise InputError(f"{where} has {len(images)} images, and at most {MOST} are stylised at once; name a folder")
    planes = images.images.transpose(0, 2, 3, 1)
    grey = images.channels == 1
    return [
        PictureFile.of(f"{index:06d}.png", partial(np.array, plane[..., 0] if grey else plane))
        for index, plane in enumerate(planes)
    ]


def _side(pictures: list[PictureFile]) -> int:
    """The largest side among pictures, as a multiple of 4."""
    largest = max(max(picture.height, picture.width) for picture in pictures)
    if largest > LARGEST_UNASKED:
        raise InputError(
            f"the pictures have up to {largest} pixels a side; say what size to bring them to, such as --size 64 "
            f"(at most {SIZES[1]}; time grows with its square)"
        )
    return max(SIZES[0], -(-largest // 4) * 4)


def _fitted(where: str, pictures: list[PictureFile], size: int) -> _Pictures:
    import numpy as np

    from gtl_core.data.decoding import prepared

    images = np.stack([prepared(picture.read(), size, picture.channels) for picture in pictures])
    return _Pictures(where, tuple(picture.name for picture in pictures), images)
