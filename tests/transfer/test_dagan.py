from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from gtl_core.config import DaganConfig, Experiment, GanConfig, TransferConfig
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.dagan import shifted
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.progress import silent
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.sampler import BalancedSampler
from gtl_core.transfer.dagan import oriented, pretrain_dagan
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.strategies import check_strategies, transfer

SOURCE, TARGET = tuple("01234"), tuple("56789")
SMALL = DaganConfig(width=8, latent=5, batch=16, steps=8)
LEARNING = DaganConfig(width=16, latent=9, batch=32, steps=120, learning_rate_generator=1e-3)


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


@pytest.fixture(scope="module")
def source(digits):
    images, labels = digits
    return images[labels < 5], labels[labels < 5]


@pytest.fixture(scope="module")
def few(digits):
    """Four labelled images of each of the classes that the source does not have."""
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == label)[:4] for label in range(5, 10)])
    return images[rows], labels[rows] - 5


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, source):
    return pretrain_dagan(SMALL, *source, SOURCE, 0, tmp_path_factory.mktemp("source"), silent)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, source):
    return pretrain_dagan(LEARNING, *source, SOURCE, 0, tmp_path_factory.mktemp("learned"), silent)


def run(strategy, pretrained, few, source, folder, on_progress=silent, classes=TARGET):
    images, labels = few
    inputs = TransferInputs(
        images=images,
        labels=labels,
        classes=classes,
        unlabelled=images[:0],
        source_images=source[0],
        source_labels=source[1],
        source_classes=SOURCE,
        source_gan=pretrained,
        source_classifier=None,
        seed=5,
    )
    settings = TransferConfig(strategies=(strategy,), augmentation=("translation", "colour"))
    return transfer(strategy, inputs, GanConfig(), settings, folder, on_progress)


def press_at(step, total):
    def on_progress(progress):
        if (progress.step, progress.total) == (step, total):
            os.kill(os.getpid(), signal.SIGINT)

    return on_progress


def test_an_interrupted_training_on_the_source_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, source, pretrained, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    for step in (3, 6):
        with pytest.raises(KeyboardInterrupt):
            pretrain_dagan(SMALL, *source, SOURCE, 0, tmp_path, press_at(step, 8))
    assert file_sha256(pretrain_dagan(SMALL, *source, SOURCE, 0, tmp_path, silent)) == file_sha256(pretrained)


def test_interrupted_learning_on_the_target_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, source, few, pretrained, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    strategy = SMALL.model_copy(update={"target_steps": 9})
    whole = run(strategy, pretrained, few, source, tmp_path / "whole")
    for step in (3, 6):
        with pytest.raises(KeyboardInterrupt):
            run(strategy, pretrained, few, source, tmp_path / "halting", press_at(step, 9))
    assert file_sha256(run(strategy, pretrained, few, source, tmp_path / "halting")) == file_sha256(whole)


def test_the_bank_holds_the_draw_s_labelled_images_and_no_other_ones(tmp_path, source, few, pretrained):
    images, labels = few
    names = ("5", "0", "7", "8", "9")  # the source knows one of them, and has as many classes
    uneven = images[:-2], labels[:-2]
    gan = GanCheckpoint.load(run(SMALL, pretrained, uneven, source, tmp_path, classes=names))
    assert (gan.classes, gan.ema["counts"].tolist()) == (names, [4, 4, 4, 4, 2])
    bank = gan.ema["bank"].numpy().reshape(5, 4, 1, 16, 16)
    for label in range(5):
        filled = {image.tobytes() for image in bank[label][: gan.ema["counts"][label]]}
        assert filled == {image.tobytes() for image in uneven[0][uneven[1] == label]}
    assert not bank[4][2:].any()
    assert torch.equal(gan.generator["bank"], gan.ema["bank"])


def test_without_further_steps_every_learned_weight_is_the_source_s(tmp_path, source, few, pretrained):
    before = GanCheckpoint.load(pretrained)
    after = GanCheckpoint.load(run(SMALL, pretrained, few, source, tmp_path))
    parameters = {name for name, _ in build_generator(after.spec, 0).named_parameters()}
    assert parameters
    assert all(torch.equal(after.ema[name], before.ema[name]) for name in parameters)


