"""A stylist takes the look of one image over to another, and its training can be stopped and taken up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gtl_core.data.image_set import ImageSet
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec, build_generator
from gtl_core.networks.stylist import adain, moments
from gtl_core.progress import Progress, silent
from gtl_core.synthesis import stylise
from gtl_core.training import stylisation
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.stylist import train_stylist

STEPS = 10


@pytest.fixture(scope="module")
def digits(tiny_digits: Path) -> np.ndarray:
    return np.array(ImageSet.load(tiny_digits).images)


def in_another_style(images: np.ndarray) -> np.ndarray:
    """The same digits, dark on a light ground."""
    return 220 - images // 2


def run(digits: np.ndarray, folder: Path, on_progress: Callable[[Progress], None] = silent, steps: int = STEPS) -> Path:
    style = in_another_style(digits[200:300])
    return train_stylist(digits[:100], style, steps=steps, seed=1, folder=folder, on_progress=on_progress)


def test_adaptive_instance_normalisation_gives_the_content_the_means_and_deviations_of_the_style():
    random = torch.Generator().manual_seed(0)
    content, style = torch.randn((2, 3, 8, 8), generator=random), 4 + 2 * torch.randn((2, 3, 6, 6), generator=random)
    changed = adain(content, style)
    for got, wanted in zip(moments(changed), moments(style), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    correlation = torch.corrcoef(torch.stack([content[0, 0].flatten(), changed[0, 0].flatten()]))[0, 1]
    assert correlation > 0.9999


def test_an_interrupted_stylist_ends_with_the_bytes_of_one_that_never_stopped(
    digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    monkeypatch.setattr(stylisation, "BATCH", 4)
    whole = run(digits, tmp_path / "whole")
    for step in (2, 6):  # while it learns to encode, and while it learns to stylise

        def press(progress: Progress, step: int = step) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run(digits, tmp_path / "halting", press)
    assert file_sha256(run(digits, tmp_path / "halting")) == file_sha256(whole)


def test_the_bank_holds_contents_and_styles_and_samples_come_of_both(digits: np.ndarray, tmp_path: Path):
    gan = GanCheckpoint.load(run(digits, tmp_path, steps=2))
    bank = gan.ema["bank"].numpy()
    contents, styles = (
        {image.tobytes() for image in part} for part in (digits[:100], in_another_style(digits[200:300]))
    )
    assert {image.tobytes() for image in bank[:100]} <= contents
    assert {image.tobytes() for image in bank[100:]} <= styles
    drawn = gan.averaged_generator()(torch.randn((6, 2)), torch.tensor([0, 1] * 3))
    assert drawn.shape == (6, 1, 16, 16)


def test_dark_on_light_becomes_the_look_of_light_on_dark_digits_and_little_strength_changes_little(
    digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stylisation, "BATCH", 8)
    checkpoint = run(digits, tmp_path, steps=140)
    content, style = digits[100:140], in_another_style(digits[300:340])
    full = stylise.apply(checkpoint, content, style, seed=0).images
    none = stylise.apply(checkpoint, content, style, strength=0.0, seed=0).images
    distance = {
        name: abs(float(images.mean()) - float(style.mean()))
        for name, images in (("content", content), ("full", full), ("none", none))
    }
    assert distance["full"] < 0.35 * distance["content"]
    assert distance["none"] > 0.6 * distance["content"]


def test_translation_needs_no_label(digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    quick = {"steps": 50, "width": 16, "batch": 8, "learning_rate_translator": 2e-3}
    monkeypatch.setattr(stylise, "TRANSLATION", stylise.TRANSLATION.model_copy(update=quick))
    style = in_another_style(digits[200:300])
    checkpoint = stylise.train("translate", digits[:100], style, seed=0, folder=tmp_path, on_progress=silent)
    made = stylise.apply(checkpoint, digits[100:140], style, seed=0)
    assert (made.styles == -1).all()
    assert abs(made.images.mean() - style.mean()) < 0.6 * abs(digits[100:140].mean() - style.mean())


def test_the_same_seed_makes_the_same_stylist():
    spec = GanSpec("stylist", size=16, channels=3, width=8, latent=2, classes=2, bank=3)
    first, second = (build_generator(spec, 4).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_learning_to_encode_for_long_is_not_taken_for_a_discriminator_that_is_too_sure(
    digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stylisation, "BATCH", 2)
    monkeypatch.setattr(stylisation, "_ENCODING_SHARE", 0.9)
    run(digits, tmp_path, steps=260)
    assert not (tmp_path / "events.jsonl").exists()
