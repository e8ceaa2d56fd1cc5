"""An autoencoder goes the way of a GAN through the stages: source, transfer, no source, images, measures, verdict."""

from __future__ import annotations

from pathlib import Path

import joblib
from small_chain import as_experiment, project_of_digits

from gtl_core.files import read_json
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.checkpoint import GanCheckpoint
from pipelines.stages import Chain


def test_an_experiment_with_an_autoencoder_comes_to_a_verdict_with_and_without_a_source(
    tiny_digits: Path, tmp_path: Path
) -> None:
    experiment = as_experiment(
        name="autoencoder",
        gan={"architecture": "vae"},
        transfer={"strategies": ["scale_shift"]},
        evaluation={"arms": ["real", "scratch_gan", "best_plus_gan"]},
    )
    chain = Chain(experiment, project_of_digits(tmp_path / "project", tiny_digits))
    with joblib.parallel_config(backend="sequential"):
        chain.draws()
        chain.source_gan()
        chain.source_classifier()
        gans = chain.transferred_gans()
        chain.synthetic_images()
        chain.synthetic_quality()
        verdict = chain.evaluation().path
    assert {GanCheckpoint.load(stage.path / "gan.safetensors").spec.architecture for stage in gans} == {"vae"}
    for folder in chain.synthetic_folders()["scale_shift"]:
        assert len(SyntheticSet.load(folder)) == 30
    arms = {row["arm"] for row in read_json(verdict / "arms.json")}
    assert {"scratch_gan", "best_plus_gan/scale_shift"} <= arms
