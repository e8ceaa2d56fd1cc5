"""`gtl models` and `gtl lineage` where there is little to show; the end-to-end test looks at full records."""

from __future__ import annotations

import json

import pytest

from gtl_core.homes import Homes
from gtl_core.registry.tracking import open_store
from pipelines.cli.main import invoke


def test_an_empty_project_has_no_models_and_gets_no_store_by_looking(homes: Homes, capfd):
    assert invoke(["models"]) == 0
    assert "no models yet" in capfd.readouterr().out
    assert invoke(["models", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == []
    assert not homes.mlruns.exists()


@pytest.mark.parametrize("command", [["models"], ["lineage", "gtl-demo-classifier"]])
def test_a_store_that_does_not_answer_is_bad_input_in_one_line(command, homes: Homes, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert invoke(command) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "http://127.0.0.1:9" in err


def test_an_unknown_model_is_answered_with_the_near_one(homes: Homes, capfd):
    open_store(homes).client.create_registered_model("gtl-demo-classifier")
    capfd.readouterr()
    assert invoke(["lineage", "gtl-dmo-classifier@champion"]) == 2
    assert "gtl-demo-classifier" in capfd.readouterr().err
