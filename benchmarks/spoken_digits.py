"""Synthesised spoken digits: a source and a filter, as in the first speech synthesisers. They are no recorded speech.

A voice (a train of pulses) and a breath (noise) go through three resonances, the formants, which move from phone to
phone; a fricative is noise around one frequency. Each digit is a list of phones. What varies is what varies between
people and times: pitch and its fall, length of the vocal tract, speed of each phone, breath, and noise of the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.data.wav import encode_wav

RATE = 8_000
"""Samples a second, as on the telephone."""
DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
_STEP = 40
"""Samples for which the filter is held."""
_BANDWIDTHS = (80.0, 110.0, 160.0)


@dataclass(frozen=True)
class Phone:
    """A stretch of sound.

    Attributes:
        seconds: how long it lasts when nobody hurries.
        formants: Hz of the three resonances.
        voice: loudness of the pulses.
        noise: loudness of the fricative.
        centre: Hz around which the fricative lies.
    """

    seconds: float
    formants: tuple[float, float, float]
    voice: float = 1.0
    noise: float = 0.0
    centre: float = 2500.0


_IY, _IH, _EH, _AH, _AA, _AO, _UW, _OW = (
    (270.0, 2290.0, 3010.0),
    (390.0, 1990.0, 2550.0),
    (530.0, 1840.0, 2480.0),
    (640.0, 1190.0, 2390.0),
    (730.0, 1090.0, 2440.0),
    (570.0, 840.0, 2410.0),
    (300.0, 870.0, 2240.0),
    (450.0, 900.0, 2300.0),
)
"""Vowels of American men, after Peterson and Barney (1952)."""
_R, _W, _N = (310.0, 1060.0, 1380.0), (290.0, 610.0, 2150.0), (250.0, 1450.0, 2300.0)


def _s(seconds: float, formants: tuple[float, float, float]) -> Phone:
    return Phone(seconds, formants, 0.0, 0.5, 3600.0)


def _f(seconds: float, formants: tuple[float, float, float], voice: float = 0.0) -> Phone:
    return Phone(seconds, formants, voice, 0.15, 2600.0)


def _stop(seconds: float, formants: tuple[float, float, float], centre: float) -> tuple[Phone, Phone]:
    return Phone(seconds, formants, 0.0), Phone(0.03, formants, 0.0, 0.6, centre)


_PHONES: dict[str, tuple[Phone, ...]] = {
    "0": (Phone(0.07, _IH, 0.3, 0.3, 3500.0), Phone(0.1, _IH), Phone(0.07, _R, 0.7), Phone(0.16, _OW)),
    "1": (Phone(0.08, _W, 0.7), Phone(0.16, _AH), Phone(0.12, _N, 0.45)),
    "2": (*_stop(0.02, _IH, 3300.0), Phone(0.06, _IH, 0.8), Phone(0.22, _UW)),
    "3": (_f(0.09, _EH), Phone(0.07, _R, 0.7), Phone(0.22, _IY)),
    "4": (_f(0.1, _AO), Phone(0.17, _AO), Phone(0.12, _R, 0.7)),
    "5": (_f(0.1, _AA), Phone(0.14, _AA), Phone(0.1, _IH), _f(0.08, _IH, 0.3)),
    "6": (_s(0.12, _IH), Phone(0.1, _IH), *_stop(0.06, _IH, 1800.0), _s(0.13, _IH)),
    "7": (_s(0.12, _EH), Phone(0.11, _EH), _f(0.05, _AH, 0.4), Phone(0.07, _AH, 0.7), Phone(0.1, _N, 0.45)),
    "8": (Phone(0.12, _EH), Phone(0.12, _IY, 0.8), *_stop(0.07, _IY, 3300.0)),
    "9": (Phone(0.09, _N, 0.45), Phone(0.16, _AA), Phone(0.09, _IH, 0.9), Phone(0.1, _N, 0.45)),
}


@dataclass(frozen=True)
class Speaker:
    """What stays when one person says two digits.

    Attributes:
        pitch: Hz of the voice.
        tract: how much higher the formants are than a man's.
        speed: how fast they speak.
        breath: loudness of noise in the voice.
    """

    pitch: float
    tract: float
    speed: float
    breath: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Speaker:
        """A person."""
        tract = rng.uniform(0.95, 1.25)
        return cls(90 + 400 * (tract - 0.95) + rng.uniform(0, 50), tract, rng.uniform(0.75, 1.3), rng.uniform(0, 0.06))


def spoken_digit(digit: str, speaker: Speaker, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A recording of a digit, said once in a room that is not quite still: float64 (T,) at `RATE`, its peak at 0.5."""
    phones = _PHONES[digit]
    lengths = [phone.seconds / speaker.speed * rng.uniform(0.8, 1.25) for phone in phones]
    middles = np.cumsum(lengths) - np.array(lengths) / 2
    steps = int(sum(lengths) * RATE / _STEP)
    times = (np.arange(steps) + 0.5) * _STEP / RATE
    said = np.array([phone.formants for phone in phones]) * speaker.tract * rng.uniform(0.95, 1.05, (len(phones), 3))
    formants = np.stack([np.interp(times, middles, said[:, index]) for index in range(3)], axis=1)
    # Loudness changes faster than the mouth moves: a step a phone, its corners smoothed.
    phone = np.searchsorted(np.cumsum(lengths), times).clip(max=len(phones) - 1)
    voice, noise = (_smoothed(np.array([getattr(each, of) for each in phones])[phone]) for of in ("voice", "noise"))
    centre = np.array([each.centre for each in phones])[phone]

    course = np.interp(np.linspace(0, 1, steps * _STEP), [0, 0.2, 1], [1, 1.08, 0.82])
    pitch = speaker.pitch * rng.uniform(0.9, 1.1) * course
    turns = np.cumsum(pitch / RATE)
    pulses = np.diff(np.floor(turns), prepend=0.0) * 12 + rng.normal(0, speaker.breath + 0.01, len(turns))
    voiced = _filtered(pulses * np.repeat(voice, _STEP), formants, _BANDWIDTHS, cascade=True)
    hiss = rng.normal(0, 1, len(turns)) * np.repeat(noise, _STEP)
    fricative = _filtered(hiss, np.minimum(centre * speaker.tract, 0.47 * RATE)[:, np.newaxis], (900.0,), cascade=False)
    sound = voiced / max(np.abs(voiced).max(), 1e-9) + 0.6 * fricative / max(np.abs(fricative).max(), 0.05)
    before, after = (int(RATE * rng.uniform(0.2, 0.5)) for _ in range(2))
    noisy = np.pad(sound, (before, after))
    noisy += rng.normal(0, 10 ** (-rng.uniform(25, 40) / 20), len(noisy))
    return 0.5 * noisy / np.abs(noisy).max()


