"""WAV files: from their bytes to samples, and back."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""Sound pressure over time, mono: float64 (T,), full scale from -1 to 1."""

_LOWEST_RATE, _HIGHEST_RATE = 1_000, 384_000
_MOST_SECONDS = 60
_MOST_CHANNELS = 16
_LARGEST = 1e6
"""Floating point may go beyond full scale, but not that far."""
_INTEGERS, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE
_COMPRESSED = {2: "ADPCM", 6: "A-law", 7: "μ-law", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x55: "MP3", 0xFF: "AAC"}
_UNKNOWN_LENGTH = 0xFFFFFFFF
"""What programs write for the length of a sound that goes into a pipe: it lasts to the end of the file."""


class BadSound(Exception):
    """A sound that cannot be used; the message says why."""


@dataclass(frozen=True)
class Sound:
    """A sound as a file holds it, mixed to one channel.

    Attributes:
        samples: its `Samples`.
        rate: samples a second.
    """

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class _Format:
    """What the chunk `fmt ` says: the kind of numbers, channels, samples a second, and bits of a sample."""

    kind: int
    channels: int
    rate: int
    bits: int

    @property
    def block(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


def decode_wav(content: bytes) -> Sound:
    """The sound in a WAV file (RIFF): whole numbers of 8, 16, 24 or 32 bits, or floating point of 32 or 64.

    Several channels are averaged.

    Raises:
        BadSound: it is no WAV file, damaged, cut off, empty, compressed, or holds numbers that are none.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise BadSound("not a WAV file" if content else "an empty file")
    form, data = None, None
    place = 12
    while place + 8 <= len(content) and data is None:
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        body = content[place + 8 : place + 8 + length]
        if name == b"fmt ":
            form = _format(body)
        elif name == b"data":
            if len(body) < length != _UNKNOWN_LENGTH:
                raise BadSound(f"cut off: {len(body)} of {length} bytes of sound are there")
            data = body
        place += 8 + length + length % 2
    if form is None or data is None:
        raise BadSound("a WAV file without format" if form is None else "a WAV file without sound, or cut off")
    length = len(data) // form.block
    if not length:
        raise BadSound("a WAV file of no length")
    if length > _MOST_SECONDS * form.rate:
        raise BadSound(f"{length / form.rate:.0f} seconds long, at most {_MOST_SECONDS} are read; cut it into sounds")
    samples = _numbers(data[: length * form.block], form)
    # Written so that NaN, which is not less than anything, is refused too.
    if not (np.abs(samples) < _LARGEST).all():
        raise BadSound("holds samples that are no numbers, or far beyond full scale")
    return Sound(samples.mean(axis=1), form.rate)


def encode_wav(samples: Samples, rate: int, about: Mapping[str, str] | None = None) -> bytes:
    """A mono WAV file of 16 bits; the same arguments give the same bytes.

    Args:
        samples: what lies outside of -1..1 is clipped.
        rate: samples a second.
        about: what the file says of itself in a chunk `INFO`, by RIFF's names of four letters, such as `ICMT` for a
            comment and `ISFT` for the software.
    """
    numbers = np.round(samples.clip(-1.0, 1.0) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", _INTEGERS, 1, rate, 2 * rate, 2, 16)
    said = b"".join(_chunk(name.encode(), text.encode() + b"\0") for name, text in (about or {}).items())
    body = _chunk(b"fmt ", form) + (_chunk(b"LIST", b"INFO" + said) if said else b"") + _chunk(b"data", numbers)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def resampled(sound: Sound, rate: int) -> Sound:
    """The sound at another rate, by polyphase filtering, which keeps out what the new rate cannot hold."""
    from scipy.signal import resample_poly

    if sound.rate == rate:
        return sound
    common = int(np.gcd(sound.rate, rate))
    return Sound(resample_poly(sound.samples, rate // common, sound.rate // common), rate)


def _format(body: bytes) -> _Format:
    """The chunk `fmt `, checked."""
    if len(body) < 16:
        raise BadSound("damaged: its format is cut off")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    if kind not in (_INTEGERS, _FLOATS):
        raise BadSound(f"compressed ({_COMPRESSED.get(kind, f'kind {kind}')}); save it as plain PCM")
    if bits not in ((8, 16, 24, 32) if kind == _INTEGERS else (32, 64)):
        raise BadSound(f"samples of {bits} bits; 8, 16, 24 and 32 are read, and floating point of 32 and 64")
    form = _Format(kind, channels, rate, bits)
    if not 1 <= channels <= _MOST_CHANNELS or block != form.block:
        raise BadSound(f"damaged: {channels} channels in blocks of {block} bytes")
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise BadSound(f"{rate} samples a second; from {_LOWEST_RATE:,} to {_HIGHEST_RATE:,} can be used")
    return form


def _numbers(data: bytes, form: _Format) -> npt.NDArray[np.float64]:
    """Samples of every channel: float64 (T, channels)."""
    width = form.bits // 8
    if form.kind == _FLOATS:
        numbers = np.frombuffer(data, f"<f{width}").astype(np.float64)
    elif width == 1:
        numbers = np.frombuffer(data, np.uint8).astype(np.float64) / 128 - 1
    elif width == 3:
        # NumPy has no numbers of three bytes: they become the upper three of four.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        numbers = wide.view("<i4")[:, 0] / 2.0**31
    else:
        numbers = np.frombuffer(data, f"<i{width}") / 2.0 ** (form.bits - 1)
    return numbers.reshape(-1, form.channels)


def _chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a RIFF file, filled up to an even number of bytes."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
