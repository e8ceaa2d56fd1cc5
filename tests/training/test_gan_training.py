from __future__ import annotations

import copy
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gtl_core.config import GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec, build_generator
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.ema import fit_statistics, update_average
from gtl_core.training.gan import train_gan, untrained
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import suitable_threads, to_uint8, to_unit_range
from gtl_core.training.sampler import BalancedSampler

CLASSES = tuple("0123456789")
SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=10)
CONFIG = GanConfig(width=4, latent=8, batch=16, checkpoint_every=7)


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


def train(folder, digits, steps=20, start=None, config=CONFIG, on_progress=silent, seed=1):
    start = start or untrained(SPEC, CLASSES, 0)
    images, labels = digits
    return train_gan(
        start,
        images,
        labels,
        config,
        steps=steps,
        seed=seed,
        folder=folder,
        on_progress=on_progress,
        task="test",
        plan=Plan(),
    )


def interrupt_at(step):
    """Presses Ctrl-C once the training says that it is past a step."""
    pressed = []

    def on_progress(progress):
        if progress.step >= step and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    return on_progress


@pytest.fixture
def report_every_step(monkeypatch):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("architecture", "loss"),
    [
        ("dcgan", "hinge"),
        ("dcgan", "non_saturating"),
        ("fully_connected", "hinge"),
        ("fully_connected", "non_saturating"),
        ("vae", "hinge"),
        ("vae_gan", "relativistic"),
    ],
)
def test_interrupted_training_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, digits, report_every_step, architecture, loss
):
    start = untrained(replace(SPEC, architecture=architecture), CLASSES, 0)
    config = CONFIG.model_copy(update={"architecture": architecture, "loss": loss})
    whole = train(tmp_path / "whole", digits, start=start, config=config)
    for step in (5, 12):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "halting", digits, start=start, config=config, on_progress=interrupt_at(step))
        assert GanCheckpoint.load(tmp_path / "halting" / "last.safetensors").step in (step, step + 1)
        assert not (tmp_path / "halting" / "gan.safetensors").exists()
    halting = train(tmp_path / "halting", digits, start=start, config=config)
    files = [
        {path.relative_to(root): file_sha256(path) for path in root.rglob("*") if path.is_file()}
        for root in (halting.parent, whole.parent)
    ]
    assert files[0] == files[1]
    assert len(list((halting.parent / "milestones").iterdir())) == 4
    left = ["curves.csv", "gan.safetensors", "milestones", "samples.png"]
    assert sorted(path.name for path in halting.parent.iterdir()) == left


def test_milestones_hold_the_averaged_generator_at_each_quarter_and_change_nothing_of_the_training(
    tmp_path, digits, monkeypatch
):
    path = train(tmp_path / "kept", digits, steps=12)
    milestones = [GanCheckpoint.load(file) for file in sorted((tmp_path / "kept" / "milestones").iterdir())]
    assert [milestone.step for milestone in milestones] == [0, 3, 6, 9]
    half = GanCheckpoint.load(train(tmp_path / "half", digits, steps=6))
    assert milestones[2].ema.keys() <= half.ema.keys()
    latents, labels = torch.randn(4, SPEC.latent), torch.arange(4) % len(CLASSES)
    images = [replace(half, ema=half.ema | kept.ema).averaged_generator()(latents, labels) for kept in milestones]
    torch.testing.assert_close(images[2], half.averaged_generator()(latents, labels))
    assert not torch.allclose(images[0], images[2], atol=0.01)
    monkeypatch.setattr("gtl_core.training.loop._keep_milestone", lambda *_: None)
    assert file_sha256(train(tmp_path / "bare", digits, steps=12)) == file_sha256(path)


def test_ctrl_c_is_python_s_own_again_after_a_training(tmp_path, digits):
    before = signal.getsignal(signal.SIGINT)
    train(tmp_path, digits, steps=1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_of_another_training_is_not_taken_up(tmp_path, digits, report_every_step):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "used", digits, seed=2, on_progress=interrupt_at(5))
    assert file_sha256(train(tmp_path / "used", digits)) == file_sha256(train(tmp_path / "fresh", digits))


def test_a_damaged_checkpoint_is_not_taken_up(tmp_path, digits):
    (tmp_path / "last.safetensors").write_bytes(b"cut off")
    assert GanCheckpoint.load(train(tmp_path, digits, steps=3)).step == 3


def test_another_seed_gives_another_gan(tmp_path, digits):
    first, second = (train(tmp_path / str(seed), digits, steps=3, seed=seed) for seed in (1, 2))
    assert file_sha256(first) != file_sha256(second)


def test_training_takes_nothing_from_global_randomness(tmp_path, digits):
    before = torch.get_rng_state()
    train(tmp_path, digits, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_checkpoint_reads_back_as_it_was_written_and_equal_ones_have_equal_bytes(tmp_path, digits):
    path = train(tmp_path, digits, steps=3)
    checkpoint = GanCheckpoint.load(path)
    checkpoint.save(tmp_path / "again.safetensors")
    assert file_sha256(tmp_path / "again.safetensors") == file_sha256(path)
    assert (checkpoint.spec, checkpoint.classes, checkpoint.step) == (SPEC, CLASSES, 3)


def test_a_checkpoint_from_before_there_were_mappings_and_second_tries_still_loads(tmp_path):
    path = tmp_path / "gan.safetensors"
    untrained(SPEC, CLASSES, 0).save(path)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["gtl"])
    del about["spec"]["mapping"], about["learning_rate_factor"]
    save_file(load_file(path), path, metadata={"gtl": json.dumps(about)})
    checkpoint = GanCheckpoint.load(path)
    assert (checkpoint.spec, checkpoint.learning_rate_factor) == (SPEC, 1.0)


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "gan.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"gan\.safetensors"):
        GanCheckpoint.load(path)


