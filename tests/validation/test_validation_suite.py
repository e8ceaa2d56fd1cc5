"""What is wrong with a set is found by the right check, blocks or warns, and is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gtl_core.data.image_set import UNLABELLED, ImageSet
from gtl_core.validation.report import CHECKS, ValidationReport
from gtl_core.validation.suite import validate_experiment, validate_set, validate_synthetic


def failed(report: ValidationReport) -> set[str]:
    return {finding.check for finding in report.findings if not finding.passed}


def finding(report: ValidationReport, check: str):
    return next(found for found in report.findings if found.check == check)


def parts(count: int, test_from: int) -> list[str]:
    return ["train" if row < test_from else "test" for row in range(count)]


@pytest.fixture
def sound(digits, make_set) -> ImageSet:
    """300 digits to train on and 200 to test on, without a fault."""
    return make_set(digits[0][:500], digits[1][:500], parts(500, 300), name="sound")


def test_real_digits_pass_every_check(sound: ImageSet):
    report = validate_set(sound)
    assert report.passed
    assert failed(report) == set()


def test_a_blank_image_blocks_and_is_named(digits, make_set):
    images = digits[0][:300].copy()
    images[7] = 130
    report = validate_set(make_set(images, digits[1][:300]))
    assert failed(report) == {"blank_images"}
    assert not report.passed
    assert report.quarantine["source_file"].tolist() == ["some-set/7.png"]


def test_an_image_in_train_and_test_blocks_and_the_one_in_train_is_named(digits, make_set):
    images = digits[0][:300].copy()
    images[250] = images[20]
    report = validate_set(make_set(images, digits[1][:300], parts(300, 200)))
    assert failed(report) == {"split_leakage"}
    leak = finding(report, "split_leakage").failing
    assert leak["source_file"].tolist() == ["some-set/20.png"]
    assert "some-set/250.png" in leak["reason"].iloc[0]
    assert not report.passed


@pytest.mark.parametrize(("first", "second"), [("train", "val"), ("val", "test"), ("train", "test")])
def test_a_leak_between_any_two_splits_is_found_also_when_it_is_shifted(digits, make_set, first: str, second: str):
    images = digits[0][:300].copy()
    images[250] = np.roll(images[20], 1, axis=1)
    splits = ["train"] * 100 + ["val"] * 100 + ["test"] * 100
    splits[20], splits[250] = first, second
    report = validate_set(make_set(images, digits[1][:300], splits))
    assert failed(report) == {"split_leakage"}
    assert finding(report, "split_leakage").failing["split"].tolist() == [first]


def test_a_group_on_both_sides_blocks(digits, make_set):
    groups = [f"writer-{row // 30}" for row in range(300)]
    report = validate_set(make_set(digits[0][:300], digits[1][:300], parts(300, 195), groups))
    assert failed(report) == {"split_leakage"}
    assert finding(report, "split_leakage").failing["row"].tolist() == list(range(180, 195))


def test_copies_within_one_split_warn_and_tell_of_a_different_label(digits, make_set):
    images, labels = digits[0][:300].copy(), digits[1][:300].copy()
    images[9], labels[9] = images[8], (labels[8] + 1) % 10
    images[30] = np.roll(images[31], 1, axis=2)
    report = validate_set(make_set(images, labels))
    assert failed(report) == {"exact_duplicates", "near_duplicates"}
    assert report.passed
    assert f"labelled {labels[8]}" in finding(report, "exact_duplicates").failing["reason"].iloc[0]
    assert finding(report, "near_duplicates").failing["row"].tolist() == [31]


def test_a_class_without_training_images_blocks_and_is_named(digits, make_set):
    splits = ["test" if label == 4 or row >= 200 else "train" for row, label in enumerate(digits[1][:300])]
    report = validate_set(make_set(digits[0][:300], digits[1][:300], splits))
    assert failed(report) == {"classes"}
    assert "class 4" in finding(report, "classes").summary
    assert not report.passed


def test_a_class_without_test_images_blocks_where_there_is_a_test_part(digits, make_set):
    splits = ["train" if label == 4 or row < 200 else "test" for row, label in enumerate(digits[1][:300])]
    assert failed(validate_set(make_set(digits[0][:300], digits[1][:300], splits))) == {"classes"}


def test_a_single_class_blocks(digits, make_set):
    ones = digits[0][digits[1] == 1]
    report = validate_set(make_set(ones, [0] * len(ones), classes=["one"]))
    assert "classes" in failed(report)
    assert not report.passed


def test_a_rare_class_and_enlarged_images_warn(digits, make_set):
    keep = (digits[1] != 3) | (np.cumsum(digits[1] == 3) <= 5)
    images, labels = digits[0][keep][:600], digits[1][keep][:600]
    report = validate_set(make_set(images, labels, original=(3, 3, 1)))
    assert failed(report) == {"class_balance", "sizes"}
    assert report.passed
    assert "class 3" in finding(report, "class_balance").summary


def test_wrong_values_in_the_manifest_block(sound: ImageSet):
    manifest = sound.manifest.copy()
    manifest.loc[3, "std"] = 0.9
    manifest.loc[4, "label"] = 10
    manifest.loc[5, "sha256"] = "not a hash"
    report = validate_set(dataclasses.replace(sound, manifest=manifest))
    assert failed(report) == {"ranges", "schema"}
    assert finding(report, "ranges").failing["row"].tolist() == [3, 4]
    assert finding(report, "schema").failing["row"].tolist() == [5]


def test_an_experiment_answers_every_check_in_its_fixed_order(digits, make_set, sound: ImageSet):
    other = make_set(digits[0][600:900], digits[1][600:900], name="other")
    report = validate_experiment(other, sound)
    assert [found.check for found in report.findings] == [check.name for check in CHECKS]
    assert [found.severity for found in report.findings] == [check.severity for check in CHECKS]
    assert failed(report) == set()


def test_a_target_image_among_the_sources_blocks(digits, make_set, sound: ImageSet):
    images = digits[0][600:900].copy()
    images[11] = sound.images[400]
    images[12] = np.roll(sound.images[401], 1, axis=1)
    report = validate_experiment(make_set(images, digits[1][600:900], name="other"), sound)
    assert failed(report) == {"source_target_overlap"}
    assert finding(report, "source_target_overlap").failing["source_file"].tolist() == ["other/11.png", "other/12.png"]
    assert not report.passed


def test_a_class_that_only_the_source_has_is_missing_from_the_target(digits, make_set):
    images, labels = digits[0][600:900], digits[1][600:900]
    target = make_set(images[labels < 9], labels[labels < 9], classes=tuple("012345678"), name="target")
    report = validate_experiment(make_set(digits[0][:300], digits[1][:300], name="source"), target)
    assert failed(report) == {"classes"}
    assert "class 9" in finding(report, "classes").summary


def test_a_source_of_other_classes_is_taken_as_it_is(digits, make_set, sound: ImageSet):
    letters = make_set(digits[0][600:900], digits[1][600:900], classes=tuple("abcdefghij"), name="letters")
    assert failed(validate_experiment(letters, sound)) == set()


def unlabelled_in_training(digits, make_set, **options) -> ImageSet:
    """300 digits without label to train on and 200 with one to test on."""
    labels = [*[UNLABELLED] * 300, *digits[1][300:500]]
    return make_set(digits[0][:500], labels, parts(500, 300), name="unlabelled", **options)


def test_a_set_whose_training_part_has_no_labels_passes_every_check(digits, make_set):
    report = validate_set(unlabelled_in_training(digits, make_set))
    assert failed(report) == set()


def test_the_faults_of_images_without_label_are_found_as_others_are(digits, make_set):
    images, labels = digits[0][:500].copy(), [*[UNLABELLED] * 300, *digits[1][300:500]]
    images[7], images[9], images[250] = 130, images[8], images[400]
    report = validate_set(make_set(images, labels, parts(500, 300)))
    assert failed(report) == {"blank_images", "exact_duplicates", "split_leakage"}
    assert finding(report, "exact_duplicates").failing["reason"].tolist() == [
        "the same image as some-set/8.png (some-set, train)"
    ]
    assert finding(report, "split_leakage").failing["source_file"].tolist() == ["some-set/250.png"]


def test_a_label_says_nothing_of_a_copy_that_has_none(digits, make_set):
    images, labels = digits[0][:300].copy(), digits[1][:300].copy()
    images[9], labels[9] = images[8], UNLABELLED
    images[30], labels[31] = images[31], UNLABELLED
    report = validate_set(make_set(images, labels))
    assert failed(report) == {"exact_duplicates"}
    assert not finding(report, "exact_duplicates").failing["reason"].str.contains("labelled").any()


def test_a_class_of_which_only_images_without_label_are_left_blocks_where_others_have_labels(digits, make_set):
    labels = np.where((digits[1][:300] == 4) & (np.arange(300) < 200), UNLABELLED, digits[1][:300])
    report = validate_set(make_set(digits[0][:300], labels, parts(300, 200)))
    assert failed(report) == {"classes"}
    assert finding(report, "classes").failing["reason"].tolist() == ["class 4: no image to train on"]


def test_an_unlabelled_training_part_still_needs_every_class_in_the_test_part(digits, make_set):
    keep = np.flatnonzero((digits[1][:500] != 4) | (np.arange(500) < 300))
    labels = [UNLABELLED if row < 300 else int(digits[1][row]) for row in keep]
    report = validate_set(make_set(digits[0][keep], labels, parts(len(keep), 300)))
    assert failed(report) == {"classes"}
    assert "class 4: no image in the test part" in finding(report, "classes").summary


def test_a_test_image_without_label_blocks(sound: ImageSet):
    manifest = sound.manifest.copy()
    manifest.loc[[3, 400], "label"] = UNLABELLED
    report = validate_set(dataclasses.replace(sound, manifest=manifest))
    assert failed(report) == {"ranges"}
    assert finding(report, "ranges").failing["row"].tolist() == [400]


def test_without_target_labels_no_finding_depends_on_one_outside_the_test_part(digits, make_set, sound: ImageSet):
    source = make_set(digits[0][600:900], digits[1][600:900], name="source")
    manifest = sound.manifest.copy()
    manifest.loc[9, "sha256"] = manifest.loc[8, "sha256"]
    of_one_class = manifest.assign(label=manifest["label"].where(manifest["split"] == "test", 3))
    targets = [dataclasses.replace(sound, manifest=of_target) for of_target in (manifest, of_one_class)]
    blind = [validate_experiment(source, target, labelled=False) for target in targets]
    assert failed(blind[0]) == {"exact_duplicates"}
    assert blind[0].to_json() == blind[1].to_json()
    assert blind[0].quarantine.equals(blind[1].quarantine)
    seeing = [validate_experiment(source, target) for target in targets]
    assert [report.passed for report in seeing] == [True, False]


def test_a_class_that_only_the_source_has_is_missing_from_a_target_without_labels_too(digits, make_set):
    images, labels = digits[0][600:900], digits[1][600:900]
    target = make_set(images[labels < 9], labels[labels < 9], classes=tuple("012345678"), name="target")
    source = make_set(digits[0][:300], digits[1][:300], name="source")
    report = validate_experiment(source, target, labelled=False)
    assert failed(report) == {"classes"}
    assert finding(report, "classes").failing["reason"].tolist() == ["class 9: no image to train on"]


def test_source_images_without_label_warn(digits, make_set, sound: ImageSet):
    labels = [UNLABELLED if row % 5 == 0 else int(digits[1][600 + row]) for row in range(300)]
    report = validate_experiment(make_set(digits[0][600:900], labels, name="source"), sound)
    assert failed(report) == {"source_labels"}
    assert report.passed
    assert "60 in source" in finding(report, "source_labels").summary
    assert finding(report, "source_labels").failing["row"].tolist() == list(range(0, 300, 5))


def test_a_synthetic_copy_of_a_labelled_image_is_reported(digits, make_set, sound: ImageSet):
    images = digits[0][600:900].copy()
    images[5] = sound.images[17]
    images[6] = sound.images[450]
    labelled = np.arange(20)
    report = validate_synthetic(make_set(images, digits[1][600:900], name="made"), sound, labelled)
    assert failed(report) == {"copies_of_labelled"}
    assert finding(report, "copies_of_labelled").failing["source_file"].tolist() == ["made/5.png"]
    assert report.passed


def test_synthetic_images_of_a_target_without_labelled_images_copy_none(digits, make_set, sound: ImageSet):
    images = digits[0][600:900].copy()
    images[5] = sound.images[17]
    made = make_set(images, digits[1][600:900], name="made")
    assert failed(validate_synthetic(made, sound, np.empty(0, np.int64))) == set()


def test_a_report_reads_back_as_it_was_written(digits, make_set, tmp_path: Path):
    images = digits[0][:300].copy()
    images[250], images[3], images[4] = images[20], 0, images[5]
    report = validate_set(make_set(images, digits[1][:300], parts(300, 200)))
    report.save(tmp_path / "report")
    again = ValidationReport.load(tmp_path / "report")
    assert again.to_json() == report.to_json()
    assert again.quarantine.to_dict("records") == report.quarantine.to_dict("records")
    assert set(report.quarantine["check"]) == {"blank_images", "exact_duplicates", "split_leakage"}


def test_the_same_set_gives_the_same_report_byte_for_byte(sound: ImageSet, digits, make_set, tmp_path: Path):
    images = digits[0][:300].copy()
    images[250], images[3] = images[20], 0
    faulty = make_set(images, digits[1][:300], parts(300, 200))
    for name in ("first", "second"):
        validate_set(faulty).save(tmp_path / name)
    for file in ("validation.json", "quarantine.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
