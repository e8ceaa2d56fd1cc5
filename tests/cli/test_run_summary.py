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
        "gate": {"passed": True, "reasons": ["there is no champion yet"]},
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
