"""From log-mel pictures back to sounds: non-negative least squares out of the mel bands, then phases by Griffin–Lim.

A picture says how much power each band has in each column, and nothing of the finer spectrum or of phases. The finer
spectrum is the non-negative one whose bands are as the picture says (multiplicative updates, Lee and Seung, Algorithms
for Non-negative Matrix Factorization, 2001). Phases are those that a real sound with these magnitudes could have:
Griffin and Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984, with the momentum of Perraudin,
Balazs and Søndergaard, A Fast Griffin–Lim Algorithm, 2013. They are sought in frames four times as close as the
picture's columns, because frames that overlap by half leave too much open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.mel import FINER, MelScale, hann, picture_decibels, stft

_SPECTRUM_STEPS = 10
"""After so many the bands are as wanted to within 0.03 dB, a tenth of a step of grey."""
_PHASE_STEPS = 32
_MOMENTUM = 0.99
_PEAK = 0.9
_NUMBERS_AT_ONCE = 2**22
"""Numbers of the spectrograms that are worked on together, which bounds memory to some 200 MB."""


def picture_sounds(pictures: npt.NDArray[np.uint8], scale: MelScale) -> npt.NDArray[np.float64]:
    """Sounds whose log-mel pictures are as near as can be to the given ones.

    Args:
        pictures: uint8 (N, size, size).
        scale: what they were made with, or what the pictures that a generator learned from were made with.

    Returns:
        float64 (N, length), each with its peak at 0.9. The same pictures give the same sounds, whatever others stand
        beside them.
    """
    sounds = np.empty((len(pictures), scale.length))
    frames = scale.length // scale.fine_hop
    at_once = max(1, _NUMBERS_AT_ONCE // (frames * (scale.fft // 2 + 1)))
    for start in range(0, len(pictures), at_once):
        magnitudes = spectra(_finer(pictures[start : start + at_once], scale), scale.bank)
        sounds[start : start + at_once] = griffin_lim(magnitudes, scale.window, scale.fine_hop, scale.fft)
    sounds *= _PEAK / np.abs(sounds).max(axis=1, keepdims=True)
    return sounds


def spectra(power: npt.NDArray[np.float64], bank: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Magnitudes of spectra whose power in the bands of a filter bank is as given.

    Minimises the squared relative error of each band, Σ ((Fp)ᵢ / mᵢ − 1)², over p ≥ 0; relative, because the ear and
    the picture count in decibels.

    Args:
        power: power in each band, above 0: float64 (..., bands).
        bank: float64 (bands, frequencies).

    Returns:
        float32 (..., frequencies).
    """
    bank = bank.astype(np.float32)
    wanted = power.astype(np.float32)
    found = (wanted / bank.sum(axis=1)) @ bank
    pull = (1 / wanted) @ bank
    for _ in range(_SPECTRUM_STEPS):
        found *= pull / np.maximum(((found @ bank.T) / wanted**2) @ bank, np.finfo(np.float32).tiny)
    magnitudes: npt.NDArray[np.float32] = np.sqrt(found)
    return magnitudes


def griffin_lim(magnitudes: npt.NDArray[np.float32], window: int, hop: int, fft: int) -> npt.NDArray[np.float32]:
    """Sounds whose short-time Fourier transforms have about these magnitudes.

    Args:
        magnitudes: float32 (N, frames, fft / 2 + 1).
        window: samples of the window.
        hop: samples from frame to frame.
        fft: length of the transform.

    Returns:
        float32 (N, frames · hop).
    """
    # One beginning for all: a sound must not depend on which others are sought with it.
    turns = np.random.default_rng(0).random(magnitudes.shape[1:], dtype=np.float32)
    guess = magnitudes * np.exp(2j * np.pi * turns).astype(np.complex64)
    before = np.zeros_like(guess)
    for _ in range(_PHASE_STEPS):
        consistent = stft(istft(guess, window, hop), window, hop, fft)
        ahead = consistent + _MOMENTUM * (consistent - before)
        before = consistent
        guess = ahead * (magnitudes / np.maximum(np.abs(ahead), np.finfo(np.float32).tiny))
    return istft(guess, window, hop)


def istft(spectra: npt.NDArray[Any], window: int, hop: int) -> npt.NDArray[Any]:
    """The sound whose short-time Fourier transform is nearest in least squares (Griffin and Lim 1984, equation 6).

    Args:
        spectra: complex (..., frames, fft / 2 + 1), as `stft` gives them.
        window: samples of the window, a multiple of `hop`.
        hop: samples from frame to frame.

    Returns:
        float (..., frames · hop).
    """
    from scipy.fft import irfft

    shape = hann(window).astype(spectra.real.dtype)
    frames = irfft(spectra, axis=-1)[..., :window] * shape
    count = frames.shape[-2]
    blocks = window // hop
    sound = np.zeros((*frames.shape[:-2], count + blocks - 1, hop), frames.dtype)
    weight = np.zeros((count + blocks - 1, hop), frames.dtype)
    for block in range(blocks):
        part = slice(block * hop, (block + 1) * hop)
        sound[..., block : block + count, :] += frames[..., part]
        weight[block : block + count] += shape[part] ** 2
    whole = (sound / np.maximum(weight, np.finfo(weight.dtype).tiny)).reshape(*frames.shape[:-2], -1)
    beside = (window - hop) // 2
    sounds: npt.NDArray[Any] = whole[..., beside : beside + count * hop]
    return sounds


def _finer(pictures: npt.NDArray[np.uint8], scale: MelScale) -> npt.NDArray[np.float64]:
    """Power in each band, columns `FINER` times as close: float64 (N, columns · FINER, bands)."""
    decibels = picture_decibels(pictures, scale)
    places = ((np.arange(scale.size * FINER) + 0.5) / FINER - 0.5).clip(0, scale.size - 1)
    left = np.minimum(places.astype(np.int64), scale.size - 2)
    share = (places - left)[:, np.newaxis]
    power: npt.NDArray[np.float64] = 10 ** ((decibels[:, left] * (1 - share) + decibels[:, left + 1] * share) / 10)
    return power
