"""Registered models of every backbone predict in a process of their own, which has none of this project's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import ClassifierConfig
from gtl_core.registry.gate import Candidate, predict_elsewhere
from gtl_core.registry.model_card import model_card
from gtl_core.registry.packaging import Package, package_classifier
from gtl_core.training.classifier import carry_over, load_classifier, new_classifier, predict, save_classifier
from gtl_core.training.pretrained import load_checkpoint
from tests.tiny_checkpoints import save_checkpoint

KINDS = ("our resnet", "vit")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Package, Path]]:
    folder = tmp_path_factory.mktemp("packages")
    checkpoint = load_checkpoint(save_checkpoint(folder / "vit", "vit"), size=16, channels=1, classes=3)
    models = {
        "our resnet": new_classifier(size=16, channels=1, width=8, classes=3, seed=0, backbone="resnet"),
        "vit": carry_over(checkpoint, (), "abc", 0),
    }
    made = {}
    for kind, model in models.items():
        weights = folder / kind / "classifier.safetensors"
        save_classifier(weights, model, "abc")
        made[kind] = package_classifier(weights, IMAGES[:2], folder / kind / "package"), weights
    return made


def test_every_backbone_says_the_same_in_a_process_without_this_project(packages):
    found = predict_elsewhere(
        [Candidate(kind, package.folder, "classifier") for kind, (package, _) in packages.items()], IMAGES
    )
    for (_, weights), there in zip(packages.values(), found, strict=True):
        assert there.error == ""
        np.testing.assert_allclose(there.values, predict(load_classifier(weights)[0], IMAGES), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_carries_the_code_of_its_own_backbone_and_asks_for_what_that_needs(kind, packages):
    package, _ = packages[kind]
    code = (package.folder / "classifier.py").read_text(encoding="utf-8")
    required = {line.split("==")[0] for line in (package.folder / "requirements.txt").read_text().split()}
    assert ("transformers" in required) is (kind == "vit")
    assert ("import transformers" in code) is (kind == "vit")
    assert ("_Block" in code) is (kind == "our resnet")
    assert "gtl_core" not in code


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        ("resnet", "Its backbone is resnet of width 16."),
        ("models/tiny_vit", "Its backbone began as the checkpoint tiny\\_vit (SHA-256 00ff)."),
    ],
)
def test_the_card_of_a_classifier_names_its_backbone(backbone: str, said: str):
    settings = ClassifierConfig(backbone=backbone, width=16)
    card = model_card(
        "classifier",
        "gtl-digits-classifier",
        experiment="digits",
        classes="abc",
        size=16,
        channels=1,
        best={"arm": "real", "chosen_by": "accuracy", "draw": 0},
        arms=[{"arm": "real", "mean": 0.5, "low": 0.4, "high": 0.6}],
        lineage={
            "experiment": {"classifier": settings.model_dump(mode="json")},
            **({"backbone": {"sha256": "00ff"}} if settings.checkpoint else {}),
            "verdict": {"label": "inconclusive", "metric": "accuracy", "test_images": 9, "draws": 2},
            "datasets": [{"name": "digits", "role": "target", "version": "1", "images": 9}],
            "checkpoints": [],
            "git_commit": "c0ffee",
            "data_version": "1",
        },
        files={},
    )
    assert said in card
