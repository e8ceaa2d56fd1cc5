"""Where and how precisely to compute, and images between their stored form and the networks' form."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


SHARED_FROM = 24
"""Side in pixels from which one training gains by several threads."""


@contextmanager
def suitable_threads(size: int) -> Iterator[None]:
    """Within the block, one thread for images of fewer than `SHARED_FROM` pixels a side, else as many as were set.

    On 16 pixels, two threads on two idle cores were a fifth faster than one, and beside one other busy process ten
    times slower, because they wait for each other at every layer.
    """
    before = torch.get_num_threads()
    if size < SHARED_FROM:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def keep_memory() -> None:
    """Lets this process keep the memory that a training step frees for the next step, where the C library is glibc.

    By itself it hands large blocks back to the system at once, and every step faults the same pages in again: with
    28×28 images and width 32, 8,700 times a step, for an eighth of its time (140 ms instead of 122 on one core).
    """
    trim_threshold, mmap_threshold = -1, -3  # glibc's names for mallopt(3): M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(mmap_threshold, 32 * 2**20)
        library.mallopt(trim_threshold, 2**30)


def device() -> torch.device:
    """The first GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bf16(where: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there, as told by the kind of device, so that it never changes.

    On a GPU it is from Ampere on. On a processor it is with tile instructions (AMX), or with AVX-512 bfloat16 by AMD:
    on Zen 4 a matrix product ran at 431 GFLOP/s instead of 198, whereas on an Intel processor that has the same
    instructions without tiles it ran at 61 instead of 146. Processors without any compute bfloat16 correctly but
    several times slower.
    """
    if where.type == "cuda":
        return torch.cuda.get_device_capability(where) >= (8, 0)
    if torch.cpu._is_amx_tile_supported():
        return True
    return bool(torch.cpu._is_avx512_bf16_supported()) and _made_by_amd()


@functools.cache
def _made_by_amd() -> bool:
    """Whether the processor is one of AMD's, as far as the operating system tells."""
    about = Path("/proc/cpuinfo")
    return about.is_file() and "AuthenticAMD" in about.read_text(encoding="utf-8", errors="replace")


def precision(where: torch.device) -> str:
    """`bf16` or `fp32`: what `autocast` computes in there."""
    return "bf16" if computes_bf16(where) else "fp32"


def autocast(where: torch.device) -> AbstractContextManager[None]:
    """Context in which matrix products and convolutions run in bfloat16 where that is fast, else in float32.

    The cache of casted weights is off: it is emptied only when the outermost context ends, so within one context
    an optimiser step would go unseen.
    """
    return torch.autocast(where.type, dtype=torch.bfloat16, enabled=computes_bf16(where), cache_enabled=False)


def to_unit_range(images: torch.Tensor) -> torch.Tensor:
    """Stored pixels, uint8 0 to 255, as float32 in [-1, 1], of the same shape and memory layout."""
    return images.to(torch.float32).mul_(1.0 / 127.5).sub_(1.0)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Pixels in [-1, 1] as uint8 0 to 255, rounded to the nearest; the inverse of `to_unit_range`."""
    return images.to(torch.float32).add(1.0).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def placed(network: Network, where: torch.device) -> Network:
    """The network itself, moved to a device with its convolutions' weights channels last, where they run fastest."""
    move = cast("Callable[..., Network]", network.to)  # torch's annotations leave out `memory_format` on its own
    return move(where, memory_format=torch.channels_last)


def to_device(images: npt.NDArray[np.uint8], where: torch.device) -> torch.Tensor:
    """A whole set of images in the memory of a device, channels last.

    Args:
        images: uint8 (N, C, H, W), which may be mapped from a file.
        where: the device.

    Returns:
        uint8 (N, C, H, W), a copy.
    """
    copy = torch.from_numpy(np.array(images, dtype=np.uint8, order="C"))
    return copy.to(where, memory_format=torch.channels_last)
