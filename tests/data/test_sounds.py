"""Folders of sounds become sets of log-mel pictures, which show what is to be heard."""

from __future__ import annotations

import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT

from benchmarks.spoken_digits import RATE, Speaker, spoken_digit
from gtl_core.data.image_set import ImageSet
from gtl_core.data.importing import import_images
from gtl_core.data.incoming import NOTHING, Waiting, next_window
from gtl_core.data.mel import MelScale, excerpt, hann, hertz, mel, mel_picture, scale_of, stft
from gtl_core.data.new_images import read_new
from gtl_core.data.readers.audio import SoundOptions
from gtl_core.data.wav import BadSound, Sound, encode_wav
from gtl_core.errors import InputError
from gtl_core.validation.suite import validate_set
from pipelines.cli.main import invoke
from pipelines.registration import recorded_set

SCALE = MelScale.of(RATE, 32, 1.0)


def tone(frequency: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two classes of three tones each."""
    for label, lowest in (("high", 2000), ("low", 200)):
        for index in range(3):
            path = tmp_path / "files" / label / f"{index}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_wav(tone(lowest + 40 * index), RATE))
    return tmp_path / "files"


def test_the_mel_scale_is_that_of_htk() -> None:
    assert mel(1000.0) == pytest.approx(999.99, abs=0.01)
    assert mel(700.0) == pytest.approx(2595 * np.log10(2))
    assert hertz(mel(440.0)) == pytest.approx(440.0)


@pytest.mark.parametrize(("rate", "size"), [(8000, 28), (8000, 64), (16000, 32), (44100, 48)])
def test_the_filter_bank_is_of_triangles_that_sum_to_one_between_the_first_middle_and_the_last(
    rate: int, size: int
) -> None:
    scale = MelScale.of(rate, size, 1.0)
    middles = hertz(np.linspace(mel(scale.lowest), mel(scale.highest), size + 2))[1:-1]
    frequencies = np.fft.rfftfreq(scale.fft, 1 / rate)
    inside = (frequencies >= middles[0]) & (frequencies <= middles[-1])
    assert scale.bank.sum(axis=0)[inside] == pytest.approx(1.0)
    assert (scale.bank.max(axis=1) > 0).all()
    for row in scale.bank:
        rises = np.sign(np.diff(row[row > 0]))
        assert (np.diff(rises) <= 0).all()


def test_the_transform_is_the_short_time_fourier_transform_of_scipy() -> None:
    samples = np.random.default_rng(0).normal(size=SCALE.length)
    reference = ShortTimeFFT(hann(SCALE.window), SCALE.hop, RATE, mfft=SCALE.fft)
    # Their frames are centred on p·hop, ours on (t + 1/2) hop: half a hop of silence before makes the same of both.
    theirs = reference.stft(np.pad(samples, (SCALE.hop // 2, SCALE.hop)), p0=1, p1=SCALE.size + 1)
    magnitudes = np.abs(stft(samples, SCALE.window, SCALE.hop, SCALE.fft)).T
    assert magnitudes == pytest.approx(np.abs(theirs), abs=1e-9)


@pytest.mark.parametrize("frequency", [120.0, 440.0, 1000.0, 3000.0])
def test_a_pure_tone_is_a_bright_line_at_the_height_of_its_pitch(frequency: float) -> None:
    picture = mel_picture(Sound(tone(frequency), RATE), SCALE)
    middles = np.linspace(mel(SCALE.lowest), mel(SCALE.highest), SCALE.size + 2)[1:-1]
    nearest = int(np.abs(middles - mel(frequency)).argmin())
    brightest = SCALE.size - 1 - picture[:, 4:-4].argmax(axis=0)
    assert np.abs(brightest - nearest).max() <= 1
    assert picture.max() == 255
    assert picture[:, 10:20].min() == 0


def test_ten_decibels_less_are_a_sixth_of_the_brightness_whatever_the_loudness_of_all() -> None:
    both = np.concatenate([tone(1000, 0.5), tone(1000, 0.5) * 10**-0.5])
    loud, soft = (mel_picture(Sound(both * gain, RATE), SCALE).astype(int) for gain in (1.0, 0.01))
    assert np.array_equal(loud, soft)
    row = loud.max(axis=1).argmax()
    assert loud[row, 4] - loud[row, 28] == pytest.approx(255 / 6, abs=1)


def test_a_sound_of_another_rate_is_refused_where_it_would_be_seen_at_a_wrong_pitch() -> None:
    with pytest.raises(BadSound, match="16000 samples a second, expected 8000"):
        mel_picture(Sound(tone(440, rate=16000), 16000), SCALE)


def test_of_a_long_sound_the_loudest_part_is_shown_and_a_short_one_stands_in_the_middle() -> None:
    quiet = 0.01 * tone(300, 2.0)
    word = np.concatenate([quiet, tone(1000, 0.9), quiet])
    part = excerpt(word, RATE)
    assert np.array_equal(part[part.argmax() :][:100], word[word.argmax() :][:100])
    assert (np.abs(part) > 0.1).sum() == (np.abs(word) > 0.1).sum()
    padded = excerpt(np.ones(100), 301)
    assert padded.tolist() == [0.0] * 100 + [1.0] * 100 + [0.0] * 101


def test_a_folder_of_sounds_becomes_a_set_whose_card_says_what_the_pictures_were_made_with(
    files: Path, home: Path
) -> None:
    images = import_images("tones", files, home)
    assert images.images.shape == (6, 1, 32, 32)
    assert images.classes == ("high", "low")
    assert MelScale.of_json(images.card["sound"]) == SCALE
    assert images.card["sound"]["longer_than_picture"] == 0
    high, low = images.images[0, 0], images.images[3, 0]
    assert high.mean(axis=1).argmax() < low.mean(axis=1).argmax()
    assert import_images("small", files, home, size=16, sound=SoundOptions(seconds=0.5)).size == 16


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("seconds", [0.6, 1.0])
def test_sounds_of_the_length_that_was_asked_for_do_not_count_as_longer(
    seconds: float, size: int, files: Path, home: Path
) -> None:
    # Whole columns show 0.576 to 0.608 and 0.992 to 1.024 seconds.
    for name, samples in (("whole.wav", round(seconds * RATE)), ("longer.wav", round(1.1 * RATE))):
        (files / "low" / name).write_bytes(encode_wav(tone(200, 2.0)[:samples], RATE))
    for path in files.glob("*/[012].wav"):
        path.write_bytes(encode_wav(tone(300, 0.3), RATE))
    images = import_images("tones", files, home, size=size, sound=SoundOptions(seconds=seconds))
    assert images.card["sound"]["longer_than_picture"] == 1


def test_the_lineage_record_of_a_model_of_sounds_will_say_what_turns_its_pictures_back(files: Path, home: Path) -> None:
    record = recorded_set(import_images("tones", files, home), "target")
    assert scale_of(record, record["name"]) == SCALE


def test_a_zip_of_sounds_gives_the_same_set_as_the_folder(files: Path, home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        for path in sorted(files.rglob("*.wav")):
            archive.write(path, path.relative_to(files).as_posix())
    from_zip = import_images("zip", tmp_path / "sounds.zip", home)
    assert np.array_equal(from_zip.images, import_images("folder", files, home).images)


def test_sounds_of_different_rates_need_a_rate(files: Path, home: Path) -> None:
    (files / "low" / "other.wav").write_bytes(encode_wav(tone(200, rate=16000), 16000))
    with pytest.raises(InputError, match=r"high/0.wav has 8000 .*low/other.wav has 16000; .*--rate 8000") as caught:
        import_images("new", files, home)
    assert "\n" not in str(caught.value)
    assert list(home.iterdir()) == []
    images = import_images("new", files, home, sound=SoundOptions(rate=8000))
    apart = images.images[-1].astype(int) - images.images[3]
    assert np.abs(apart[images.images[3] > 100]).max() < 8


def test_sounds_that_cannot_be_used_are_named_and_nothing_is_written(files: Path, home: Path) -> None:
    (files / "low" / "empty.wav").write_bytes(b"")
    (files / "low" / "mp3.wav").write_bytes(b"ID3 and so on")
    (files / "low" / "silent.wav").write_bytes(encode_wav(np.zeros(RATE), RATE))
    (files / "low" / "notes.txt").write_text("not a sound")
    with pytest.raises(InputError, match="4 of 10 sounds cannot be used") as caught:
        import_images("new", files, home)
    for said in ("empty.wav: an empty file", "mp3.wav: not a WAV file", "silent.wav: silent", "notes.txt: not a WAV"):
        assert said in str(caught.value)
    assert list(home.iterdir()) == []
    assert len(import_images("new", files, home, skip_bad=True)) == 6


def renamed_to_mp3(files: Path) -> None:
    for path in list(files.rglob("*.wav")):
        path.rename(path.with_suffix(".mp3"))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda files: (files / "low" / "x.png").write_bytes(b"x"), {}, "images .low/x.png. and sounds .high/0.wav."),
        (lambda files: (files / "loose.wav").write_bytes(b"x"), {}, r"loose.wav lies in no class folder.*NAME\.wav"),
        (lambda files: None, {"channels": 3}, "pictures are grey; leave --channels away"),
        (renamed_to_mp3, {}, "holds sounds such as high/0.mp3, and only WAV files are read; save them as WAV"),
    ],
)
def test_what_cannot_be_a_set_of_sounds_is_told_in_one_line(
    change: object, options: dict[str, int], message: str, files: Path, home: Path
) -> None:
    change(files)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        import_images("new", files, home, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert list(home.iterdir()) == []


def test_new_sounds_become_pictures_as_those_of_the_set_did(files: Path, home: Path, tmp_path: Path) -> None:
    images = import_images("tones", files, home)
    new = tmp_path / "new"
    new.mkdir()
    for index, path in enumerate(sorted(files.rglob("*.wav"))):
        (new / f"{index}.wav").write_bytes(path.read_bytes())
    (new / "fast.wav").write_bytes(encode_wav(tone(200, rate=16000), 16000))
    (new / "picture.png").write_bytes(b"x")
    scale = scale_of(images.card, "tones")
    found = read_new(new, size=images.size, channels=1, most=100, seed=0, scale=scale)
    assert np.array_equal(found.images, images.images)
    assert {(one.file, one.why) for one in found.left_out} == {
        ("fast.wav", "16000 samples a second, expected 8000"),
        ("picture.png", "no sound"),
    }
    past = time.time() - 60
    for path in new.iterdir():
        os.utime(path, (past, past))
    window = next_window(new, NOTHING, count=6, size=images.size, channels=1, scale=scale)
    assert not isinstance(window, Waiting)
    assert sorted(window[0].files) == sorted(found.files)
    waiting = next_window(new, NOTHING, count=7, size=images.size, channels=1, scale=scale)
    assert isinstance(waiting, Waiting)
    assert set(waiting.left_out) == set(found.left_out)


def test_options_for_sounds_are_refused_for_images(tmp_path: Path, home: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "x.png").write_bytes(b"x")
    with pytest.raises(InputError, match="holds no WAV files, and --rate and --seconds are for sounds"):
        import_images("new", tmp_path / "images", home, sound=SoundOptions(rate=8000))


def test_spoken_digits_pass_the_validation_that_images_must_pass(tmp_path: Path, home: Path) -> None:
    rng = np.random.default_rng(0)
    for person in range(4):
        speaker = Speaker.drawn(rng)
        for digit in "0369":
            path = tmp_path / "spoken" / ("test" if person == 3 else "train") / digit / str(person) / "0.wav"
            path.parent.mkdir(parents=True)
            path.write_bytes(encode_wav(spoken_digit(digit, speaker, rng), RATE))
    images = import_images("spoken", tmp_path / "spoken", home, size=28)
    assert sorted(set(images.manifest["group"])) == ["0", "1", "2", "3"]
    assert not validate_set(images).blocking


def test_the_command_takes_sounds_and_turns_their_pictures_back(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTL_ROOT", str(tmp_path))
    assert invoke(["data", "import", "tones", str(files), "--seconds", "0.5", "--rate", "4000"]) == 0
    assert "tones: 6 images in 2 classes, 32×32×1" in capfd.readouterr().out
    assert ImageSet.load(tmp_path / "data" / "tones").card["sound"]["rate"] == 4000
    assert invoke(["data", "listen", "tones", str(tmp_path / "out"), "--per-class", "2", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.wav"))
    assert written == ["high/000000.wav", "high/000001.wav", "low/000003.wav", "low/000004.wav"]
    assert told["sounds"] == 4
    assert invoke(["data", "listen", "tones", str(tmp_path / "out")]) == 2
    assert "is there already" in capfd.readouterr().err
