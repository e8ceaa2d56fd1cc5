"""Descriptions of classes in the experiment file, and what is told of them before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gtl_core.config import load_experiment
from gtl_core.config.descriptions import words_of
from gtl_core.data.catalog import load_pair
from gtl_core.errors import InputError
from tests.described_digits import TEXTS
from tests.pipelines.small_chain import as_experiment, project_of_digits, small_experiment


def written(folder: Path, **sections: object) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_experiment(**sections)), encoding="utf-8")
    return path


def test_a_class_that_yaml_reads_as_a_number_has_its_description(tmp_path: Path):
    descriptions = {int(name): text for name, text in TEXTS.items()}
    experiment = load_experiment(written(tmp_path, descriptions=descriptions, gan={"condition": "text"}))
    assert experiment.descriptions == TEXTS


def test_words_are_the_same_in_small_and_capital_letters_and_a_number_is_one():
    assert words_of("A thick, RED 7!") == ["a", "thick", "red", "7"]
    assert words_of("?! …") == []


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"gan": {"condition": "text"}}, "gan.condition: text needs descriptions, a short text for each class"),
        ({"descriptions": {"7": " ?! "}}, "descriptions: the text of class '7' has no word in it, got ' ?! '"),
        (
            {"descriptions": {"a": "a red seven", "b": "Seven, a RED"}},
            "descriptions: classes 'a' and 'b' have the same words",
        ),
        ({"descriptions": {"7": "seven " * 200}}, "descriptions.7: String should have at most 1000 characters"),
        ({"gan": {"condition": "picture"}}, "gan.condition: Input should be 'class' or 'text', got 'picture'"),
    ],
)
def test_what_is_wrong_with_descriptions_is_told_in_one_line(tmp_path: Path, sections: dict[str, object], told: str):
    with pytest.raises(InputError) as error:
        load_experiment(written(tmp_path, **sections))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("descriptions", "told"),
    [
        ({name: text for name, text in TEXTS.items() if name not in "38"}, "descriptions has none of 3, 8"),
        ({**TEXTS, "ten": "a ten"}, "neither turned nor tiny-digits has a class ten"),
    ],
)
def test_every_class_of_both_sets_is_described_and_no_other(
    tmp_path: Path, tiny_digits: Path, descriptions: dict[str, str], told: str
):
    homes = project_of_digits(tmp_path, tiny_digits)
    with pytest.raises(InputError, match=told):
        load_pair(as_experiment(descriptions=descriptions, gan={"condition": "text"}), homes.data)
    load_pair(as_experiment(descriptions=descriptions), homes.data)  # without text conditions nobody looks at them
