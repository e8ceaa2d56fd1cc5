"""Image sets with some of the classes of a bigger one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.class_halves import half
from gtl_core.data.image_set import ImageSet


def test_a_half_has_the_images_of_its_classes_alone_each_in_its_own_part(tiny_digits: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_digits, tmp_path / "whole")
    half("whole", "75", tmp_path / "odd")
    whole, odd = ImageSet.load(tiny_digits), ImageSet.load(tmp_path / "odd")
    assert odd.classes == ("7", "5")
    assert odd.card["part_of"] == "whole"
    rows = np.flatnonzero(np.isin(whole.labels, (5, 7)))
    assert np.array_equal(odd.images, whole.images[rows])
    assert [odd.classes[label] for label in odd.labels] == [whole.classes[label] for label in whole.labels[rows]]
    assert list(odd.manifest["split"]) == list(whole.manifest["split"].iloc[rows])
