from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def printed(name: str, *options: str) -> Any:
    """The one JSON object that a benchmark prints."""
    command = [
        sys.executable,
        str(BENCHMARKS / name),
        "--json",
        "--width",
        "8",
        "--size",
        "16",
        "--rounds",
        "1",
        *options,
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_evaluation_benchmark_agrees_with_torchmetrics_and_with_whole_matrices():
    command = [sys.executable, str(BENCHMARKS / "evaluation.py"), "--json", "--images", "300", "--features", "16"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    compared = ("frechet", "kernel", "precision", "recall", "density", "coverage")
    assert max(result[f"{name}_difference"] for name in compared) < 1e-3
    assert result["seconds"] > 0
    assert result["peak_mib"] > 10


def test_training_benchmark_prints_one_json_object_with_both_speeds_and_the_ceiling():
    result = printed("training.py", "--steps", "2")
    assert result["precision"] in ("bf16", "fp32")
    assert result["images_per_second"] > 0
    assert result["plain_images_per_second"] > 0
    assert 0 < result["ceiling_share"] < 1
    assert sum(result["time"].values()) == pytest.approx(1.0, abs=0.01)
    assert result["time"]["convolutions"] > 0
    assert (result["width"], result["size"]) == (8, 16)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected", "translator"])
def test_sampling_benchmark_prints_one_json_object_with_the_rate_of_bare_passes_beside_it(architecture):
    result = printed("sampling.py", "--images", "100", "--architecture", architecture)
    assert result["images_per_second"] > 0
    assert result["ratio"] == pytest.approx(result["images_per_second"] / result["bare_images_per_second"], rel=0.01)
    assert result["encoded_images_per_second"] > 0


def test_architectures_benchmark_prints_the_cost_of_a_step_of_each_and_dcgan_s_first():
    command = [sys.executable, str(BENCHMARKS / "architectures.py"), "--json", "--width", "8", "--size", "16"]
    result = json.loads(subprocess.run([*command, "--steps", "3"], capture_output=True, text=True, check=True).stdout)
    assert list(result) == ["dcgan", "fully_connected", "vae", "vae_gan"]
    assert all(milliseconds > 0 for milliseconds in result.values())


def test_strategies_benchmark_prints_the_cost_of_a_step_of_each():
    # Fewer steps would be lost in the noise of what comes before them.
    result = printed("strategies.py", "--steps", "60", "--strategies", "finetune", "scale_shift", "translate")
    assert list(result) == ["finetune", "scale_shift", "translate"]
    assert all(milliseconds > 0 for milliseconds in result.values())
