"""Drift between two lots of images: what counts, what does not, and that every number is what it claims to be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, laplace
from scipy.stats import binomtest, entropy, ks_2samp
from sklearn.datasets import load_digits

from benchmarks import drift as benchmark
from gtl_core.data.image_set import fitted
from gtl_core.errors import InputError
from gtl_core.metrics.divergence import domain_hits
from gtl_core.metrics.drift import Lens, Sample, blocks, detect, every, observe, sentence, unlearned
from gtl_core.metrics.drift_explanation import classifier_test, most_unlike
from gtl_core.metrics.drift_properties import TITLES, image_properties
from gtl_core.metrics.drift_tests import judged, kernel_effect, kernel_test, kolmogorov_smirnov
from gtl_core.metrics.kernel import median_bandwidth
from gtl_core.training.classifier import new_classifier, save_classifier


def digits() -> np.ndarray:
    """All embedded digits in random order: uint8 (1797, 1, 8, 8)."""
    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    return images[np.random.default_rng(0).permutation(len(images))]


def normal(seed: int, rows: int, columns: int = 1, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, columns))


@pytest.fixture(scope="module")
def lens(tmp_path_factory: pytest.TempPathFactory) -> Lens:
    path = tmp_path_factory.mktemp("lens") / "classifier.safetensors"
    save_classifier(path, new_classifier(size=16, channels=1, width=4, classes=3, seed=0), ("a", "b", "c"))
    return Lens.load(path, "an untrained classifier")


@pytest.fixture(scope="module")
def reference(lens: Lens) -> Sample:
    images = digits()[:800]
    return observe(blocks(images, every(images)), lens)


def drifted(reference: Sample, images: np.ndarray, lens: Lens | None) -> set[str]:
    now = observe(blocks(images, every(images)), lens)
    return {test.name for test in detect(reference, now, alpha=0.05, threshold=0.2, seed=0) if test.drifted}


def test_the_properties_are_what_their_names_say() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 9, 7)).astype(np.uint8)
    found = image_properties(images)
    for index, image in enumerate(images[:, 0] / 255.0):
        assert found["mean"][index] == pytest.approx(image.mean())
        assert found["contrast"][index] == pytest.approx(image.std())
        assert found["sharpness"][index] == pytest.approx(laplace(image)[1:-1, 1:-1].var())
        levels = np.bincount(images[index].ravel(), minlength=256)
        assert found["entropy"][index] == pytest.approx(entropy(levels, base=2))


def test_a_flat_image_has_neither_contrast_nor_sharpness_nor_entropy() -> None:
    found = image_properties(np.full((2, 3, 8, 8), 128, np.uint8))
    assert found["mean"] == pytest.approx([128 / 255, 128 / 255])
    assert all((found[name] == 0).all() for name in ("contrast", "sharpness", "entropy"))


def test_a_grey_image_in_colour_has_the_same_properties() -> None:
    grey = digits()[:20]
    plain, coloured = image_properties(grey), image_properties(np.repeat(grey, 3, axis=1))
    assert all(plain[name] == pytest.approx(coloured[name]) for name in TITLES)


def test_the_distance_is_that_of_scipy_and_its_p_is_corrected_for_all_tests() -> None:
    x, y = normal(0, 90)[:, 0], normal(1, 70, shift=0.8)[:, 0]
    exact = ks_2samp(x, y, method="exact")
    p, distance = kolmogorov_smirnov(x, y)
    assert distance == pytest.approx(exact.statistic)
    assert p == pytest.approx(exact.pvalue, rel=0.5)
    assert judged("a", "a", (0.004, 0.5), comparisons=15, alpha=0.05, threshold=0.2).p == pytest.approx(0.06)
    assert judged("a", "a", (0.5, 0.5), comparisons=15, alpha=0.05, threshold=0.2).p == 1.0


@pytest.mark.parametrize(
    ("p", "effect", "counts"), [(0.001, 0.2, True), (0.001, 0.19, False), (0.004, 0.9, False), (0.9, 0.0, False)]
)
def test_a_difference_counts_where_it_is_significant_and_big(p: float, effect: float, counts: bool) -> None:
    assert judged("a", "a", (p, effect), comparisons=15, alpha=0.05, threshold=0.2).drifted is counts


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0, 2.0, 4.0])
def test_the_effect_of_the_kernel_test_is_on_the_scale_of_the_kolmogorov_smirnov_distance(shift: float) -> None:
    x, y = normal(0, 2000), normal(1, 2000, shift=shift)
    distance = kolmogorov_smirnov(x[:, 0], y[:, 0])[1]
    assert kernel_effect(x, y, median_bandwidth(x, x[:0])) == pytest.approx(distance, abs=0.04)


def test_the_kernel_test_can_tell_a_p_that_is_small_enough_for_all_tests() -> None:
    x, y = normal(0, 200, 4), normal(1, 60, 4, shift=1.0)
    p, effect = kernel_test(x, y, comparisons=40, alpha=0.05, seed=0)
    assert 40 * p < 0.05
    assert effect > 0.2
    assert kernel_test(x, normal(2, 60, 4), comparisons=40, alpha=0.05, seed=0)[0] > 0.01


def test_images_that_have_not_changed_have_not_drifted(reference: Sample, lens: Lens) -> None:
    for start in range(800, 1700, 100):
        assert drifted(reference, digits()[start : start + 100], lens) == set()


def test_darker_images_drift_in_brightness_and_blurred_ones_in_sharpness(reference: Sample, lens: Lens) -> None:
    images = digits()[800:1000]
    assert {"mean", "contrast"} <= drifted(reference, (images * 0.8).round().astype(np.uint8), lens)
    blurred = gaussian_filter(images.astype(float), (0, 0, 0.6, 0.6)).round().astype(np.uint8)
    found = drifted(reference, blurred, lens)
    assert "sharpness" in found
    assert "mean" not in found


def test_what_only_a_classifier_sees_is_found_by_its_features(reference: Sample, lens: Lens) -> None:
    upside_down = digits()[800:1000, :, ::-1]
    found = drifted(reference, np.ascontiguousarray(upside_down), lens)
    assert not found & TITLES.keys()
    assert "features" in found


def test_without_a_classifier_the_properties_stand_alone(reference: Sample) -> None:
    images = digits()[:800]
    plain = observe(blocks(images, every(images)), None)
    tests = detect(plain, plain, alpha=0.05, threshold=0.2, seed=0)
    assert [test.name for test in tests] == list(TITLES)
    assert drifted(plain, (digits()[800:900] * 0.7).astype(np.uint8), None) >= {"mean"}


def test_a_check_is_repeated_to_the_last_digit(reference: Sample, lens: Lens) -> None:
    images = digits()[800:900]
    now = observe(blocks(images, every(images)), lens)
    first, second = (detect(reference, now, alpha=0.05, threshold=0.2, seed=3) for _ in range(2))
    assert first == second


def test_the_sentence_names_what_changed_most_and_in_which_direction(reference: Sample, lens: Lens) -> None:
    images = (digits()[800:1000] * 0.8).round().astype(np.uint8)
    now = observe(blocks(images, every(images)), lens)
    said = sentence(detect(reference, now, alpha=0.05, threshold=0.2, seed=0))
    assert said.startswith("Drifted: contrast fell from 0.37")
    assert "brightness fell from 0.30" in said
    calm = observe(blocks(digits()[800:1000], every(digits()[:200])), lens)
    quiet = sentence(detect(reference, calm, alpha=0.05, threshold=0.2, seed=0))
    assert quiet.startswith("No drift: none of 8 differences is both significant and 0.2 or more; the largest is 0.")


def test_fewer_than_fifty_images_on_a_side_are_refused(reference: Sample, lens: Lens) -> None:
    few = observe(blocks(digits()[:49], every(digits()[:49])), lens)
    with pytest.raises(InputError, match="49 new images are too few to tell drift from chance; 50 are needed"):
        detect(reference, few, alpha=0.05, threshold=0.2, seed=0)
    with pytest.raises(InputError, match="49 images to compare with are too few"):
        detect(few, reference, alpha=0.05, threshold=0.2, seed=0)


def test_images_of_other_channels_than_the_classifier_knows_are_refused(lens: Lens) -> None:
    colour = np.repeat(digits()[:60], 3, axis=1)
    with pytest.raises(InputError, match=r"1×16×16 images, and these are 3×16×16"):
        observe(blocks(colour, every(colour)), lens)


def test_large_images_are_kept_small_for_showing_but_measured_as_they_are(lens: Lens) -> None:
    large = fitted(digits()[:60], 128)
    sample = observe(blocks(large, every(large)), lens)
    assert sample.pictures.shape == (60, 1, 64, 64)
    assert sample.properties["sharpness"] == pytest.approx(image_properties(large)["sharpness"])


def test_what_a_model_has_learned_from_is_left_out_where_enough_else_is_there() -> None:
    rows = np.arange(300)
    assert unlearned(rows, rows[:100]).tolist() == rows[100:].tolist()
    assert unlearned(rows, rows[:101]).tolist() == rows.tolist()


def test_the_classifier_test_is_sure_where_there_is_a_difference_and_guesses_where_there_is_none() -> None:
    x, far = normal(0, 300, 6), normal(1, 80, 6, shift=1.5)
    telling = classifier_test(x, far, seed=0)
    assert telling.accuracy > 0.9
    assert telling.images == 80
    hits = domain_hits(x[:80], far, seed=0)
    assert telling.accuracy == pytest.approx(hits.mean())
    assert telling.p == pytest.approx(binomtest(int(hits.sum()), 160, alternative="greater").pvalue)
    assert np.corrcoef(telling.scores, far.sum(axis=1))[0, 1] > 0.8
    ps = [classifier_test(normal(i, 300, 6), normal(900 + i, 80, 6), seed=0).p for i in range(20)]
    assert np.mean(np.array(ps) < 0.05) <= 0.2


def test_the_most_unlike_image_comes_first_with_the_reference_that_is_nearest_to_it() -> None:
    x, y = normal(0, 200, 3), normal(1, 60, 3)
    y[7] = (9.0, 9.0, 9.0)
    x[11] = (6.0, 6.0, 6.0)
    away, like = most_unlike(x, y, 5)
    assert len(away) == len(like) == 5
    assert (away[0], like[0]) == (7, 11)


def test_a_lens_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classifier.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a classifier's weight file"):
        Lens.load(tmp_path / "classifier.safetensors", "damaged")


def test_the_benchmark_finds_less_light_and_raises_no_alarm_without_a_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--splits", "1", "--windows", "4", "--changed", "4", "--sizes", "200"]
    monkeypatch.setattr(sys, "argv", ["drift.py", *arguments])
    benchmark.main()
    _, _, *rows = (line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines())
    found = {change: (float(single), float(double)) for change, _, _, single, double in rows}
    assert found["none"] == (0.0, 0.0)
    assert found["20 % darker"] == found["20 % brighter"] == (100.0, 100.0)
