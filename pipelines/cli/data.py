"""`gtl data`: import image sets, look at them, and version them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.drift import drift
from pipelines.cli.gap import gap
from pipelines.cli.listen import listen
from pipelines.cli.output import Json, note, say, show_facts, show_json, show_table

if TYPE_CHECKING:
    from gtl_core.data.image_set import ImageSet
    from gtl_core.data.versions import DataStatus

app = typer.Typer(help="Import image sets, look at them, check and version them.", no_args_is_help=True)
app.command()(gap)
app.command()(drift)
app.command()(listen)

Name = Annotated[str, typer.Argument(help="Name of an image set; gtl data list shows them.")]


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the new set: small letters, digits, - and _.")],
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder or zip of class folders (with or without train/ val/ test/) of images or WAV sounds, folder "
            "of IDX or Parquet files, or an .npz or .parquet file. Images without label: a folder unlabelled/ in the "
            "place of a class, the label -1 in .npz, an empty label in .parquet."
        ),
    ],
    size: Annotated[
        int | None,
        typer.Option(min=8, max=1024, help="Bring all images to this height and width; needed where sizes are mixed."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 makes all images grey, 3 all colour; needed where both occur.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be read.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the set of this name.")] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1000, max=384_000, help="Bring all sounds to this many samples a second; needed where rates are mixed."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=10.0, help="How much of each sound a picture shows: its loudest part; 1 by default."),
    ] = None,
    json_: Json = False,
) -> None:
    """Make an image set of your files.

    Images that are not square are filled up to a square with their border colour; nothing is cut off.

    Sounds become log-mel pictures, --size of them 32 pixels by default; gtl data listen turns pictures back.
    """
    from gtl_core.data.importing import import_images
    from gtl_core.data.mel import DEFAULT_SECONDS
    from gtl_core.data.readers.audio import SoundOptions
    from gtl_core.errors import InputError
    from gtl_core.homes import Homes
    from pipelines.cli.progress import terminal_progress

    if channels not in (None, 1, 3):
        raise InputError(f"--channels {channels}: 1 is grey and 3 is colour")
    sound = SoundOptions(rate, seconds or DEFAULT_SECONDS) if rate or seconds else None
    with terminal_progress() as on_progress:
        images = import_images(
            name,
            path,
            Homes.locate().data,
            size,
            channels,
            skip_bad=skip_bad,
            replace=replace,
            on_progress=on_progress,
            sound=sound,
        )
    skipped = images.card.get("skipped", [])
    for line in skipped:
        note(f"skipped {line}")
    if json_:
        show_json({**_row(images), "skipped": skipped})
        return
    say(
        f"{images.name}: {len(images)} images in {len(images.classes)} classes, "
        f"{images.size}×{images.size}×{images.channels}"
        + (f"; {unlabelled} without label" if (unlabelled := _unlabelled(images)) else "")
        + (f"; {len(skipped)} skipped" if skipped else "")
    )
    for what, shown in _sound(images).items():
        note(f"{what}: {shown}; gtl data listen {name} OUT turns them back")
    note(f"gtl data validate {name} checks it; gtl data commit makes it part of the data version")


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the image sets."""
    from gtl_core.data.catalog import names
    from gtl_core.data.image_set import ImageSet
    from gtl_core.errors import InputError
    from gtl_core.homes import Homes

    data = Homes.locate().data
    rows = []
    for name in names(data):
        try:
            rows.append(_row(ImageSet.load(data / name)))
        except InputError as error:
            note(str(error))
    if json_:
        show_json(rows)
        return
    show_table(
        ["name", "images", "unlabelled", "classes", "pixels", "train", "val", "test", "no split"],
        [
            [row["name"], row["images"], row["unlabelled"], len(row["classes"])]
            + [f"{row['size']}×{row['size']}×{row['channels']}"]
            + [row["splits"][split] for split in _SPLITS]
            for row in rows
        ],
        empty=f"no image sets in {data}; gtl data pull makes the embedded ones, gtl data import takes your own",
    )