def test_with_further_steps_the_target_s_pairs_teach_both_networks(tmp_path, source, few, pretrained):
    before = GanCheckpoint.load(pretrained)
    strategy = SMALL.model_copy(update={"target_steps": 3})
    after = GanCheckpoint.load(run(strategy, pretrained, few, source, tmp_path))
    assert after.step == 3
    for network, old, new in (
        (build_generator(after.spec, 0), before.ema, after.ema),
        (build_discriminator(after.spec, 0), before.discriminator, after.discriminator),
    ):
        assert not any(torch.equal(old[name], new[name]) for name, _ in network.named_parameters())


def test_images_of_classes_never_seen_keep_their_class_and_are_not_the_ones_they_were_made_of(
    tmp_path, digits, source, few, learned
):
    from sklearn.neighbors import KNeighborsClassifier

    path = run(LEARNING, learned, few, source, tmp_path)
    made = synthesise(path, 40, 0, tmp_path / "set")
    images, labels = digits
    unseen = labels >= 5
    reader = KNeighborsClassifier(3).fit(images[unseen].reshape(unseen.sum(), -1), labels[unseen] - 5)
    assert reader.score(made.images.reshape(len(made), -1), made.labels) > 0.7

    gan = GanCheckpoint.load(path)
    generator = gan.averaged_generator()
    latents = torch.randn((200, gan.spec.latent), generator=torch.Generator().manual_seed(0))
    asked = torch.arange(200) % 5
    assert isinstance(generator, BankGenerator)
    with torch.inference_mode():
        given, other = generator.picked(latents, asked), generator(latents, asked)
    pixels = torch.from_numpy(images[unseen]).float() / 127.5 - 1.0
    apart = [
        torch.cdist(pixels[labels[unseen] == label].flatten(1), pixels[labels[unseen] == label].flatten(1), p=1)
        for label in range(5, 10)
    ]
    nearest = torch.cat([(distance + 1e9 * torch.eye(len(distance))).min(dim=1).values for distance in apart]).mean()
    assert (given - other).abs().flatten(1).sum(dim=1).mean() > 0.5 * nearest