def test_images_that_do_not_fit_the_networks_are_refused_before_training(tmp_path, digits):
    images, labels = digits
    with pytest.raises(InputError, match="1×16×16 images and was given 1×8×8; resize them"):
        train(tmp_path, (images[:, :, :8, :8], labels))
    with pytest.raises(InputError, match="from 0 to 9"):
        train(tmp_path, (images, labels + 1))
    with pytest.raises(InputError, match="no images"):
        train(tmp_path, (images[:0], labels[:0]))
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_speed_and_losses_and_curves_hold_every_fiftieth_step(tmp_path, digits, report_every_step):
    seen = []
    train(tmp_path, digits, steps=120, on_progress=seen.append)
    assert [progress.step for progress in (seen[0], seen[-1])] == [0, 120]
    assert {"images_per_second", "loss_d", "loss_g"} <= set(seen[-1].values)
    rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert rows[0] == "step,loss_d,loss_g,spread"
    assert [int(row.split(",")[0]) for row in rows[1:]] == [50, 100, 120]


def spread_within_classes(images, labels):
    """Standard deviation of a pixel among the images of one class, mean over pixels and classes."""
    return np.mean([images[labels == label].astype(float).std(axis=0).mean() for label in np.unique(labels)])


def test_gan_learns_to_draw_digits_that_a_classifier_of_real_ones_reads_as_the_class_asked_for(tmp_path, digits):
    from sklearn.neighbors import KNeighborsClassifier

    images, labels = digits
    config = GanConfig(width=16, latent=16, learning_rate_generator=1e-3, learning_rate_discriminator=2e-3)
    start = untrained(replace(SPEC, width=16, latent=16), CLASSES, 0)
    path = train(tmp_path, digits, steps=200, start=start, config=config)
    asked = torch.arange(10).repeat_interleave(20)
    latents = torch.randn((200, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        drawn = to_uint8(GanCheckpoint.load(path).averaged_generator()(latents, asked)).numpy()
    reader = KNeighborsClassifier(3).fit(images.reshape(len(images), -1), labels)
    assert reader.score(drawn.reshape(200, -1), asked.numpy()) > 0.8
    # A class is more than one picture: its images spread about as far as the real ones do.
    assert spread_within_classes(drawn, asked.numpy()) > 0.6 * spread_within_classes(images, labels)


def test_sampler_draws_rare_classes_as_often_as_common_ones_with_their_own_images():
    labels = np.array([0] * 90 + [3] * 9 + [5])
    images = np.repeat(labels.astype(np.uint8) * 10, 256).reshape(-1, 1, 16, 16)
    sampler = BalancedSampler(images, labels, torch.device("cpu"))
    drawn, chosen = sampler.draw(3000, torch.Generator().manual_seed(0))
    assert torch.equal(to_uint8(drawn)[:, 0, 0, 0].to(torch.int64), chosen * 10)
    counts = torch.bincount(chosen)
    assert counts[[1, 2, 4]].sum() == 0
    assert counts[[0, 3, 5]].min() > 900


def test_every_image_of_a_class_is_drawn():
    images = np.arange(40, dtype=np.uint8).repeat(256).reshape(-1, 1, 16, 16)
    sampler = BalancedSampler(images, np.arange(40) % 2, torch.device("cpu"))
    drawn, _ = sampler.draw(2000, torch.Generator().manual_seed(0))
    assert set(to_uint8(drawn)[:, 0, 0, 0].tolist()) == set(range(40))


def test_stored_pixels_survive_the_way_to_the_networks_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_unit_range(pixels)), pixels)
    assert (to_unit_range(pixels).min(), to_unit_range(pixels).max()) == (-1.0, 1.0)


def test_average_follows_the_weights_and_forgets_the_start():
    network = build_generator(SPEC, 1)
    average = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.add_(100.0)
    for step in range(200):
        update_average(average, network, 0.999, step)
    pairs = zip(average.parameters(), network.parameters(), strict=True)
    assert max((one - other).abs().max().item() for one, other in pairs) < 0.01


def test_batch_norm_statistics_of_the_average_are_those_of_what_it_draws(digits):
    images, labels = digits
    start = untrained(SPEC, CLASSES, 0)
    trainer = GanTrainer(start, images, labels, CONFIG, steps=30, seed=0, plan=Plan(), origin=start)
    for _ in range(30):
        trainer.advance()
    trainer.finish()
    norm = trainer.average.blocks[1].norm.norm
    seen = []
    norm.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.no_grad():
        trainer.average(torch.randn(4000, 8), torch.randint(10, (4000,)))
    spread = seen[0].var(dim=(0, 2, 3))
    assert torch.allclose(norm.running_mean, seen[0].mean(dim=(0, 2, 3)), atol=0.05 * spread.sqrt().max().item())
    assert torch.allclose(norm.running_var, spread, rtol=0.15)


def test_stored_statistics_of_a_frozen_part_stay():
    network = build_generator(SPEC, 1)
    average = copy.deepcopy(network)
    network.blocks[0].eval()
    fit_statistics(average, network, 8, torch.arange(10), seed=0)
    assert average.blocks[0].norm.norm.running_mean.abs().sum() == 0
    assert average.blocks[1].norm.norm.running_mean.abs().sum() > 0


def test_small_images_are_trained_on_one_thread_and_the_setting_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suitable_threads(16):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with suitable_threads(32):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
