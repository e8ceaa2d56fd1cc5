from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from gtl_core.config import GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import Diverged
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec, build_generator
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan import train_gan, untrained
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.health import drawn_spread, spread_within_classes, trouble
from gtl_core.training.loop import run_training
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import to_unit_range
from tests.torch_memory import most_memory

CLASSES = tuple("0123456789")
SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=10)
CONFIG = GanConfig(width=4, latent=8, batch=8)


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


class Faulty(GanTrainer):
    """A trainer whose weights turn into no numbers at some steps of its first try, or of every try."""

    def __init__(self, checkpoint, images, labels, faults, always):
        super().__init__(
            checkpoint, images, labels, CONFIG, steps=110, seed=1, plan=Plan(), origin=untrained(SPEC, CLASSES, 0)
        )
        self.factor = checkpoint.learning_rate_factor
        self.rate = self._generator_adam.param_groups[0]["lr"]
        self.advanced = False
        self._faults = faults if always or self.factor == 1.0 else ()

    def advance(self):
        super().advance()
        self.advanced = True
        if self.step in self._faults:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(float("nan"))


def train(folder, digits, faults=(), always=False, on_progress=silent, steps=110, seen=None):
    def make_trainer(checkpoint):
        trainer = Faulty(checkpoint, *digits, faults, always)
        if seen is not None:
            seen.append(trainer)
        return trainer

    return run_training(
        untrained(SPEC, CLASSES, 0),
        make_trainer,
        steps=steps,
        batch=8,
        checkpoint_every=30,
        recipe="r",
        seed=1,
        folder=folder,
        on_progress=on_progress,
        task="test",
        real_spread=0.3,
    )


def test_a_training_that_goes_wrong_once_is_taken_up_from_the_last_good_checkpoint_and_finishes(tmp_path, digits):
    tries = []
    done = GanCheckpoint.load(train(tmp_path, digits, faults=(65,), seen=tries))
    assert done.step == 110
    assert all(tensor.isfinite().all() for tensor in done.ema.values())
    assert events(tmp_path) == [
        {
            "step": 100,
            "seen": "the losses are no numbers any more",
            "done": "taken up again at step 60 with a third of the learning rates",
        }
    ]
    # Further trainers finished a milestone each.
    first, second = (trainer for trainer in tries if trainer.advanced)
    assert (first.factor, second.factor) == (1.0, pytest.approx(1 / 3))
    assert second.rate == pytest.approx(first.rate / 3)
    assert [row[0] for row in done.curves] == [50, 100, 110]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.csv",
        "events.jsonl",
        "gan.safetensors",
        "milestones",
        "samples.png",
    ]
    # A milestone reached while the weights were none was written again by the second try.
    for path in (tmp_path / "milestones").iterdir():
        assert all(tensor.isfinite().all() for tensor in GanCheckpoint.load(path).ema.values())


def test_before_the_first_good_checkpoint_it_is_taken_up_from_the_beginning(tmp_path, digits):
    assert GanCheckpoint.load(train(tmp_path, digits, faults=(20,))).step == 110
    assert events(tmp_path)[0]["done"].startswith("taken up again at step 0")


def test_a_training_that_goes_wrong_again_is_given_up_with_one_line_that_says_what_to_try(tmp_path, digits):
    told = []
    with pytest.raises(
        Diverged, match=r"^test: the losses are no numbers any more at step 100, .*; lower its learning rates"
    ) as caught:
        train(tmp_path, digits, faults=(65,), always=True, on_progress=told.append)
    assert "\n" not in str(caught.value)
    assert [event["done"] for event in events(tmp_path)][-1] == "given up"
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    assert told[-1].task == "test, second try after it diverged"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, digits):
    return train(tmp_path_factory.mktemp("whole"), digits, faults=(65,))


@pytest.mark.parametrize("halts", [(70, 90), (55, 105)])
def test_interrupted_before_or_after_the_second_try_it_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, digits, whole, monkeypatch, halts
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    for step in halts:
        pressed = []

        def press(progress, step=step, pressed=pressed):
            if progress.step == step and not pressed:
                pressed.append(True)
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "halting", digits, faults=(65,), on_progress=press)
    halting = train(tmp_path / "halting", digits, faults=(65,))
    for name in ("gan.safetensors", "curves.csv", "events.jsonl"):
        assert file_sha256(halting.parent / name) == file_sha256(whole.parent / name), name


