"""Sounds: what a log-mel picture keeps of one, and whether a GAN of pictures of digits helps with spoken digits.

    python -m benchmarks.sounds [--data FOLDER] [--draws N] [--json]

The spoken digits are synthesised (`spoken_digits.py`), not recorded: other people in the test part than in the training
part. Records its rows in docs/measures.json, and writes docs/sounds.png.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measures import DOCS, Measure, record
from benchmarks.spoken_digits import write_spoken_digits
from gtl_core.config import ClassifierConfig, Experiment
from gtl_core.data.image_set import ImageSet
from gtl_core.data.importing import import_images
from gtl_core.data.mel import MelScale, excerpt, mel_picture, stft
from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.data.wav import Sound, decode_wav
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.synthesis.griffin_lim import picture_sounds
from pipelines.cli.output import note
from pipelines.cli.progress import terminal_progress
from pipelines.reporting import verdict_sentence
from pipelines.stages import Chain

SIZE = 28
RESAMPLES = 2_000
HEARD = 40.0
"""Decibels below the loudest place of a sound that its spectra are compared to."""
EXPERIMENT: dict[str, Any] = {
    "name": "spoken",
    "source": {"dataset": "mnist"},
    "target": {"dataset": "spoken", "labelled_per_class": 10, "validation_per_class": 10},
    "image": {"size": SIZE, "channels": 1},
    "gan": {"architecture": "dcgan", "width": 32, "latent": 64, "steps": 1000},
    "transfer": {"strategies": ["finetune"], "steps": 200},
    "synthesis": {"per_class": 100},
    "classifier": {"steps": 200, "source_steps": 500},
    "evaluation": {
        "arms": ["real_augmented", "source_finetuned", "scratch_gan", "transferred_gan", "best_plus_gan"],
    },
    "promotion": {"metric": "accuracy"},
}
SPOKEN = """\
Spoken digits that a formant synthesiser says, not recorded speech: ten digits at 8 kHz, 24 people who say each digit
twice to learn from, and 40 others who say it once, 400 sounds, to test on. Log-mel pictures of 28 bands and 28 columns
show a second."""
THERE_AND_BACK = """\
{spoken} The round trip is sound, picture, sound by Griffin-Lim, and again picture. The classifier learned from the 480
pictures of the training part, and never from one that had made the trip; three seeds. Intervals are over sounds
(bootstrap)."""
ACROSS = """\
{spoken} Source: MNIST (the 10,000 official test images). Target: the spoken digits, 10 of a class from five people, and
10 for validation from others. {draws} draws, intervals over draws and test sounds. {verdict}"""


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    beside = Path(os.environ.get("GTL_SHARED_DATA", DOCS.parent.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=beside, help="folder with mnist/")
    parser.add_argument("--draws", type=int, default=3, help="draws of the experiment")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-sounds-") as scratch:
        root = Path(scratch)
        write_spoken_digits(root / "wav", part="train", speakers=24, takes=2, seed=1)
        write_spoken_digits(root / "wav", part="test", speakers=40, takes=1, seed=1)
        homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", "dagster", "experiments")))
        spoken = import_images("spoken", root / "wav", homes.data, size=SIZE)
        import_images("mnist", options.data / "mnist", homes.data)
        there_and_back = round_trip(spoken, root / "wav", root)
        keep("sounds that have been pictures", there_and_back, THERE_AND_BACK)
        note(f"spoken digits: {len(spoken)}")
        with terminal_progress() as on_progress:
            chain = Chain(experiment(options.draws), homes, on_progress)
            across, verdict = across_senses(chain)
        draw_examples(chain, DOCS / "sounds.png")
    keep("from pictures of digits to spoken ones", across, ACROSS, draws=options.draws, verdict=verdict)
    measures = [*there_and_back, *across]
    if options.json:
        print(json.dumps({"verdict": verdict, "measures": [asdict(measure) for measure in measures]}))
        return
    for row in measures:
        print(f"{row.what:64} {row.value:7.2f} {row.unit:8} {row.low:7.2f} to {row.high:7.2f}   n = {row.n}")
    print(verdict)


def keep(topic: str, measures: Sequence[Measure], protocol: str, **said: object) -> None:
    """Records what was measured of a topic."""
    text = " ".join(protocol.format(spoken=SPOKEN, **said).split())
    record(topic, measures, protocol=text, command="python -m benchmarks.sounds")


def round_trip(spoken: ImageSet, wav: Path, folder: Path) -> list[Measure]:
    """What is left of the test sounds when they have been pictures."""
    scale = MelScale.of_json(spoken.card["sound"])
    rows = spoken.indices("test")
    pictures = np.array(spoken.images[rows, 0])
    sounds = np.stack([shown((wav / name).read_bytes(), scale) for name in spoken.manifest["source_file"].iloc[rows]])
    back = picture_sounds(pictures, scale)
    again = np.stack([mel_picture(Sound(sound, scale.rate), scale) for sound in back])
    noise = np.random.default_rng(0).normal(size=sounds.shape)

    train = spoken.indices("train")
    hits = [
        recognised(np.array(spoken.images[train]), spoken.labels[train], spoken.labels[rows], folder, seed, seen)
        for seed in range(3)
        for seen in (pictures, again)
    ]
    before, after = (100 * np.mean(hits[start::2], axis=0) for start in (0, 1))
    return [
        interval(
            "picture of the sound that came back, beside the picture", decibels_between(pictures, again, scale), "dB"
        ),
        interval("log-spectral distance of the sound that came back", spectral_distance(sounds, back, scale), "dB"),
        interval("the same of white noise", spectral_distance(sounds, noise, scale), "dB"),
        interval("pictures that a classifier recognises", before, "%"),
        interval("pictures of the sounds that came back that it recognises", after, "%"),
        interval("what the round trip costs it", after - before, "points"),
    ]


def shown(content: bytes, scale: MelScale) -> npt.NDArray[np.float64]:
    """The part of a sound that its picture shows."""
    samples = decode_wav(content).samples
    return excerpt(samples - samples.mean(), scale.length)


def decibels_between(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], scale: MelScale
) -> npt.NDArray[np.float64]:
    """Root mean square difference of each two pictures, in decibels: float64 (N,)."""
    apart = (first.astype(np.float64) - second) * scale.decibels / 255
    return np.sqrt((apart**2).mean(axis=(1, 2)))


def spectral_distance(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], scale: MelScale
) -> npt.NDArray[np.float64]:
    """Log-spectral distance (Gray and Markel 1976) of each two sounds, brought to one loudness: float64 (N,).

    The root of the mean squared difference of the power in decibels over frequencies, averaged over the frames in
    which the first sound is within `HEARD` of its loudest; what is lower than that counts as that.
    """
    levels = []
    for sounds in (first, second):
        power = np.abs(stft(sounds / np.sqrt((sounds**2).mean(axis=1, keepdims=True)), 256, 128, 256)) ** 2
        levels.append(power)
    loudest = levels[0].max(axis=(1, 2), keepdims=True)
    floor = loudest * 10 ** (-HEARD / 10)
    apart = 10 * np.log10(np.maximum(levels[0], floor) / np.maximum(levels[1], floor))
    frames = np.sqrt((apart**2).mean(axis=2))
    heard = (levels[0] > floor).any(axis=2)
    return (frames * heard).sum(axis=1) / heard.sum(axis=1)


def recognised(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    truth: npt.NDArray[np.int64],
    folder: Path,
    seed: int,
    seen: npt.NDArray[np.uint8],
) -> npt.NDArray[np.bool_]:
    """Which pictures a classifier that learned from others recognises: (N,)."""
    from gtl_core.training.classifier import load_classifier, predict, train_source_classifier

    place = folder / f"classifier-{seed}"
    path = place / "classifier.safetensors"
    if not path.exists():
        place.mkdir()
        config = ClassifierConfig(source_steps=300)
        train_source_classifier(images, labels, tuple("0123456789"), config, seed, place)
    model, _ = load_classifier(path)
    return predict(model, seen[:, np.newaxis]).argmax(axis=1) == truth


def interval(what: str, values: npt.NDArray[np.float64], unit: str) -> Measure:
    """The mean over sounds with its percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Measure(what, float(values.mean()), float(low), float(high), unit, len(values))


