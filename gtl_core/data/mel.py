"""Log-mel pictures: a sound as a square grey picture, time to the right, pitch upwards, bright where it is loud.

The pitch scale is HTK's mel, 2595 log10(1 + f / 700) (Young et al., The HTK Book, 2002, section 5.4), on which steps
of equal length sound alike. The loudest place of each sound is white, so that its loudness as a whole is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.wav import BadSound, Samples, Sound
from gtl_core.errors import InputError

DEFAULT_SIZE = 32
DEFAULT_SECONDS = 1.0
FINER = 4
"""Columns of a picture are this many times `MelScale.fine_hop` apart, the step that turns one back into a sound."""
_SILENT = 1e-4
"""Peak below which nothing is to be heard: -80 dB of full scale, three steps of 16 bits."""


@dataclass(frozen=True)
class MelScale:
    """What a log-mel picture was made with, and what turns it back.

    Attributes:
        rate: samples a second of the sound.
        size: mel bands, which is also the number of columns.
        hop: samples from one column to the next; a window is two of them long.
        lowest: Hz below which nothing is seen.
        highest: Hz above which nothing is seen.
        decibels: how far below the loudest place black is.
    """

    rate: int
    size: int
    hop: int
    lowest: float
    highest: float
    decibels: float

    @classmethod
    def of(cls, rate: int, size: int, seconds: float) -> MelScale:
        """The scale for sounds of a rate and about a length, as it is always chosen."""
        step = 2 * FINER  # so that also the fine hop is even, and its frames can stand beside those of the picture
        hop = step * max(1, round(seconds * rate / size / step))
        return cls(rate, size, hop, lowest=50.0, highest=rate / 2, decibels=60.0)

    @classmethod
    def of_json(cls, value: Any) -> MelScale:
        """What `to_json` gave; other keys are passed over.

        Raises:
            KeyError: a value is missing.
            TypeError: it is no table.
        """
        return cls(**{field.name: value[field.name] for field in fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the lengths that follow from it."""
        return {**asdict(self), "window": self.window, "fft": self.fft, "seconds": self.seconds}

    @property
    def length(self) -> int:
        """Samples that a picture shows."""
        return self.size * self.hop

    @property
    def seconds(self) -> float:
        """How much of a sound a picture shows."""
        return self.length / self.rate

    @property
    def window(self) -> int:
        """Samples that one column is made of."""
        return 2 * self.hop

    @property
    def fine_hop(self) -> int:
        """Samples from one column to the next where phases are sought."""
        return self.hop // FINER

    @property
    def fft(self) -> int:
        """Length of the Fourier transform: a power of two that gives also the narrowest band two frequencies."""
        narrowest = float(np.diff(self._edges)[:2].sum())
        return int(2 ** np.ceil(np.log2(max(self.window, 2 * self.rate / narrowest))))

    @cached_property
    def _edges(self) -> npt.NDArray[np.float64]:
        """Hz at which the bands begin, culminate and end: float64 (size + 2,), evenly spaced in mel."""
        edges: npt.NDArray[np.float64] = hertz(np.linspace(mel(self.lowest), mel(self.highest), self.size + 2))
        return edges

    @cached_property
    def bank(self) -> npt.NDArray[np.float64]:
        """The mel filter bank: float64 (size, fft / 2 + 1).

        Each row is a triangle over the frequencies, 0 at the middles of its neighbours and 1 at its own, so that
        between the first and the last middle the rows sum to 1.
        """
        frequencies = np.fft.rfftfreq(self.fft, 1 / self.rate)
        low, middle, high = (self._edges[start : start + self.size, np.newaxis] for start in range(3))
        rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
        triangles: npt.NDArray[np.float64] = np.minimum(rising, falling).clip(min=0.0)
        return triangles