def test_absurd_learning_rates_end_in_diverged(tmp_path, digits):
    config = CONFIG.model_copy(update={"learning_rate_generator": 1e38, "learning_rate_discriminator": 1e38})
    with pytest.raises(Diverged, match="with a third of the learning rates too"):
        train_gan(
            untrained(SPEC, CLASSES, 0),
            *digits,
            config,
            steps=120,
            seed=0,
            folder=tmp_path,
            on_progress=silent,
            task="source_gan",
            plan=Plan(),
        )


def rows(*values):
    return [(50 * (place + 1), *row) for place, row in enumerate(values)]


def test_a_discriminator_that_is_sure_for_200_steps_is_trouble_and_for_150_it_is_not():
    sure, unsure = (1e-4, 3.0, 0.9), (0.5, 1.0, 0.9)
    assert trouble(rows(unsure, sure, sure, sure), has_spread=True) is None
    assert "under 0.001 for 200 steps" in trouble(rows(unsure, sure, sure, sure, sure), has_spread=True)
    assert trouble(rows(sure, sure, unsure, sure, sure), has_spread=True) is None


def test_a_sure_discriminator_is_no_trouble_while_the_generator_waits():
    assert trouble(rows(*[(0.0, 0.0, 0.9)] * 6), has_spread=True) is None


def test_one_picture_a_class_is_trouble_within_200_steps_and_little_spread_is_not():
    assert trouble(rows(*[(0.5, 1.0, 0.05)] * 9), has_spread=True) is None
    assert trouble(rows(*[(0.5, 1.0, 0.001)] * 2), has_spread=True) is None
    assert trouble(rows(*[(0.5, 1.0, 0.001)] * 3), has_spread=True) == "the generator draws one picture a class"
    assert trouble(rows(*[(0.5, 1.0, 0.001)] * 9), has_spread=False) is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_is_trouble_at_once(bad):
    assert trouble(rows((0.5, 1.0), (0.5, bad)), has_spread=False) == "the losses are no numbers any more"


def test_spread_is_the_deviation_within_a_class_and_single_images_and_copies_do_not_count():
    images = np.array([0, 51, 5, 7, 7], np.uint8).repeat(16).reshape(5, 1, 4, 4)
    assert spread_within_classes(images, np.array([0, 0, 1, 2, 2])) == pytest.approx(25.5 / 127.5)
    assert spread_within_classes(images[2:], np.array([1, 2, 2])) == 0.0


def test_the_spread_of_a_big_set_takes_no_floating_point_copy_of_all_of_it(digits):
    images, labels = digits[0].repeat(5, axis=0), digits[1].repeat(5)
    pixels = to_unit_range(torch.from_numpy(images))
    one_by_one = [float(pixels[labels == label].std(dim=0, correction=0).mean()) for label in range(10)]
    with most_memory() as taken:
        found = spread_within_classes(images, labels)
    assert found == sum(one_by_one) / 10
    assert taken() < 0.5 * pixels.nbytes


def test_a_generator_that_does_not_listen_to_its_latent_has_no_spread_and_is_left_as_it_was():
    generator = build_generator(SPEC, 0)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    assert drawn_spread(generator, 8, 10, 0, torch.device("cpu")) > 0.01
    assert generator.training
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())
    with torch.no_grad():
        generator.blocks[0].linear.weight[:, :8] = 0.0
    assert drawn_spread(generator, 8, 10, 0, torch.device("cpu")) < 1e-6


def test_one_labelled_image_a_class_is_no_collapse(tmp_path, digits):
    images, labels = digits
    first = np.array([np.flatnonzero(labels == label)[0] for label in range(10)])
    done = train_gan(
        untrained(SPEC, CLASSES, 0),
        images[first],
        labels[first],
        CONFIG,
        steps=200,
        seed=0,
        folder=tmp_path,
        on_progress=silent,
        task="test",
        plan=Plan(),
    )
    assert GanCheckpoint.load(done).step == 200
    assert not (tmp_path / "events.jsonl").exists()
