"""Synthetic sets: balanced, repeatable, traced to their generator, and never mistaken for real images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.progress import Progress, silent
from gtl_core.synthesis.sampling import picture_name, synthesise
from gtl_core.synthesis.synthetic_set import SyntheticSet, synthetic_manifest_sha256

CLASSES = ("null", "eins", "zwei/drei", "λ", "..", "5", "6", "7", "8", "9")


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path) -> Path:
    """The checkpoint of a GAN that was trained for a few steps on digits with unusual class names."""
    from gtl_core.transfer.pretrain import pretrain_source

    digits = ImageSet.load(tiny_digits)
    config = GanConfig(width=8, latent=16, steps=4, batch=16)
    folder = tmp_path_factory.mktemp("gan")
    return pretrain_source(np.array(digits.images), digits.labels, CLASSES, config, 0, folder, silent)


@pytest.fixture(scope="module")
def made(gan: Path, tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    """A set of 30 images a class: more than one batch in all."""
    return synthesise(gan, 30, 7, tmp_path_factory.mktemp("made") / "set")


def test_every_class_gets_the_same_number_of_images_and_every_image_its_origin(made: SyntheticSet, gan: Path):
    assert len(made) == 300
    assert made.images.shape == (300, 1, 16, 16)
    assert np.bincount(made.labels).tolist() == [30] * 10
    assert set(made.manifest["generator_sha256"]) == {file_sha256(gan)}
    assert set(made.manifest["seed"]) == {7}
    assert [CLASSES[label] for label in made.labels] == made.manifest["class"].tolist()
    assert made.manifest["source_file"].is_unique
    assert made.manifest["sha256"][0] == hashlib.sha256(made.images[0].tobytes()).hexdigest()
    assert (made.folder / "samples.png").is_file()


def test_the_same_seed_gives_the_same_files_and_another_seed_other_images(gan: Path, made: SyntheticSet, tmp_path):
    again, other = synthesise(gan, 30, 7, tmp_path / "again"), synthesise(gan, 30, 8, tmp_path / "other")
    for name in ("images.npy", "manifest.parquet", "card.json", "samples.png"):
        assert file_sha256(again.folder / name) == file_sha256(made.folder / name)
    assert synthetic_manifest_sha256(other.folder) != synthetic_manifest_sha256(made.folder)
    assert not np.array_equal(other.images, made.images)


@pytest.mark.parametrize(("architecture", "family"), [("dcgan", "GAN"), ("vae", "VAE"), ("vae_gan", "VAE-GAN")])
def test_the_card_says_what_kind_of_generator_has_made_the_set(
    architecture: str, family: str, tiny_digits: Path, tmp_path
):
    from gtl_core.transfer.pretrain import pretrain_source

    digits = ImageSet.load(tiny_digits)
    config = GanConfig(architecture=architecture, width=4, latent=8, steps=2, batch=16)
    trained = pretrain_source(np.array(digits.images), digits.labels, CLASSES, config, 0, tmp_path / "gan", silent)
    made = synthesise(trained, 2, 0, tmp_path / "set")
    assert read_json(made.folder / "card.json")["description"] == f"Synthetic images, made by a {family}"
    assert made.family == family


def test_progress_ends_with_the_last_image(gan: Path, tmp_path):
    seen: list[Progress] = []
    synthesise(gan, 3, 0, tmp_path / "set", seen.append)
    assert (seen[-1].step, seen[-1].total) == (30, 30)


def test_a_synthetic_set_is_no_image_set_and_a_real_set_is_no_synthetic_one(made: SyntheticSet, tiny_digits: Path):
    assert not isinstance(made, ImageSet)
    with pytest.raises(InputError, match="no synthetic set"):
        SyntheticSet.load(tiny_digits)
    shown = made.as_image_set()
    assert (shown.name, shown.classes, len(shown)) == ("synthetic", CLASSES, 300)


def test_a_checkpoint_that_is_not_there_leaves_no_folder(tmp_path):
    with pytest.raises(InputError):
        synthesise(tmp_path / "gan.safetensors", 3, 0, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "/etc", "..", ".", "", "a/b", "a\\b", "a%2Fb", "λ"])
def test_no_class_name_leads_out_of_the_export_folder(name: str):
    path = Path(picture_name(name, 3))
    assert not path.is_absolute()
    assert len(path.parts) == 2
    assert path.parts[0] not in ("..", ".")


def test_different_class_names_get_different_folders():
    names = ["a/b", "a%2Fb", "a b", "..", "%2E%2E", ".", "", "%"]
    assert len({picture_name(name, 0) for name in names}) == len(names)