def test_the_style_changes_what_is_made_of_one_image(tmp_path, source, few, learned):
    gan = GanCheckpoint.load(run(LEARNING, learned, few, source, tmp_path))
    generator = gan.averaged_generator()
    assert isinstance(generator, BankGenerator)
    given = torch.from_numpy(few[0][:1]).float().repeat(32, 1, 1, 1) / 127.5 - 1.0
    styles = torch.randn((32, gan.spec.latent - 1), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        made = generator.changed(given, styles)
    real = torch.from_numpy(few[0][few[1] == 0]).float() / 127.5 - 1.0
    assert made.std(dim=0).mean() > 0.2 * real.std(dim=0).mean()


def test_a_pair_is_two_different_images_of_one_class_and_every_other_one_is_as_likely():
    images = np.arange(7, dtype=np.uint8)[:, None, None, None].repeat(4, axis=2).repeat(4, axis=3)
    sampler = BalancedSampler(images, np.array([0, 0, 0, 0, 1, 1, 1]), torch.device("cpu"))
    given, others, labels = sampler.pairs(12000, 2, torch.Generator().manual_seed(0))
    given, others = (((part[:, 0, 0, 0] + 1) * 127.5).round().long() for part in (given, others))
    assert torch.equal(given[::2], given[1::2])
    assert torch.equal(labels, (given >= 4).long())
    assert torch.equal(labels, (others >= 4).long())
    counts = torch.bincount(given * 7 + others, minlength=49).view(7, 7)
    assert counts.diagonal().sum() == 0
    expected = torch.zeros((7, 7))
    expected[:4, :4], expected[4:, 4:] = 500.0, 1000.0
    expected.fill_diagonal_(0.0)
    assert ((counts - expected).abs() <= 0.2 * expected).all()


def test_shifts_move_what_an_image_shows_by_as_many_pixels():
    images = torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    two_right = torch.tensor([2 * 2 / 16, 0.0])[None, :, None, None].expand(2, 2, 4, 4)
    moved = shifted(images, two_right)
    torch.testing.assert_close(moved[..., :14], images[..., 2:])
    torch.testing.assert_close(shifted(images, torch.zeros(2, 2, 4, 4)), images)


def test_shifts_that_are_no_numbers_any_more_do_not_crash_a_training():
    shifts = torch.full((2, 2, 4, 4), float("nan"), requires_grad=True)
    shifted(torch.zeros((2, 1, 16, 16)), shifts).sum().backward()


@pytest.mark.parametrize("size", [16, 20, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_augmenter_fits_every_size(size, channels):
    spec = GanSpec("dagan", size=size, channels=channels, width=8, latent=5, classes=3, bank=2)
    with torch.inference_mode():
        images = build_generator(spec, 0).eval()(torch.randn(4, 5), torch.arange(4) % 3)
        logits = build_discriminator(spec, 0)(images.repeat(1, 2, 1, 1))
    assert (images.shape, logits.shape) == ((4, channels, size, size), (4,))


def test_a_source_class_of_one_image_is_refused_before_training(tmp_path, source):
    images, labels = source
    kept = (labels != 3) | (np.cumsum(labels == 3) == 1)
    with pytest.raises(InputError, match=r"^transfer\.strategies\.dagan learns .* the source has fewer of 3; add"):
        pretrain_dagan(SMALL, images[kept], labels[kept], SOURCE, 0, tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_it_is_refused_before_a_run_too(tmp_path, tiny_digits):
    with ImageSetWriter(tmp_path / "one", classes=("a", "b")) as writer:
        for label in (0, 1, 1):
            writer.add(np.full((1, 16, 16), 100, np.uint8), label=label, source_file=str(label))
    content = {
        "name": "one",
        "source": {"dataset": "one"},
        "target": {"dataset": "digits", "labelled_per_class": 3},
        "image": {"size": 16, "channels": 1},
        "transfer": {"strategies": ["dagan"]},
    }
    with pytest.raises(InputError, match="the source has fewer of a; add images"):
        check_strategies(
            Experiment.model_validate(content), ImageSet.load(tmp_path / "one"), ImageSet.load(tiny_digits)
        )


@pytest.mark.parametrize(
    ("labelled", "strategy", "message"),
    [
        (0, "dagan", "dagan learns from labelled target images"),
        (1, {"name": "dagan", "target_steps": 5}, r"dagan\.target_steps learns from two labelled images of a class"),
    ],
)
def test_an_experiment_with_too_few_labels_is_refused_as_it_is_read(labelled, strategy, message):
    content = {
        "name": "few",
        "source": {"dataset": "old"},
        "target": {"dataset": "new", "labelled_per_class": labelled, "use_unlabelled": labelled == 0},
        "image": {"size": 16, "channels": 1},
        "transfer": {"strategies": [strategy]},
        "evaluation": {"arms": ["self_trained" if labelled == 0 else "real", "best_plus_gan"]},
    }
    with pytest.raises(ValueError, match=message):
        Experiment.model_validate(content)


def test_one_labelled_image_a_class_is_enough_where_nothing_is_learned_on_the_target(tmp_path, source, few, pretrained):
    one = few[0][::4], few[1][::4]
    gan = GanCheckpoint.load(run(SMALL, pretrained, one, source, tmp_path / "drawn"))
    assert gan.ema["counts"].tolist() == [1] * 5
    with pytest.raises(InputError, match="the target has fewer of 5, 6, 7, 8, 9"):
        run(SMALL.model_copy(update={"target_steps": 1}), pretrained, one, source, tmp_path / "learning")


def test_a_source_class_in_each_of_its_orientations_is_a_class_of_its_own():
    images = np.zeros((2, 1, 16, 16), np.uint8)
    images[0, 0, 2, 5], images[1, 0, 9, 3] = 200, 100
    turned, labels, classes = oriented(images, np.array([1, 0]), ("left", "right"))
    assert len({image.tobytes() for image in turned}) == 16
    assert labels.tolist() == [label + 2 * place for place in range(8) for label in (1, 0)]
    assert (len(set(classes)), classes[:4]) == (16, ("left", "right", "left, turned by 90°", "right, turned by 90°"))
    assert np.array_equal(turned[:2], images)
    assert np.array_equal(np.rot90(turned[2:4], -1, axes=(2, 3)), images)
