"""The cases of the study: each is a valid experiment within its budget, beside published numbers of that budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.class_halves import HALVES
from benchmarks.study.cases import load_cases, load_literature
from benchmarks.study.run import FILES, HERE, main
from gtl_core.errors import InputError

CASES = load_cases(HERE / "cases.yaml")
LITERATURE = load_literature(HERE / "published.yaml")


def test_the_protocols_of_the_literature_are_all_there():
    labelled = {case.experiment.target.labelled_per_class for case in CASES if case.budget == "labelled only"}
    assert labelled >= {1, 3, 5, 7, 10}
    unlabelled = {
        (case.experiment.source.dataset, case.experiment.target.dataset)
        for case in CASES
        if case.budget == "unlabelled pool, no labels"
    }
    assert unlabelled == {("mnist", "usps"), ("usps", "mnist")}
    assert any(case.budget == "labels and pool" for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_with_a_goal_is_measured_in_accuracy_over_five_draws_at_the_size_of_mnist_or_of_usps(case):
    experiment = case.experiment
    assert experiment.promotion.metric == "accuracy"
    assert experiment.evaluation.draws == 5 or not case.goals
    assert (experiment.image.size, experiment.image.channels) in ((28, 1), (16, 1))
    assert {experiment.source.dataset, experiment.target.dataset} <= {*FILES, *HALVES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_goal_speaks_of_an_arm_of_its_case(case):
    for goal in case.goals:
        for arm in filter(None, (goal.arm, goal.versus)):
            assert arm in ("best arm", "best GAN arm") or arm.split("/")[0] in case.experiment.evaluation.arms


def test_published_numbers_stand_beside_cases_that_exist():
    assert set(LITERATURE.cases) <= {case.name for case in CASES}
    assert all(0 < row.value <= 100 for rows in LITERATURE.cases.values() for row in rows)


def test_a_case_overrides_only_what_it_names(tmp_path: Path):
    cases = load_cases(write(tmp_path, "labelled only", "{target: {labelled_per_class: 3}}"), draws=2)
    target = cases[0].experiment.target
    assert (target.dataset, target.labelled_per_class, target.validation_per_class) == ("few", 3, 7)
    assert cases[0].experiment.evaluation.draws == 2


@pytest.mark.parametrize(
    ("budget", "experiment", "message"),
    [
        ("labels and pool", "{}", "the experiment's target gives 'labelled only'"),
        ("labelled only", "{target: {colour: red}}", "experiment.target.colour"),
        ("free lunch", "{}", "budget"),
    ],
)
def test_a_case_that_is_not_what_it_says_is_refused(tmp_path: Path, budget: str, experiment: str, message: str):
    with pytest.raises(InputError, match=message):
        load_cases(write(tmp_path, budget, experiment))


def test_the_command_lists_the_cases_and_knows_no_others(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [case.name for case in CASES]
    assert main(["--cases", "nothing"]) == 2
    assert "no case nothing; there are: mnist-usps-1, " in capsys.readouterr().err


def write(folder: Path, budget: str, experiment: str) -> Path:
    path = folder / "cases.yaml"
    path.write_text(
        f"""
base:
  source: {{dataset: many}}
  target: {{dataset: few, labelled_per_class: 10, validation_per_class: 7}}
  image: {{size: 16, channels: 1}}
  transfer: {{strategies: [finetune]}}
cases:
  - name: one
    title: One
    budget: {budget}
    protocol: Ours.
    experiment: {experiment}
""",
        encoding="utf-8",
    )
    return path
