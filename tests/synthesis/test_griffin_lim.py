"""Pictures of sounds become sounds again, which look like the pictures and keep the pitch."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.spoken_digits import RATE, Speaker, spoken_digit
from gtl_core.data.mel import MelScale, mel_picture, stft
from gtl_core.data.wav import Sound
from gtl_core.synthesis.griffin_lim import griffin_lim, istft, picture_sounds, spectra

SCALE = MelScale.of(RATE, 32, 1.0)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Pictures of ten spoken digits: uint8 (10, 32, 32)."""
    rng = np.random.default_rng(0)
    speaker = Speaker.drawn(rng)
    return np.stack([mel_picture(Sound(spoken_digit(digit, speaker, rng), RATE), SCALE) for digit in "0123456789"])


def decibels_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.sqrt(((first.astype(float) - second) ** 2).mean(axis=(1, 2))) * SCALE.decibels / 255


@pytest.mark.parametrize("hop", [SCALE.hop, SCALE.fine_hop])
def test_the_inverse_transform_gives_back_the_very_sound(hop: int) -> None:
    samples = np.random.default_rng(1).normal(size=(2, SCALE.length))
    assert istft(stft(samples, SCALE.window, hop, SCALE.fft), SCALE.window, hop) == pytest.approx(samples)


def test_the_inverse_transform_of_what_no_sound_has_is_the_nearest_in_least_squares() -> None:
    rng = np.random.default_rng(2)
    wanted = rng.normal(size=(1, 8, 17)) + 1j * rng.normal(size=(1, 8, 17))
    # A real signal's first and last frequency are real.
    wanted[..., [0, -1]] = wanted[..., [0, -1]].real
    nearest = istft(wanted, 32, 8)

    def error(samples: np.ndarray) -> float:
        weights = np.full(17, 2.0)
        weights[[0, -1]] = 1.0
        return float((weights * np.abs(stft(samples, 32, 8, 32) - wanted) ** 2).sum())

    least = error(nearest)
    inside = np.zeros_like(nearest)
    inside[:, 16:-16] = rng.normal(size=nearest[:, 16:-16].shape)
    assert all(error(nearest + step * inside) > least for step in (1e-3, -1e-3, 0.1, -0.1))


def test_spectra_are_not_negative_and_have_the_power_that_their_bands_say() -> None:
    rng = np.random.default_rng(3)
    wanted = (SCALE.bank @ rng.exponential(size=(SCALE.fft // 2 + 1, 20))).T
    found = spectra(wanted, SCALE.bank).astype(float) ** 2
    assert (found >= 0).all()
    apart = 10 * np.log10((found @ SCALE.bank.T) / wanted)
    assert np.sqrt((apart**2).mean()) < 0.5


def test_a_sound_made_of_a_picture_has_that_picture(pictures: np.ndarray) -> None:
    sounds = picture_sounds(pictures, SCALE)
    assert sounds.shape == (10, SCALE.length)
    assert np.abs(sounds).max(axis=1) == pytest.approx(0.9)
    again = np.stack([mel_picture(Sound(sound, RATE), SCALE) for sound in sounds])
    assert decibels_between(pictures, again).max() < 3.0


def test_griffin_lim_finds_phases_with_which_the_magnitudes_are_far_nearer_than_with_random_ones() -> None:
    rng = np.random.default_rng(4)
    sound = spoken_digit("3", Speaker.drawn(rng), rng)[: SCALE.length].astype(np.float32)
    length = len(sound) // SCALE.fine_hop * SCALE.fine_hop
    sizes = (SCALE.window, SCALE.fine_hop, SCALE.fft)
    wanted = np.abs(stft(sound[np.newaxis, :length], *sizes))
    turns = np.exp(2j * np.pi * rng.random(wanted.shape)).astype(np.complex64)
    random, found = istft(wanted * turns, *sizes[:2]), griffin_lim(wanted, *sizes)

    def missed(samples: np.ndarray) -> float:
        return float(np.linalg.norm(np.abs(stft(samples, *sizes)) - wanted) / np.linalg.norm(wanted))

    assert missed(found) < 0.3 * missed(random)


def test_a_tone_keeps_its_pitch() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    back = picture_sounds(mel_picture(Sound(tone, RATE), SCALE)[np.newaxis], SCALE)[0]
    loudest = np.abs(np.fft.rfft(back)).argmax() * RATE / len(back)
    assert loudest == pytest.approx(1000, abs=60)


def test_a_sound_does_not_depend_on_those_beside_it(pictures: np.ndarray) -> None:
    assert np.array_equal(picture_sounds(pictures[3:4], SCALE)[0], picture_sounds(pictures, SCALE)[3])


def test_a_black_picture_becomes_noise_and_no_failure() -> None:
    assert np.isfinite(picture_sounds(np.zeros((1, 32, 32), np.uint8), SCALE)).all()
