"""Every layout of files becomes the same kind of image set, and damaged or hostile files end in one clear line."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.data.importing import import_images
from gtl_core.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_idx(path: Path, array: np.ndarray, *, packed: bool = False) -> None:
    data = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)


def imported(path: Path, home: Path, **options: Any) -> ImageSet:
    return import_images("new", path, home, **options)


def nothing_written(home: Path) -> bool:
    return not home.exists() or not list(home.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class folders of PNG files."""
    root = tmp_path / "files"
    for index, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        path = root / f"class-{label}" / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels))
    return root


def test_class_folders_become_classes_and_every_pixel_is_kept(folder: Path, home: Path) -> None:
    images = imported(folder, home)
    assert images.classes == ("class-0", "class-1", "class-2")
    assert images.manifest["source_file"][0] == "class-0/00.png"
    for row, name in enumerate(images.manifest["source_file"]):
        index = int(Path(name).stem)
        assert np.array_equal(images.images[row, 0], PIXELS[index])
        assert images.labels[row] == LABELS[index]


def test_parts_classes_and_groups_are_read_from_folders(tmp_path: Path, home: Path) -> None:
    for part in ("train", "validation", "test"):
        for label in ("10", "9"):
            path = tmp_path / "wrapped" / part / label / "lot-a" / "x.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(encoded(PIXELS[0]))
    images = imported(tmp_path, home)
    assert images.classes == ("9", "10")
    assert sorted(images.manifest["split"]) == ["test", "test", "train", "train", "val", "val"]
    assert set(images.manifest["group"]) == {"lot-a"}


def test_a_part_that_stands_alone_leaves_images_without_split(folder: Path, tmp_path: Path, home: Path) -> None:
    (tmp_path / "outer").mkdir()
    folder.rename(tmp_path / "outer" / "train")
    assert set(imported(tmp_path / "outer", home).manifest["split"]) == {""}


def test_a_class_may_be_called_test_where_its_neighbours_are_no_parts(folder: Path, home: Path) -> None:
    (folder / "class-0").rename(folder / "test")
    images = imported(folder, home)
    assert images.classes == ("class-1", "class-2", "test")


def test_a_zip_gives_the_same_images_as_its_folder(folder: Path, tmp_path: Path, home: Path) -> None:
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(folder))
        archive.writestr("__MACOSX/class-0/._00.png", b"x")
        archive.writestr("README.txt", b"about")
    packed = imported(tmp_path / "files.zip", home)
    plain = import_images("plain", folder, home)
    assert np.array_equal(packed.images, plain.images)
    assert packed.manifest.equals(plain.manifest)


@pytest.mark.parametrize("name", ["../class-0/x.png", "/class-0/x.png", "class-0\\x.png", "C:/class-0/x.png"])
def test_a_zip_member_that_points_outside_is_refused(name: str, tmp_path: Path, home: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        member = zipfile.ZipInfo("x")
        member.filename = name
        archive.writestr(member, encoded(PIXELS[0]))
    with pytest.raises(InputError, match="points outside"):
        imported(tmp_path / "bad.zip", home)


@pytest.mark.parametrize("name", ["files.zip", "set.npz", "set.parquet", "train-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more of it", b"\x1f\x8b\x08\x00"])
def test_a_file_that_is_cut_off_is_one_clear_line(name: str, content: bytes, tmp_path: Path, home: Path) -> None:
    (tmp_path / name).write_bytes(content)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    with pytest.raises(InputError, match=name) as caught:
        imported(tmp_path / name, home)
    assert "\n" not in str(caught.value)
    assert nothing_written(home)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_of_two_parts_are_read(packed: bool, tmp_path: Path, home: Path) -> None:
    suffix = ".gz" if packed else ""
    for part, rows in (("train", slice(0, 9)), ("t10k", slice(9, 12))):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{suffix}", PIXELS[rows], packed=packed)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{suffix}", LABELS[rows], packed=packed)
    images = imported(tmp_path, home)
    train, test = images.indices("train"), images.indices("test")
    assert (len(train), len(test)) == (9, 3)
    assert np.array_equal(images.images[train, 0], PIXELS[:9])
    assert np.array_equal(images.labels[test], LABELS[9:])


