"""Backbones: ours by name, and checkpoints of Hugging Face from a local folder."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.metrics.features import Extractor
from gtl_core.networks.classifier import Classifier
from gtl_core.training import pretrained
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import (
    UNTRAINED,
    carry_over,
    load_classifier,
    new_classifier,
    predict,
    save_classifier,
    train_classifier,
    train_source_classifier,
)
from gtl_core.training.pretrained import checkpoint_sha256, load_checkpoint
from tests.tiny_checkpoints import KINDS, features_of, save_checkpoint

EVERY = ("cnn", *("resnet-of-ours", *KINDS))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {kind: save_checkpoint(folder / kind, kind) for kind in KINDS}


def classifier(kind: str, checkpoints: dict[str, Path], size: int = 16, channels: int = 1) -> Classifier:
    if kind in KINDS:
        return load_checkpoint(checkpoints[kind], size=size, channels=channels, classes=4)
    name = "cnn" if kind == "cnn" else "resnet"
    return new_classifier(size=size, channels=channels, width=8, classes=4, seed=0, backbone=name)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (28, 3), (64, 1)])
def test_every_backbone_takes_every_size_and_colour(kind, size, channels, checkpoints):
    model = classifier(kind, checkpoints, size, channels).eval()
    images = torch.zeros(2, channels, size, size)
    assert model.trunk(images).shape == (2, model.head.in_features)
    assert model(images).shape == (2, 4)


@pytest.mark.parametrize("kind", EVERY)
def test_stages_and_head_are_all_of_a_classifier_and_no_weight_stands_in_two(kind, checkpoints):
    model = classifier(kind, checkpoints)
    assert len(model.stages) >= 2
    parts = [id(parameter) for part in (*model.stages, model.head) for parameter in part.parameters()]
    assert sorted(parts) == sorted(id(parameter) for parameter in model.parameters())


@pytest.mark.parametrize("kind", EVERY)
def test_a_saved_classifier_is_the_same_again_and_the_checkpoint_s_folder_is_not_needed(kind, checkpoints, tmp_path):
    folder = tmp_path / "elsewhere"
    if kind in KINDS:
        shutil.copytree(checkpoints[kind], folder)
    model = classifier(kind, {kind: folder})
    save_classifier(tmp_path / "c.safetensors", model, "abcd")
    shutil.rmtree(folder, ignore_errors=True)
    loaded, classes = load_classifier(tmp_path / "c.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 16, 16), dtype=np.uint8)
    np.testing.assert_allclose(predict(loaded, images), predict(model, images), atol=1e-6)
    assert classes == tuple("abcd")
    assert str(tmp_path).encode() not in (tmp_path / "c.safetensors").read_bytes()


def test_a_weight_file_from_when_there_was_one_backbone_only_is_read_as_that_one(checkpoints, tmp_path):
    model = classifier("cnn", checkpoints)
    about = json.dumps({"options": model.options, "classes": list("abcd")})
    save_file(model.state_dict(), tmp_path / "old.safetensors", metadata={"gtl": about})
    loaded, _ = load_classifier(tmp_path / "old.safetensors")
    assert loaded.backbone == "cnn"
    assert all(torch.equal(tensor.cpu(), model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_that_the_checkpoint_gives_by_itself_of_grey_images_in_its_colours_and_size(
    kind, checkpoints
):
    across, down = torch.linspace(0, 1, 32), torch.linspace(1, 0, 32)[:, None]
    grey = torch.stack([across * down, across.expand(32, 32), down.expand(32, 32)])[:, None]
    mean, std = (torch.tensor(values)[:, None, None] for values in ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3]))
    expected = features_of(checkpoints[kind], (grey.repeat(1, 3, 1, 1) - mean) / std)
    trunk = load_checkpoint(checkpoints[kind], size=32, channels=1, classes=2).trunk.eval()
    with torch.no_grad():
        np.testing.assert_allclose(trunk(grey * 2 - 1), expected, atol=1e-5)
        bigger = torch.nn.functional.interpolate(grey, (64, 64), mode="bilinear") * 2 - 1
        np.testing.assert_allclose(trunk(bigger), expected, atol=0.02)


def test_without_preprocessing_pixels_are_in_minus_one_to_one_and_keep_their_size(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints["resnet"], tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    images = torch.rand(2, 3, 20, 20) * 2 - 1
    with torch.no_grad():
        found = load_checkpoint(folder, size=20, channels=3, classes=2).trunk.eval()(images)
    np.testing.assert_allclose(found, features_of(folder, images), atol=1e-5)


@pytest.mark.parametrize("kind", ["resnet-of-ours", *KINDS])
def test_every_backbone_learns_and_the_same_from_the_same_seed(kind, checkpoints):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (
        rng.integers(0, 100, (40, 1, 16, 16), dtype=np.uint8) + (150 * labels).astype(np.uint8)[:, None, None, None]
    )
    start = carry_over(classifier(kind, checkpoints), (), ("dark", "bright"), seed=0)
    settings = {"steps": 12, "learning_rate": 1e-2, "augmented": False, "seed": 0}
    pool, config = Pool(images, labels, 1.0), ClassifierConfig(batch=16)
    first, again = (predict(train_classifier(start, [pool], config, **settings), images) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first.argmax(axis=1) == labels).mean() > 0.9


def test_with_a_checkpoint_the_source_classifier_starts_from_it_and_what_it_began_as_is_kept(
    checkpoints, tiny_digits, tmp_path
):
    digits = ImageSet.load(tiny_digits)
    rows = digits.indices("train")
    config = ClassifierConfig(backbone="somewhere", source_steps=2, batch=16)
    images, labels = np.array(digits.images[rows]), digits.labels[rows]
    hashes = []
    for name in ("first", "again"):
        train_source_classifier(
            images, labels, digits.classes, config, 0, tmp_path / name, checkpoint=checkpoints["resnet"]
        )
        hashes.append([file_sha256(tmp_path / name / file) for file in ("classifier.safetensors", UNTRAINED)])
    assert hashes[0] == hashes[1]
    began, classes = load_classifier(tmp_path / "first" / UNTRAINED)
    trained, _ = load_classifier(tmp_path / "first" / "classifier.safetensors")
    weights = load_checkpoint(checkpoints["resnet"], size=16, channels=1, classes=10).trunk.state_dict()
    assert classes == digits.classes
    assert all(torch.equal(tensor.cpu(), weights[name]) for name, tensor in began.trunk.state_dict().items())
    first = next(name for name in weights if name.endswith("embedder.convolution.weight"))
    assert not torch.equal(trained.trunk.state_dict()[first].cpu(), weights[first])
    assert began.options["sha256"] == checkpoint_sha256(checkpoints["resnet"])


def test_an_extractor_takes_the_features_of_any_backbone(checkpoints):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 16, 16), dtype=np.uint8)
    for kind in EVERY:
        model = classifier(kind, checkpoints)
        extractor = Extractor(model.eval(), "random numbers")
        assert extractor.features(images).shape == (3, extractor.width)
        assert extractor.width == model.head.in_features // (1 if kind in KINDS else 4)


def test_a_checkpoint_is_told_by_what_is_in_it_and_not_by_where_it_lies(checkpoints, tmp_path):
    moved = shutil.copytree(checkpoints["vit"], tmp_path / "moved")
    assert checkpoint_sha256(moved) == checkpoint_sha256(checkpoints["vit"])
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-6}))
    assert checkpoint_sha256(moved) != checkpoint_sha256(checkpoints["vit"])
    assert checkpoint_sha256(save_checkpoint(tmp_path / "other", "vit", seed=1)) != checkpoint_sha256(
        checkpoints["vit"]
    )


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def with_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"none")


def deeper_than_its_weights(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 7}))


def for_other_images(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"size": 48}')


def normalised_by_nothing(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 0, 1]}')


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "there is no folder"),
        (without_config, r"there is no config\.json"),
        (with_a_pickle, r"pytorch_model\.bin is a pickle"),
        (of_another_kind, "model_type is 'bert'; a backbone is one of resnet, convnext, vit"),
        (broken_config, "is not JSON: .*; save the model anew"),
        (damaged_weights, "does not work as a backbone"),
        (deeper_than_its_weights, "lacks"),
        (for_other_images, "does not work as a backbone"),
        (normalised_by_nothing, "image_std"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_one_line(spoil, said, checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints["vit"], tmp_path / "checkpoint")
    spoil(folder)
    with pytest.raises(InputError, match=said) as raised:
        load_checkpoint(folder, size=16, channels=1, classes=2)
    assert "\n" not in str(raised.value)


def test_without_transformers_the_command_that_installs_it_is_told(checkpoints, monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gtl\[backbones\]'"):
        load_checkpoint(checkpoints["vit"], size=16, channels=1, classes=2)


def test_our_own_backbones_do_without_transformers(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        assert name.split(".")[0] != "transformers"
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in ("cnn", "resnet"):
        new_classifier(size=16, channels=1, width=8, classes=2, seed=0, backbone=name)
