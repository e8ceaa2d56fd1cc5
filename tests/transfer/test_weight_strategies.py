from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gtl_core.config import (
    ClassifierConfig,
    CorrespondenceConfig,
    EwcConfig,
    FinetuneConfig,
    L2SpConfig,
    MineConfig,
    ScaleShiftConfig,
    SemiSupervisedConfig,
    SingularValuesConfig,
)
from gtl_core.errors import InputError
from gtl_core.networks.registry import build_generator
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.health import spread_within_classes
from gtl_core.training.penalties import Drawn
from gtl_core.training.runtime import to_uint8
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.correspondence import KeptSimilarities, divergence
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.semi_supervised import SemiSupervised
from tests.transfer.weight_transfers import CLASSES, CONFIG, learned, moved, run


def test_scale_shift_moves_norms_and_embeddings_and_keeps_every_convolution_bit_for_bit(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    done = GanCheckpoint.load(run(ScaleShiftConfig(), source, few, tmp_path))
    layers = {name for name in start.generator if ".convolution." in name or ".linear." in name}
    assert layers
    for before, after in ((start.generator, done.generator), (start.ema, done.ema)):
        assert moved(before, after) >= {name for name in before if name not in layers and "num_batches" not in name}
        assert not moved(before, after) & layers
    late = {name for name in learned(start.discriminator) if name.startswith(("head.", "blocks.2."))}
    assert moved(start.discriminator, done.discriminator) == late


def singular_values(weight):
    return torch.linalg.svdvals(weight.flatten(1))


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_singular_values_move_and_singular_vectors_stay(tmp_path, digits, few, architecture):
    config = CONFIG.model_copy(update={"architecture": architecture})
    source = pretrain_source(*digits, CLASSES, config, 0, tmp_path / "source", silent)
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    done = GanCheckpoint.load(run(SingularValuesConfig(), source, few, tmp_path / "target", config=config))
    weights = 0
    for before, after in ((start.generator, done.generator), (start.discriminator, done.discriminator)):
        assert set(before) == set(after)
        for name in before:
            if name.endswith((".convolution.weight", ".linear.weight", "weight.original")) and "embedding" not in name:
                weights += 1
                left, _, right = torch.linalg.svd(before[name].flatten(1), full_matrices=False)
                inside = left.T @ after[name].flatten(1) @ right.T
                assert torch.allclose(inside, inside.diag().diag(), atol=1e-5)
                # Nothing lies outside of what the vectors span.
                assert torch.linalg.norm(inside) == pytest.approx(torch.linalg.norm(after[name]).item(), rel=1e-4)
                assert not torch.allclose(singular_values(after[name]), singular_values(before[name]), rtol=1e-4)
    assert weights == 8


def distance(source, path):
    """How far the generator in training is from the source's, over its parameters."""
    start, done = carried_over(GanCheckpoint.load(source), CLASSES, 5), GanCheckpoint.load(path)
    names = [name for name, _ in build_generator(start.spec, 0).named_parameters()]
    return sum((start.generator[name] - done.generator[name]).square().sum().item() for name in names) ** 0.5


@pytest.mark.parametrize("kind", [EwcConfig, L2SpConfig])
def test_the_heavier_the_penalty_the_nearer_the_generator_stays_to_the_source(tmp_path, source, few, kind):
    strategies = [FinetuneConfig(), kind(weight=1.0), kind(weight=100.0)]
    free, light, heavy = (
        distance(source, run(strategy, source, few, tmp_path / str(place), steps=30))
        for place, strategy in enumerate(strategies)
    )
    assert heavy < light < free
    assert heavy < 0.5 * free


def test_mining_moves_the_mapping_alone_beside_the_discriminator_and_then_all(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5, mapping=True)
    mined = GanCheckpoint.load(run(MineConfig(mining_share=1.0), source, few, tmp_path / "mined"))
    mapping = {name for name in start.generator if name.startswith("mapping.")}
    assert moved(start.generator, mined.generator) == mapping
    assert moved(start.discriminator, mined.discriminator) == learned(start.discriminator)
    both = GanCheckpoint.load(run(MineConfig(mining_share=0.5), source, few, tmp_path / "both"))
    parameters = {name for name, _ in build_generator(start.spec, 0).named_parameters()}
    assert moved(start.generator, both.generator) >= parameters


def test_a_mapping_begins_as_the_identity(source):
    plain = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    mapped = carried_over(GanCheckpoint.load(source), CLASSES, 5, mapping=True)
    latents, labels = torch.randn((10, 8), generator=torch.Generator().manual_seed(0)), torch.arange(10)
    with torch.inference_mode():
        first, second = (gan.averaged_generator()(latents, labels) for gan in (plain, mapped))
    assert torch.equal(first, second)


def test_equal_features_keep_their_correspondence_and_others_pay():
    features = torch.randn((6, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    assert divergence(features, features).item() == pytest.approx(0.0, abs=1e-6)
    assert divergence(2.0 * features, features).item() == pytest.approx(0.0, abs=1e-6)
    assert divergence(features.flip(0), features).item() > 0.001


def test_divergence_of_three_images_by_hand():
    # Similarities of the first image to the other two: 1 and 0 in one set, 0 and 1 in the other.
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    source = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    e = np.e
    first = e / (e + 1) * 1.0 + 1 / (e + 1) * -1.0  # p is softmax(1, 0), q softmax(0, 1)
    # The second image: p = softmax(1, 0), q even; the third: p even, q = softmax(1, 0).
    second = e / (e + 1) * np.log(2 * e / (e + 1)) + 1 / (e + 1) * np.log(2 / (e + 1))
    third = 0.5 * np.log(0.5 * (e + 1) / e) + 0.5 * np.log(0.5 * (e + 1))
    assert divergence(features, source).item() == pytest.approx((first + second + third) / 3, abs=1e-5)


def test_correspondence_keeps_what_is_alike_nearer_to_the_source_than_fine_tuning_does(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)

    def lost(strategy, folder):
        path = run(strategy, source, few, tmp_path / folder, steps=50)
        pictures = []
        for state in (GanCheckpoint.load(path).ema, start.ema):
            generator = build_generator(start.spec, 0)
            generator.load_state_dict(state)
            pictures.append(generator.eval())
        kept = KeptSimilarities(*pictures, weight=1.0)
        latents, labels = torch.randn((60, 8), generator=torch.Generator().manual_seed(1)), torch.arange(60) % 10
        with torch.no_grad():
            images = pictures[0](latents, labels)
            return kept.of_generator(Drawn(latents, labels, images, images)).item()

    assert lost(CorrespondenceConfig(weight=1000.0), "kept") < 0.7 * lost(FinetuneConfig(), "free")


def test_semi_supervised_refuses_to_run_without_a_pool(tmp_path, source, few, classifier):
    with pytest.raises(InputError, match="semi_supervised learns from unlabelled target images, and there are none"):
        run(SemiSupervisedConfig(), source, few, tmp_path, classifier=classifier)
    assert list(tmp_path.iterdir()) == []


def pool_lesson(few, pool, classifier, config, threshold=0.9):
    """What semi_supervised learns from where the experiment's classifier has these settings."""
    images, labels = few
    inputs = TransferInputs(
        images=images,
        labels=labels,
        classes=CLASSES,
        unlabelled=pool,
        source_images=images[:0],
        source_labels=labels[:0],
        source_classes=CLASSES,
        source_gan=None,
        source_classifier=classifier,
        seed=5,
        classifier=config,
    )
    return SemiSupervised(SemiSupervisedConfig(threshold=threshold)).lesson(inputs, CONFIG, silent)


def test_semi_supervised_gives_the_pool_the_labels_that_it_is_sure_of(digits, few, pool, classifier):
    images = few[0]
    lesson = pool_lesson(few, pool, classifier, ClassifierConfig(steps=300))
    assert np.array_equal(lesson.images[: len(images)], images)
    joined = lesson.images[len(images) :]
    true = {image.tobytes(): label for image, label in zip(pool, digits[1][: len(pool)], strict=True)}
    right = [true[image.tobytes()] == label for image, label in zip(joined, lesson.labels[len(images) :], strict=True)]
    assert 20 < len(right) <= len(pool)
    assert np.mean(right) > 0.9


def test_the_classifier_that_labels_the_pool_learns_as_the_experiment_says(few, pool, classifier):
    def labels(**changed):
        config = ClassifierConfig(**{"steps": 60, **changed})
        return pool_lesson(few, pool, classifier, config, threshold=0.01).labels

    plain = labels()
    assert len(plain) == len(few[0]) + len(pool)
    assert np.array_equal(plain, labels())
    for changed in ({"photometric": True}, {"steps": 5}, {"learning_rate": 1e-4}, {"batch": 8}):
        assert not np.array_equal(plain, labels(**changed))


def test_the_pool_moves_the_discriminator_though_no_image_of_it_gets_a_label(tmp_path, source, few, pool, classifier):
    strategy = SemiSupervisedConfig(threshold=0.999999)
    pools = {"dark": 0 * pool, "real": pool}
    done = {
        name: GanCheckpoint.load(run(strategy, source, few, tmp_path / name, pool=images, classifier=classifier))
        for name, images in pools.items()
    }
    assert moved(done["dark"].discriminator, done["real"].discriminator)


def test_diversity_spreads_a_collapsed_generator_s_classes_further_than_the_same_transfer_without_it(
    tmp_path, source, few
):
    whole = GanCheckpoint.load(source)
    deaf = {name: tensor.clone() for name, tensor in whole.ema.items()}
    deaf["blocks.0.linear.weight"][:, : whole.spec.latent] *= 0.02  # what the latent has to say
    replace(whole, ema=deaf).save(tmp_path / "collapsed.safetensors")

    def spread(strategy):
        path = run(strategy, tmp_path / "collapsed.safetensors", few, tmp_path / strategy.label, steps=100)
        asked = torch.arange(10).repeat_interleave(20)
        latents = torch.randn((200, 8), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            drawn = to_uint8(GanCheckpoint.load(path).averaged_generator()(latents, asked))
        return spread_within_classes(drawn.numpy(), asked.numpy())

    with_it, without_it = spread(FinetuneConfig(alias="diverse", diversity=5.0)), spread(FinetuneConfig())
    assert with_it > 1.5 * without_it