def _smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over 20 ms."""
    return np.convolve(np.pad(values, 2, mode="edge"), np.ones(5) / 5, mode="valid") if len(values) > 4 else values


def _filtered(
    excitation: npt.NDArray[np.float64],
    frequencies: npt.NDArray[np.float64],
    bandwidths: tuple[float, ...],
    cascade: bool,
) -> npt.NDArray[np.float64]:
    """Resonators of two poles one behind another, held for `_STEP` samples (Klatt 1980).

    Args:
        excitation: (T,).
        frequencies: Hz of each resonance in each step (T / _STEP, resonances).
        bandwidths: Hz of each.
        cascade: whether a constant passes unchanged, as in a vocal tract; else the resonance alone does.
    """
    from scipy.signal import lfilter

    sound = excitation
    for index, width in enumerate(bandwidths):
        radius = np.exp(-np.pi * width / RATE)
        turned = 2 * radius * np.cos(2 * np.pi * frequencies[:, index] / RATE)
        state = np.zeros(2)
        parts = []
        for step, coefficient in enumerate(turned):
            feedback = [1.0, -coefficient, radius**2]
            gain = sum(feedback) if cascade else (1 - radius) * np.sqrt(1 + radius**2)
            part, state = lfilter([gain], feedback, sound[step * _STEP : (step + 1) * _STEP], zi=state)
            parts.append(part)
        sound = np.concatenate(parts)
    return sound


def write_spoken_digits(folder: Path, *, speakers: int, takes: int, seed: int, part: str = "") -> None:
    """Writes `[PART/]DIGIT/SPEAKER/TAKE.wav`: each person says each digit a few times.

    Args:
        folder: where the class folders go.
        speakers: how many people.
        takes: how often each says each digit.
        seed: of all.
        part: `train`, `test` or empty; other parts have other people.
    """
    for person in range(speakers):
        rng = np.random.default_rng([seed, person, sum(part.encode())])
        speaker = Speaker.drawn(rng)
        for digit in DIGITS:
            place = folder / part / digit / f"{part}{person:02}"
            place.mkdir(parents=True, exist_ok=True)
            for take in range(takes):
                (place / f"{take}.wav").write_bytes(encode_wav(spoken_digit(digit, speaker, rng), RATE))
