from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"


def test_training_benchmark_prints_one_json_object_with_both_speeds_and_the_ceiling():
    command = [
        sys.executable,
        str(BENCHMARK),
        "--json",
        "--width",
        "4",
        "--size",
        "16",
        "--steps",
        "2",
        "--rounds",
        "1",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = json.loads(printed)
    assert result["precision"] in ("bf16", "fp32")
    assert result["images_per_second"] > 0
    assert result["plain_images_per_second"] > 0
    assert 0 < result["ceiling_share"] < 1
    assert (result["width"], result["size"]) == (4, 16)
