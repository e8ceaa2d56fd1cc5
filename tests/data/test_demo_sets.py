"""The embedded image sets: the same bytes every time, real handwriting, legible typesetting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import ImageSet, fitted


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSet]:
    home = tmp_path_factory.mktemp("embedded")
    for name, make in EMBEDDED.items():
        make(home / name)
    return {name: ImageSet.load(home / name) for name in EMBEDDED}


@pytest.mark.parametrize("name", list(EMBEDDED))
def test_an_embedded_set_is_byte_identical_every_time(name: str, embedded: dict[str, ImageSet], tmp_path: Path) -> None:
    EMBEDDED[name](tmp_path / name)
    folder = embedded[name].folder
    assert folder is not None
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (tmp_path / name / path.name).read_bytes(), path.name


def test_handwritten_digits_are_the_uci_digits_split_by_writer(embedded: dict[str, ImageSet]) -> None:
    digits = embedded["handwritten-digits"]
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.indices("train").tolist() == list(range(997))
    assert digits.indices("test").tolist() == list(range(997, 1797))
    assert digits.labels[:10].tolist() == list(range(10))
    assert digits.images[0, 0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]


def test_typeset_digits_are_six_hundred_different_pictures_a_class(embedded: dict[str, ImageSet]) -> None:
    digits = embedded["typeset-digits"]
    assert digits.images.shape == (6000, 1, 16, 16)
    assert np.bincount(digits.labels).tolist() == [600] * 10
    assert digits.manifest["sha256"].nunique() == 6000
    assert digits.manifest["group"].nunique() == 21


def test_typeset_digits_are_legible_white_on_black_and_not_cut_off(embedded: dict[str, ImageSet]) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    digits = embedded["typeset-digits"]
    pixels = digits.images[:].reshape(6000, -1).astype(np.float32)
    unseen = np.isin(digits.manifest["group"], ["DejaVuSerif", "cmss10", "STIXGeneral"])
    reader = KNeighborsClassifier(1).fit(pixels[~unseen], digits.labels[~unseen])
    assert reader.score(pixels[unseen], digits.labels[unseen]) > 0.93
    assert np.median(digits.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]) == 0
    assert digits.manifest["mean"].between(0.08, 0.65).all()


def test_both_sets_have_about_as_much_ink(embedded: dict[str, ImageSet]) -> None:
    ink = [fitted(images.images, 16).mean() / 255 for images in embedded.values()]
    assert abs(ink[0] - ink[1]) < 0.05