@app.command()
def show(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write the contact sheet; by default artifacts/contact-sheets/NAME.png."),
    ] = None,
    json_: Json = False,
) -> None:
    """Show counts, classes and statistics of an image set, and write a contact sheet."""
    from gtl_core.data.catalog import find
    from gtl_core.data.manifest import UNLABELLED
    from gtl_core.data.pictures import class_sheet, save_png
    from gtl_core.homes import Homes

    homes = Homes.locate()
    images = find(homes.data, name)
    sheet = out or homes.artifacts / "contact-sheets" / f"{name}.png"
    save_png(sheet, class_sheet(images.images, images.labels))
    manifest = images.manifest
    counts = {class_name: _by_split(images, label) for label, class_name in enumerate(images.classes)}
    statistics = {
        "mean": float(manifest["mean"].mean()),
        "standard_deviation": float(manifest["std"].mean()),
        "darkest_mean": float(manifest["mean"].min()),
        "brightest_mean": float(manifest["mean"].max()),
        "original_sizes": _sizes(images),
        "groups": int(manifest.loc[manifest["group"] != "", "group"].nunique()),
        "distinct_images": int(manifest["sha256"].nunique()),
    }
    facts: dict[str, Any] = {
        **_row(images),
        "version": images.version,
        "card": images.card,
        "counts": counts,
        "statistics": statistics,
        "contact_sheet": sheet.resolve(),
    }
    if json_:
        show_json(facts)
        return
    show_facts(
        {
            "name": name,
            "what": images.card.get("description") or f"imported from {images.card.get('origin', 'unknown')}",
            "images": len(images),
            "unlabelled": _unlabelled(images),
            "pixels": f"{images.size}×{images.size}×{images.channels}",
            **_sound(images),
            "version": images.version,
            **{key.replace("_", " "): value for key, value in statistics.items()},
            "contact sheet": sheet,
        }
    )
    say()
    show_table(
        ["class", "train", "val", "test", "no split"],
        [[class_name, *by_split.values()] for class_name, by_split in counts.items()]
        + ([["no label", *_by_split(images, UNLABELLED).values()]] if _unlabelled(images) else []),
    )


@app.command()
def status(json_: Json = False) -> None:
    """Compare data/ with the version that data.dvc pins."""
    from dataclasses import asdict

    from gtl_core.data import versions
    from gtl_core.homes import Homes

    now = versions.status(Homes.locate())
    if json_:
        show_json(asdict(now))
        return
    _show_status(now)


@app.command()
def pull(json_: Json = False) -> None:
    """Fetch the pinned data from the remote, or rebuild the embedded sets; your own sets are left alone."""
    from dataclasses import asdict

    from gtl_core.data import versions
    from gtl_core.homes import Homes

    done = versions.pull(Homes.locate())
    if done.trouble:
        note(f"the remote could not be used: {done.trouble}")
    if json_:
        show_json(asdict(done))
        return
    for what, sets in (("fetched", done.fetched), ("rebuilt", done.rebuilt), ("kept, not the pinned one", done.kept)):
        for name in sets:
            say(f"{what}: {name}")
    _show_status(done.status)


@app.command()
def commit(json_: Json = False) -> None:
    """Make what is in data/ the pinned version, in data.dvc."""
    from dataclasses import asdict

    from gtl_core.data import versions
    from gtl_core.homes import Homes

    now = versions.commit(Homes.locate())
    if json_:
        show_json(asdict(now))
        return
    say(f"data.dvc pins {now.pinned}")
    note("git commit data.dvc to keep it; gtl data push sends the files to the remote")


@app.command()
def push() -> None:
    """Send the pinned version to the remote."""
    from gtl_core.data import versions
    from gtl_core.homes import Homes

    say(f"sent to {versions.push(Homes.locate())}")


_SPLITS = ("train", "val", "test", "")


def _row(images: ImageSet) -> dict[str, Any]:
    """What the list tells of a set."""
    counts = images.manifest["split"].value_counts()
    return {
        "name": images.name,
        "images": len(images),
        "unlabelled": _unlabelled(images),
        "classes": list(images.classes),
        "size": images.size,
        "channels": images.channels,
        "splits": {split: int(counts.get(split, 0)) for split in _SPLITS},
    }


def _unlabelled(images: ImageSet) -> int:
    """How many images nobody has labelled."""
    from gtl_core.data.manifest import UNLABELLED

    return int((images.labels == UNLABELLED).sum())


def _by_split(images: ImageSet, label: int) -> dict[str, int]:
    """How many images of a label each split has."""
    splits = images.manifest.loc[images.labels == label, "split"]
    return {split: int((splits == split).sum()) for split in _SPLITS}


def _sound(images: ImageSet) -> dict[str, str]:
    """What pictures of sounds show; empty for others."""
    from gtl_core.data.mel import scale_of

    scale = scale_of(images.card, images.name)
    if scale is None:
        return {}
    longer = images.card["sound"].get("longer_than_picture", 0)
    shown = f"{scale.seconds:.2f} s at {scale.rate} Hz, {scale.lowest:.0f} to {scale.highest:.0f} Hz"
    return {"sounds": shown + (f"; {longer} last longer, of which the loudest part" if longer else "")}


def _sizes(images: ImageSet) -> str:
    """Sizes of the original files: one, or the range."""
    widths, heights = images.manifest["width"], images.manifest["height"]
    low, high = f"{widths.min()}×{heights.min()}", f"{widths.max()}×{heights.max()}"
    return low if low == high else f"{low} to {high}"


def _show_status(now: DataStatus) -> None:
    """Prints how data/ compares with the pin."""
    show_facts({"pinned": now.pinned, "present": now.present, "matches": now.matches, "remote": now.remote})
    for what, sets in (("added", now.added), ("changed", now.changed), ("missing", now.missing)):
        for name in sets:
            say(f"{what}: {name}")
    if not now.known:
        say("which sets differ is not known here: the pinned version is not in DVC's cache")