def test_idx_images_and_labels_that_do_not_belong_together_are_refused(tmp_path: Path, home: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", PIXELS)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:5])
    with pytest.raises(InputError, match="12 images but 5 labels"):
        imported(tmp_path, home)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="labels train-labels-idx1-ubyte"):
        imported(tmp_path, home)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_images_that_are_cut_off_leave_nothing_behind(packed: bool, tmp_path: Path, home: Path) -> None:
    name = "train-images-idx3-ubyte" + (".gz" if packed else "")
    write_idx(tmp_path / name, PIXELS, packed=packed)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(InputError, match="cut off"):
        imported(tmp_path, home)
    assert nothing_written(home)


def test_npz_parts_column_labels_groups_and_colour_are_read(tmp_path: Path, home: Path) -> None:
    colour = np.stack([PIXELS] * 3, axis=-1)
    np.savez_compressed(
        tmp_path / "set.npz",
        train_images=colour[:8],
        train_labels=LABELS[:8, np.newaxis],
        train_groups=np.array([f"p{i // 2}" for i in range(8)]),
        test_images=colour[8:],
        test_labels=LABELS[8:, np.newaxis],
    )
    images = imported(tmp_path / "set.npz", home)
    assert images.images.shape == (12, 3, 8, 8)
    assert np.array_equal(images.images[:, 1], PIXELS)
    assert np.array_equal(images.labels, LABELS)
    assert images.manifest["group"].tolist() == ["p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3", "", "", "", ""]
    assert len(images.indices("test")) == 4


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": PIXELS, "labels": LABELS.astype(float)}, "expected whole numbers"),
        ({"images": PIXELS, "labels": -LABELS.astype(int)}, "label -2 is out of range"),
        ({"images": PIXELS, "labels": LABELS[:4]}, "12 images but 4 labels"),
        ({"images": PIXELS.astype(float), "labels": LABELS}, "expected uint8"),
        ({"images": PIXELS, "labels": np.stack([LABELS, LABELS], 1)}, "one label an image"),
        ({"images": PIXELS, "labels": np.zeros(12, int)}, "one class only"),
        ({"images": PIXELS}, "no array labels"),
        ({"pictures": PIXELS}, "no array train_images"),
        ({"images": PIXELS, "labels": np.array([object()] * 12)}, "labels cannot be read"),
        ({"images": np.asfortranarray(PIXELS), "labels": LABELS}, "Fortran"),
    ],
)
def test_npz_arrays_that_are_no_labelled_images_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path, home: Path
) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match=message):
        imported(tmp_path / "set.npz", home)
    assert nothing_written(home)


def write_parquet(path: Path, labels: list[Any], names: list[str] | None = None, **columns: list[Any]) -> None:
    rows = [{"bytes": encoded(pixels), "path": f"{i}.png"} for i, pixels in enumerate(PIXELS[: len(labels)])]
    table = pa.table({"image": rows, "label": labels, **columns})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def test_parquet_files_of_a_hub_data_set_are_read_with_names_parts_and_groups(tmp_path: Path, home: Path) -> None:
    names = ["nought", "one", "two"]
    for part in ("train", "test"):
        path = tmp_path / "data" / f"{part}-00000-of-00001.parquet"
        write_parquet(path, LABELS.tolist(), names, group=["a", None] * 6)
    images = imported(tmp_path, home)
    assert images.classes == tuple(names)
    assert np.array_equal(images.images[images.indices("train"), 0], PIXELS)
    assert np.array_equal(images.labels[images.indices("test")], LABELS)
    assert images.manifest["group"].tolist()[:3] == ["a", "", "a"]


def test_parquet_labels_may_be_words(tmp_path: Path, home: Path) -> None:
    write_parquet(tmp_path / "set.parquet", ["dog", "cat", "dog"])
    images = imported(tmp_path / "set.parquet", home)
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [1, 0, 1])


