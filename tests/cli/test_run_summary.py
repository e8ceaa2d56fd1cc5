"""What `gtl run` prints when it is done: the verdict with how it was come by, and what was left out of it."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.cli.run import _show


def summary(**verdict: Any) -> dict[str, Any]:
    """A run's summary with a verdict of its own."""
    common = {
        "label": "inconclusive",
        "arm": "best_plus_gan/translate",
        "baseline_arm": "self_trained",
        "chosen_by": "mutual information on unlabelled validation images",
        "metric": "balanced_accuracy",
        "difference": 0.012,
        "low": -0.004,
        "high": 0.028,
        "detectable": 0.023,
        "left_out": {},
        "scope": "Holds for a → b with no labelled target images.",
        "sentence": "Inconclusive whether GAN transfer helps.",
    }
    return {
        "experiment": "small",
        "verdict": common | verdict,
        "arms": [{"arm": "self_trained", "mean": 0.9, "low": 0.88, "high": 0.92}],
        "pilot": None,
        "models": [{"name": "gtl-small-classifier", "version": "1", "alias": "champion"}],
        "gate": {"passed": True, "reasons": ["there is no champion yet"], "waits": ""},
        "stages": [{"reused": False}],
        "seconds": 3.0,
        "folder": "artifacts/small",
        "report": None,
    }


def test_the_verdict_stands_first_with_what_it_holds_for(capsys: pytest.CaptureFixture[str]) -> None:
    _show(summary())
    told = capsys.readouterr().out
    assert "small: Inconclusive whether" in told
    assert "no labelled target images" in told
    assert "left out" not in told


def test_arms_that_were_left_out_are_named_once_for_each_reason(capsys: pytest.CaptureFixture[str]) -> None:
    none = "there are no labelled target images"
    _show(summary(left_out={"real": none, "joint": none, "source_only": "the source has no class 7"}))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out")]
    assert lines == [f"left out, {none}: real, joint", "left out, the source has no class 7: source_only"]


def test_a_strategy_that_goes_on_although_its_pilot_was_losing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    note = "every strategy was losing in its pilot; finetune, the best of them, goes on so that there is a verdict"
    _show(summary() | {"pilot": {"note": note}})
    assert note in capsys.readouterr().out.splitlines()


def test_a_refused_gate_names_each_broken_rule_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    broken = ["ece 0.2 where at most 0.1 is asked for: 0.1 too much", "a gain of -0.0100; 0.0100 is missing"]
    _show(summary() | {"gate": {"passed": False, "reasons": broken, "waits": ""}})
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("gate refused:")
    assert lines[start + 1 : start + 3] == [f"  {reason}" for reason in broken]


def test_what_a_challenger_waits_for_is_told_as_long_as_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    waits = "it waits for approval: gtl promote gtl-small-classifier 2 --by NAME --reason TEXT"
    gate = {"passed": True, "reasons": ["better"], "waits": waits}
    model = {"name": "gtl-small-classifier", "version": "2", "alias": "challenger"}
    _show(summary() | {"gate": gate, "models": [model]})
    assert waits in capsys.readouterr().out.splitlines()
    _show(summary() | {"gate": gate, "models": [model | {"alias": "champion"}]})
    assert waits not in capsys.readouterr().out
