"""What the study runs on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores that may be used, GPU where there is one, torch and its threads, and precision."""
    import torch

    from gtl_core.training.runtime import device, precision

    where = device()
    cores = len(os.sched_getaffinity(0))
    gpu = f", {torch.cuda.get_device_name(where)}" if where.type == "cuda" else ""
    threads = f"torch {torch.__version__} with {torch.get_num_threads()} threads, 1 in work that runs side by side"
    return f"{_processor()}, {cores} cores{gpu}, {threads}, {precision(where)}"


def _processor() -> str:
    """The processor's name, as far as the operating system tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
