"""What is learned on the source alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gtl_core.config import DaganConfig, GanConfig
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.dagan import pretrain_dagan
from gtl_core.transfer.pretrain import pretrain_source

CLASSES = ("a", "b")


def of_source(images: np.ndarray, labels: np.ndarray, folder: Path) -> Path:
    return pretrain_source(images, labels, CLASSES, GanConfig(steps=1, batch=4), 0, folder, silent)


def of_pairs(images: np.ndarray, labels: np.ndarray, folder: Path) -> Path:
    return pretrain_dagan(DaganConfig(steps=1, batch=4), images, labels, CLASSES, 0, folder, silent)


@pytest.mark.parametrize("pretrain", [of_source, of_pairs])
def test_on_small_images_the_same_weights_come_out_however_many_cores_there_are(pretrain, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16), dtype=np.uint8)
    labels = np.arange(8) % 2
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            path = pretrain(images, labels, tmp_path / str(threads))
            made.append(GanCheckpoint.load(path).weights_sha256())
    finally:
        torch.set_num_threads(before)
    assert len(set(made)) == 1