def experiment(draws: int) -> Experiment:
    """From pictures of digits to spoken ones."""
    return Experiment.model_validate({**EXPERIMENT, "evaluation": {**EXPERIMENT["evaluation"], "draws": draws}})


def across_senses(chain: Chain) -> tuple[list[Measure], str]:
    """Every arm's accuracy, the difference that the verdict is of, and the verdict in words."""
    chain.data_validation()
    chain.require_valid()
    chain.draws()
    chain.source_classifier()
    chain.source_gan()
    chain.transferred_gans()
    chain.synthetic_images()
    folder = chain.evaluation().path
    verdict = read_json(folder / "verdict.json")
    arms = [
        Measure(
            f"accuracy of {arm['arm']}", *(100 * arm[end] for end in ("mean", "low", "high")), "%", len(arm["draws"])
        )
        for arm in read_json(folder / "arms.json")
    ]
    what = f"{verdict['arm']} minus {verdict['baseline_arm']}, the best without a GAN"
    gained = (100 * verdict[end] for end in ("difference", "low", "high"))
    return [*arms, Measure(what, *gained, "points", verdict["draws"])], verdict_sentence(verdict)


def draw_examples(chain: Chain, path: Path) -> None:
    """A column a digit: two spoken ones, what comes back of their sounds, and two that the transferred GAN drew."""
    spoken = chain.sets[1]
    scale = MelScale.of_json(spoken.card["sound"])
    real = np.concatenate([one_of_each(spoken, which) for which in (0, 9)])
    back = [mel_picture(Sound(sound, scale.rate), scale) for sound in picture_sounds(real[:, 0], scale)]
    made = ImageSet.load(chain.synthetic("finetune", 0).path)
    rows = [real, np.stack(back)[:, np.newaxis], *(one_of_each(made, which) for which in (0, 9))]
    save_png(path, contact_sheet(np.concatenate(rows), columns=10))


def one_of_each(images: ImageSet, which: int) -> npt.NDArray[np.uint8]:
    """An image of each class: uint8 (10, 1, SIZE, SIZE)."""
    return np.stack([images.images[np.flatnonzero(images.labels == label)[which]] for label in range(10)])


if __name__ == "__main__":
    main()