def scale_of(card: Mapping[str, Any], name: str) -> MelScale | None:
    """The scale that the pictures of a set were made with; None where they are no pictures of sounds.

    Args:
        card: the set's card, or what a lineage record tells of the set.
        name: the set's name, for the message.

    Raises:
        InputError: the card is damaged.
    """
    if card.get("sound") is None:
        return None
    try:
        return MelScale.of_json(card["sound"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{name}: its card does not say how its sounds became pictures; import them again") from error


def mel(frequency: Any) -> Any:
    """Hertz in mel."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency) / 700.0)


def hertz(pitch: Any) -> Any:
    """Mel in hertz."""
    return 700.0 * (10.0 ** (np.asarray(pitch) / 2595.0) - 1.0)


def hann(length: int) -> npt.NDArray[np.float64]:
    """The periodic Hann window: float64 (length,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def stft(samples: npt.NDArray[Any], window: int, hop: int, fft: int) -> npt.NDArray[Any]:
    """Short-time Fourier transform; the sound stands in silence, and frame t is centred on sample (t + 1/2) hop.

    Args:
        samples: float (..., T), T a multiple of `hop`.
        window: samples of the Hann window; it exceeds `hop` by an even number.
        hop: samples from frame to frame.
        fft: length of the transform, at least `window`.

    Returns:
        complex (..., T / hop, fft / 2 + 1), of the precision of `samples`.
    """
    from scipy.fft import rfft

    beside = (window - hop) // 2
    padded = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(beside, beside)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)[..., ::hop, :]
    spectra: npt.NDArray[Any] = rfft(frames * hann(window).astype(samples.dtype), fft, axis=-1)
    return spectra


def excerpt(samples: Samples, length: int) -> Samples:
    """The `length` samples that hold the most energy; a shorter sound comes into the middle of silence."""
    spare = len(samples) - length
    if spare <= 0:
        before = -spare // 2
        return np.pad(samples, (before, -spare - before))
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length]


def mel_power(samples: npt.NDArray[Any], scale: MelScale) -> npt.NDArray[Any]:
    """Power in each mel band over time.

    Args:
        samples: float (..., length).
        scale: the scale.

    Returns:
        float (..., columns, bands).
    """
    power = np.abs(stft(samples, scale.window, scale.hop, scale.fft)) ** 2
    bands: npt.NDArray[Any] = power @ scale.bank.T.astype(power.dtype)
    return bands


def mel_picture(sound: Sound, scale: MelScale) -> npt.NDArray[np.uint8]:
    """The log-mel picture of the loudest part of a sound.

    Args:
        sound: of any length; `resampled` brings one to the scale's rate.
        scale: the scale.

    Returns:
        uint8 (size, size): the highest band in the first row, 255 for the loudest place, 0 for what is
        `scale.decibels` or more below it.

    Raises:
        BadSound: it is silent, or of another rate.
    """
    if sound.rate != scale.rate:
        raise BadSound(f"{sound.rate} samples a second, expected {scale.rate}")
    samples = sound.samples - sound.samples.mean()
    peak = float(np.abs(samples).max())
    if peak < _SILENT:
        raise BadSound("silent")
    power = mel_power(excerpt(samples, scale.length) / peak, scale)
    if not power.max() > 0:
        raise BadSound(f"nothing to be heard from {scale.lowest:.0f} to {scale.highest:.0f} Hz")
    decibels = 10 * np.log10(np.maximum(power / power.max(), 1e-30))
    levels = (1 + decibels / scale.decibels).clip(min=0.0)
    picture: npt.NDArray[np.uint8] = np.round(255 * levels).astype(np.uint8).T[::-1]
    return picture


def picture_decibels(pictures: npt.NDArray[np.uint8], scale: MelScale) -> npt.NDArray[np.float64]:
    """Decibels below the loudest place that pictures say, with time before pitch again.

    Args:
        pictures: uint8 (..., size, size).
        scale: the scale.

    Returns:
        float64 (..., columns, bands), from -`scale.decibels` to 0.
    """
    decibels: npt.NDArray[np.float64] = np.swapaxes(pictures[..., ::-1, :] / 255.0 - 1.0, -1, -2) * scale.decibels
    return decibels
