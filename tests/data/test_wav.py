"""WAV files are read as other programs write them, and whatever else is given is refused in one line."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from gtl_core.data.wav import BadSound, Sound, decode_wav, encode_wav, resampled

RATE = 8000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / RATE)


def by_scipy(samples: np.ndarray, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    wavfile.write(stream, rate, samples)
    return stream.getvalue()


def by_wave(frames: bytes, width: int, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(RATE)
        out.writeframes(frames)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "step"),
    [
        (by_scipy((TONE * 127 + 128).round().astype(np.uint8)), 1 / 100),
        (by_scipy((TONE * 2**15).round().astype(np.int16)), 1 / 2**15),
        (by_scipy((TONE * 2**31).round().astype(np.int32)), 1e-8),
        (by_scipy(TONE.astype(np.float32)), 1e-7),
        (by_scipy(TONE), 1e-15),
    ],
    ids=["8 bit", "16 bit", "32 bit", "float32", "float64"],
)
def test_every_common_kind_of_sample_is_read(content: bytes, step: float) -> None:
    sound = decode_wav(content)
    assert (sound.rate, sound.seconds) == (RATE, 0.1)
    assert np.abs(sound.samples - TONE).max() <= step


def test_samples_of_24_bits_are_read_as_the_standard_library_wrote_them() -> None:
    numbers = (TONE * 2**23).round().astype("<i4")
    packed = numbers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    assert np.abs(decode_wav(by_wave(packed, 3)).samples - TONE).max() <= 2**-23


def test_several_channels_are_averaged_and_other_chunks_passed_over() -> None:
    both = np.stack([TONE, -0.5 * TONE], axis=1).astype(np.float32)
    content = by_scipy(both)
    chunk = b"LIST" + struct.pack("<I", 3) + b"odd\0"
    content = content[:12] + chunk + content[12:]
    assert np.abs(decode_wav(content).samples - TONE / 4).max() < 1e-7


def test_a_written_sound_is_read_by_other_programs_and_says_what_it_is() -> None:
    content = encode_wav(TONE, RATE, {"ICMT": "Synthetic: true", "ISFT": "gtl"})
    rate, samples = wavfile.read(io.BytesIO(content))
    assert (rate, samples.dtype) == (RATE, np.int16)
    assert np.abs(samples / 32767 - TONE).max() <= 0.5 / 32767
    assert b"ICMT\x10\x00\x00\x00Synthetic: true\0" in content
    with wave.open(io.BytesIO(content)) as read:
        assert (read.getnchannels(), read.getnframes()) == (1, 800)


def test_another_rate_keeps_a_tone_and_leaves_out_what_it_cannot_hold() -> None:
    times = np.arange(16000) / 16000
    low, high = (np.sin(2 * np.pi * frequency * times) for frequency in (440, 6000))
    slower = resampled(Sound(low + high, 16000), RATE)
    assert (slower.rate, len(slower.samples)) == (RATE, 8000)
    expected = np.sin(2 * np.pi * 440 * np.arange(8000) / RATE)
    assert np.abs(slower.samples - expected)[200:-200].max() < 0.01


WHOLE = by_scipy((TONE * 2**15).round().astype(np.int16))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty file"),
        (b"ID3\x04 an MP3 by another name", "not a WAV file"),
        (WHOLE[:-200], "cut off: 1400 of 1600 bytes of sound are there"),
        (WHOLE[:40], "without sound, or cut off"),
        (by_scipy(np.empty(0, np.int16)), "of no length"),
        (by_scipy(np.full(80, np.nan, np.float32)), "no numbers"),
        (by_scipy(np.full(80, 1e30, np.float32)), "far beyond full scale"),
        (by_scipy(np.zeros(61 * 1000, np.int16), 1000), "61 seconds long, at most 60"),
        (by_scipy(np.zeros(80, np.int16), 200), "200 samples a second"),
        (WHOLE[:20] + b"\x07\x00" + WHOLE[22:], "compressed .μ-law.; save it as plain PCM"),
        (WHOLE[:34] + b"\x0c\x00" + WHOLE[36:], "samples of 12 bits"),
        (WHOLE[:22] + b"\x00\x00" + WHOLE[24:], "damaged: 0 channels"),
    ],
)
def test_what_is_no_sound_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(BadSound, match=why):
        decode_wav(content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_never_crash(content: bytes) -> None:
    for given_ in (content, b"RIFF\0\0\0\0WAVE" + content, WHOLE[:12] + content, WHOLE[:36] + content):
        try:
            sound = decode_wav(given_)
        except BadSound:
            continue
        assert np.isfinite(sound.samples).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_a_changed_byte_or_a_cut_end_gives_a_sound_or_a_reason(place: int, value: int, end: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] = value
    try:
        assert len(decode_wav(bytes(changed[:end])).samples)
    except BadSound as refused:
        assert str(refused)


def test_the_length_that_a_pipe_leaves_open_lasts_to_the_end_of_the_file() -> None:
    piped = WHOLE[:40] + b"\xff\xff\xff\xff" + WHOLE[44:]
    assert len(decode_wav(piped).samples) == 800