def test_a_parquet_label_beyond_the_named_classes_is_out_of_range(tmp_path: Path, home: Path) -> None:
    write_parquet(tmp_path / "set.parquet", [0, 1, 2], ["nought", "one"])
    with pytest.raises(InputError, match=r"set.parquet#2: label 2 is out of range; there are 2 classes"):
        imported(tmp_path / "set.parquet", home)
    assert nothing_written(home)


def test_a_parquet_file_without_images_is_refused(tmp_path: Path, home: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "set.parquet")
    with pytest.raises(InputError, match="a column of structs with bytes"):
        imported(tmp_path / "set.parquet", home)


@pytest.mark.parametrize("name", ["unlabelled", "unlabeled", "Unlabelled"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_unlabelled_images_in_the_place_of_a_class_is_no_class(
    name: str, packed: bool, tmp_path: Path, home: Path
) -> None:
    files = {
        f"train/{name}/lot-a/0.png": PIXELS[0],
        "train/dog/1.png": PIXELS[1],
        "test/cat/2.png": PIXELS[2],
        "test/zebra/3.png": PIXELS[3],
    }
    if packed:
        with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
            for path, pixels in files.items():
                archive.writestr(f"top/{path}", encoded(pixels))
    else:
        for path, pixels in files.items():
            (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "files" / path).write_bytes(encoded(pixels))
    images = imported(tmp_path / ("files.zip" if packed else "files"), home)
    assert images.classes == ("cat", "dog", "zebra")
    found = {Path(row.source_file).name: (row.label, row.split, row.group) for row in images.manifest.itertuples()}
    assert found == {
        "0.png": (UNLABELLED, "train", "lot-a"),
        "1.png": (1, "train", ""),
        "2.png": (0, "test", ""),
        "3.png": (2, "test", ""),
    }


def test_a_folder_of_unlabelled_images_beside_classes_or_beside_parts_is_there_to_train_on(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    (folder / "class-2").rename(folder / "unlabelled")
    beside_classes = imported(folder, home)
    assert (beside_classes.classes, set(beside_classes.manifest["split"])) == (("class-0", "class-1"), {""})
    assert np.bincount(beside_classes.labels + 1).tolist() == [4, 4, 4]

    outer = tmp_path / "outer"
    outer.mkdir()
    (folder / "unlabelled").rename(outer / "unlabelled")
    folder.rename(outer / "test")
    beside_parts = import_images("beside-parts", outer, home)
    assert (beside_parts.classes, len(beside_parts.indices("test"))) == (("class-0", "class-1"), 8)
    assert set(beside_parts.labels[beside_parts.indices("train")]) == {UNLABELLED}


@pytest.mark.parametrize("part", ["val", "test"])
def test_unlabelled_images_in_a_part_that_judges_are_refused(
    part: str, folder: Path, tmp_path: Path, home: Path
) -> None:
    outer = tmp_path / "outer"
    (outer / "train" / "a").mkdir(parents=True)
    (outer / "train" / "a" / "x.png").write_bytes(encoded(PIXELS[0]))
    folder.rename(outer / part)
    (outer / part / "class-2").rename(outer / part / "unlabelled")
    with pytest.raises(
        InputError, match=rf"^{part}/unlabelled/02.png has no label and is in the {part} part"
    ) as caught:
        imported(outer, home)
    assert "\n" not in str(caught.value)
    assert nothing_written(home)


def test_nothing_but_unlabelled_images_is_refused_with_what_to_add(folder: Path, tmp_path: Path, home: Path) -> None:
    (tmp_path / "whole").mkdir()
    folder.rename(tmp_path / "whole" / "unlabelled")
    np.savez(tmp_path / "set.npz", images=PIXELS, labels=np.full(12, -1))
    write_parquet(tmp_path / "set.parquet", [None] * 12)
    for path in (tmp_path / "whole", tmp_path / "set.npz", tmp_path / "set.parquet"):
        with pytest.raises(InputError, match=r"no image in it has a label.*add a small labelled test part, such as"):
            imported(path, home)
    (tmp_path / "alone").mkdir()
    (tmp_path / "whole").rename(tmp_path / "alone" / "train")
    with pytest.raises(InputError, match="no image in it has a label"):
        imported(tmp_path / "alone", home)
    assert nothing_written(home)


def test_the_npz_label_minus_one_is_no_label_and_no_class(tmp_path: Path, home: Path) -> None:
    train = np.array([-1, 7, -1, 3, -1, -1, -1, -1])
    np.savez(
        tmp_path / "set.npz",
        train_images=PIXELS[:8],
        train_labels=train,
        test_images=PIXELS[8:],
        test_labels=np.array([3, 7, 5, 5]),
    )
    images = imported(tmp_path / "set.npz", home)
    assert images.classes == ("3", "5", "7")
    assert images.labels.tolist() == [-1, 2, -1, 0, -1, -1, -1, -1, 0, 2, 1, 1]
    assert np.array_equal(images.images[:, 0], PIXELS)


def test_npz_test_images_without_label_are_refused(tmp_path: Path, home: Path) -> None:
    np.savez(
        tmp_path / "set.npz",
        train_images=PIXELS[:8],
        train_labels=LABELS[:8],
        test_images=PIXELS[8:],
        test_labels=np.array([0, 1, -1, 2]),
    )
    with pytest.raises(InputError, match=r"set.npz#test_images/2 has no label and is in the test part"):
        imported(tmp_path / "set.npz", home)
    assert nothing_written(home)


@pytest.mark.parametrize(
    ("train", "test", "names", "classes"),
    [
        ([None, 2, -1], [2, 5, 5], None, ("2", "5")),
        ([None, 1, -1], [0, 1, 1], ["nought", "one"], ("nought", "one")),
        ([None, "dog", None], ["cat", "dog", "dog"], None, ("cat", "dog")),
        ([None, None, None], ["cat", "dog", "dog"], None, ("cat", "dog")),
    ],
)
def test_an_empty_parquet_label_is_no_label_and_no_class(
    train: list[Any], test: list[Any], names: list[str] | None, classes: tuple[str, ...], tmp_path: Path, home: Path
) -> None:
    write_parquet(tmp_path / "train.parquet", train, names)
    write_parquet(tmp_path / "validation.parquet", test, names)
    images = imported(tmp_path, home)
    assert images.classes == classes
    value: dict[Any, int] = {name: label for label, name in enumerate(classes)}
    value |= {int(name): label for name, label in value.items() if name.isdigit()} | {None: -1, -1: -1}
    value |= dict(enumerate(range(len(names)))) if names else {}
    assert images.labels.tolist() == [value[label] for label in [*train, *test]]
    assert images.manifest["split"].tolist() == ["train"] * 3 + ["val"] * 3


def test_a_parquet_class_called_unlabelled_is_refused(tmp_path: Path, home: Path) -> None:
    write_parquet(tmp_path / "set.parquet", ["dog", "cat", "unlabelled"])
    with pytest.raises(InputError, match="'unlabelled' stands as a class; leave the label of such images empty"):
        imported(tmp_path / "set.parquet", home)


def test_the_shared_real_images_are_read(shared_data: Path, home: Path) -> None:
    mnist = import_images("mnist", shared_data / "mnist", home)
    usps = import_images("usps", shared_data / "usps.npz", home)
    cifar = import_images("cifar", shared_data / "cifar10_subset.zip", home)
    assert (mnist.images.shape, set(mnist.manifest["split"])) == ((10000, 1, 28, 28), {""})
    assert mnist.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (usps.images.shape, len(usps.indices("train")), len(usps.indices("test"))) == ((9298, 1, 16, 16), 7291, 2007)
    assert (cifar.images.shape, len(cifar.classes), len(cifar.indices("test"))) == ((5000, 3, 32, 32), 10, 1000)
