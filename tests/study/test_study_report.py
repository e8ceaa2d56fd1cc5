"""The report of the study, from hand-made results: every number in its place, no two budgets in one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.study.cases import Case, Goal, Literature, Published
from benchmarks.study.measure import differences, gan_seconds
from benchmarks.study.report import reached, report
from benchmarks.study.results import Results
from gtl_core.config import Experiment
from gtl_core.evaluation.held_out import Predictions
from gtl_core.store import Stage

TARGETS = {
    "labelled only": {"labelled_per_class": 10},
    "unlabelled pool, no labels": {"labelled_per_class": 0, "use_unlabelled": True},
    "labels and pool": {"labelled_per_class": 10, "use_unlabelled": True},
}


def case(name: str, budget: str, *goals: Goal) -> Case:
    experiment = Experiment.model_validate(
        {
            "name": "study",
            "source": {"dataset": "many"},
            "target": {"dataset": "few", **TARGETS[budget]},
            "image": {"size": 28, "channels": 1},
            "transfer": {"strategies": ["translate"]},
            "evaluation": {"arms": ["source_only", "best_plus_gan"], "bootstrap": 100},
            "promotion": {"metric": "accuracy"},
        }
    )
    protocol = f"The protocol of {name}."
    content = {"name": name, "title": f"Title of {name}", "budget": budget, "protocol": protocol}
    return Case.model_validate({**content, "experiment": experiment, "goals": list(goals)})


def row(name: str, arm: str, strategy: str | None, mean: float, low: float, high: float) -> dict[str, Any]:
    return {
        "case": name,
        "arm": arm,
        "strategy": strategy,
        "labelled_per_class": 10,
        "pool": 7000 if strategy else 0,
        "mean": mean,
        "low": low,
        "high": high,
        "draws": 5,
        "seconds": 123.4,
        "published": None,
    }


def record(name: str, *found: dict[str, Any]) -> dict[str, Any]:
    return {
        "evaluation": "0123",
        "chosen": {"best": "best_plus_gan/translate", "gan": "best_plus_gan/translate", "without_gan": "source_only"},
        "chosen_by": "accuracy on the labelled validation part",
        "verdict": f"The verdict of {name}.",
        "left_out": {"real": "there is no label"},
        "test_images": 2007,
        "shared_seconds": {"source_classifier": 61.0},
        "differences": list(found),
        "measured": {"date": "2026-01-02", "machine": "a machine", "command": f"the command of {name}", "workers": 2},
    }


def results(*names: str) -> Results:
    known = Results()
    for name in names:
        rows = [
            row(name, "source_only", None, 79.7, 78.5, 80.9),
            row(name, "best_plus_gan", "translate", 97.654, 97.1, 98.2),
        ]
        known.put(name, rows, record(name))
    return known


NO_LITERATURE = Literature(cases={}, fully_supervised={})


def test_every_row_stands_with_its_interval_draws_and_seconds():
    page = report([case("one", "labels and pool")], NO_LITERATURE, results("one"))
    assert "| source_only | – | 79.70 [78.50, 80.90] | – | 5 | 123 |" in page
    assert "| **best_plus_gan** | translate | 97.65 [97.10, 98.20] | 7,000 | 5 | 123 |" in page
    assert "`the command of one`, 2026-01-02, 2,007 test images." in page
    assert "- The verdict of one." in page
    assert "- Left out: real; there is no label." in page
    assert "Machine: a machine." in page


def test_budgets_are_never_mixed_in_one_section():
    cases = [case(f"case-{index}", budget) for index, budget in enumerate(TARGETS)]
    published = {
        found.name: [Published(method=f"method-{found.name}", value=95.0, source="a paper", protocol="theirs")]
        for found in cases
    }
    literature = Literature(cases=published, fully_supervised={"A → B": published["case-0"]})
    page = report(list(reversed(cases)), literature, results(*(found.name for found in cases)))
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    for found in cases:
        section = sections[found.budget.capitalize()]
        for other in cases:
            own = found is other
            assert (other.title in section) is own
            assert (f"method-{other.name} 95.0" in section) is own
            assert (f"| method-{other.name} | 95.0 | theirs | a paper |" in section) is own


def test_a_case_that_was_not_run_is_named_as_such():
    page = report(
        [case("one", "labelled only", Goal(what="best", arm="best arm", at_least=90.0))], NO_LITERATURE, Results()
    )
    assert "No case has been run yet." in page
    assert "| Title of one | best | 90.0 | not run yet | – |" in page
    assert "### Title of one" not in page


@pytest.mark.parametrize(
    ("arm", "at_least", "met"),
    [
        ("best arm", 97.6, "yes"),
        ("best GAN arm", 97.7, "no"),
        ("best_plus_gan", 97.654, "yes"),
        ("source_only", 79.8, "no"),
    ],
)
def test_a_goal_is_met_where_the_mean_reaches_it(arm: str, at_least: float, met: str):
    goal = Goal(what="a goal", arm=arm, at_least=at_least)
    assert reached(goal, case("one", "labels and pool", goal), results("one"))[1] == met


@pytest.mark.parametrize(("low", "met"), [(0.1, "yes"), (0.0, "no"), (-0.1, "no")])
def test_a_difference_meets_its_goal_where_the_whole_interval_lies_above(low: float, met: str):
    goal = Goal(what="better", arm="best GAN arm", versus="source_only", at_least=0.0)
    known = results("one")
    found = {"arm": "best_plus_gan/translate", "versus": "source_only", "value": 0.3, "low": low, "high": 0.5}
    known.records["one"] = record("one", found)
    what, answer = reached(goal, case("one", "labels and pool", goal), known)
    assert what == f"best_plus_gan/translate − source_only: +0.30 [{low:+.2f}, +0.50] points"
    assert answer == met


def test_a_goal_for_an_arm_that_was_left_out_is_not_met():
    goal = Goal(what="alone", arm="synthetic_only", at_least=50.0)
    what, met = reached(goal, case("one", "labels and pool", goal), results("one"))
    assert what == "synthetic_only/translate is left out"
    assert met == "no"


def test_what_was_tried_stands_beside_a_goal_that_was_not_met():
    goals = [
        Goal(what="much", arm="best arm", at_least=99.0, note="published: 98.0", tried="twice the steps"),
        Goal(what="little", arm="best arm", at_least=9.0, tried="half the steps"),
    ]
    page = report([case("one", "labels and pool", *goals)], NO_LITERATURE, results("one"))
    got = "best_plus_gan/translate: 97.65 [97.10, 98.20]"
    tried = "published: 98.0; tried: source_only, best_plus_gan with translate; twice the steps"
    assert f"| Title of one | much | 99.0 | {got} | no | {tried} |" in page
    assert f"| Title of one | little | 9.0 | {got} | yes |  |" in page


def test_differences_are_paired_and_in_points():
    labels = np.zeros(4, np.int64)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    # In each of two draws the first arm knows every image and the second a half of them: the same half, so that the
    # draws differ in nothing, and only the images are uncertain.
    said = {"best_plus_gan/translate": [[[right] * 4]] * 2, "source_only": [[[right, right, wrong, wrong]]] * 2}
    probabilities = {arm: np.array(of_draws, np.float16) for arm, of_draws in said.items()}
    predictions = Predictions(labels, np.full(4, ""), probabilities)
    goals = [
        Goal(what="better", arm="best GAN arm", versus="source_only", at_least=0.0),
        Goal(what="the same", arm="best arm", versus="best GAN arm", at_least=0.0),
        Goal(what="not there", arm="best arm", versus="self_trained", at_least=0.0),
        Goal(what="no difference", arm="best arm", at_least=0.0),
    ]
    better, same = differences(case("one", "labels and pool", *goals), predictions, record("one"))
    assert (better["arm"], better["versus"], better["value"]) == ("best_plus_gan/translate", "source_only", 50.0)
    assert better["low"] < 50.0 < better["high"]
    assert (same["value"], same["low"], same["high"]) == (0.0, 0.0, 0.0)


def test_a_strategys_seconds_are_those_of_its_stages_a_draw():
    made = [
        Stage(f"{name}/{strategy}/draw-{draw}", "key", None, "version", seconds, reused=False)  # type: ignore[arg-type]
        for name, seconds in (("transferred_gan", 60.0), ("synthetic_images", 5.0))
        for strategy in ("translate", "cycle")
        for draw in range(3)
    ]
    assert gan_seconds("translate", made) == pytest.approx(65.0)
    assert gan_seconds("", made) == 0.0
    names = {"scratch_gan/without_source": 30.0, "synthetic_images/scratch_gan": 2.0}
    made += [
        Stage(f"{name}/{cell}", "key", None, "version", seconds, reused=False)  # type: ignore[arg-type]
        for name, seconds in names.items()
        for cell in ("draw-0", "draw-0-seed-1")
    ]
    assert gan_seconds("scratch_gan", made) == pytest.approx(32.0)
    assert gan_seconds("translate", made) == pytest.approx(65.0)


def test_results_of_other_cases_stay_when_one_is_measured_again(tmp_path):
    known = results("one", "two")
    known.save(tmp_path, ["two", "one"])
    again = Results.load(tmp_path)
    assert [row["case"] for row in again.rows] == ["two", "two", "one", "one"]
    again.put("one", [row("one", "joint", None, 50.0, 40.0, 60.0)], record("one"))
    again.save(tmp_path, ["one", "two"])
    rows = Results.load(tmp_path).rows
    assert [(row["case"], row["arm"]) for row in rows] == [
        ("one", "joint"),
        ("two", "source_only"),
        ("two", "best_plus_gan"),
    ]


def test_the_slowest_strategy_is_named_beside_the_time_that_it_may_take():
    known = Results()
    timed = {"joint": (None, 320.0), "best_plus_gan": ("translate", 621.2), "synthetic_only": ("finetune", 500.0)}
    rows = [row("one", arm, strategy, 90.0, 89.0, 91.0) | {"seconds": took} for arm, (strategy, took) in timed.items()]
    known.put("one", [row("one", "source_only", None, 80.0, 79.0, 81.0), *rows], record("one"))
    page = report([case("one", "labels and pool")], NO_LITERATURE, known)
    assert "translate in `one`: 301 s for its transfer and images, within the 600 s" in page
    assert "the slowest arm is best_plus_gan/translate in `one`: 621 s." in page
    adapted = row("two", "adapted", "cycle", 90.0, 89.0, 91.0) | {"seconds": 700.0}
    known.put("two", [*results("two").rows, adapted], record("two"))
    page = report([case("one", "labels and pool"), case("two", "labels and pool")], NO_LITERATURE, known)
    assert "cycle in `two`: 700 s for its transfer and images, over the 600 s" in page
