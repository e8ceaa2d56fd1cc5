"""The gate asked about really packaged models: what it measures of them, and which of its rules they break."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtl_core.config import PromotionConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.registry.gate import Candidate, GateResult, judge, why_incomparable
from gtl_core.registry.packaging import package_classifier, package_generator
from gtl_core.registry.rules import Rule
from gtl_core.synthesis.synthetic_set import SyntheticSet

LOOSE = {"membership_auc": 0.99, "worst_class": 0.01, "ece": 0.99, "latency_ms": 60_000.0, "megabytes": 50.0}
STRICT = {"membership_auc": 0.6, "worst_class": 1.0, "ece": 0.001, "latency_ms": 0.001, "megabytes": 0.001}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, evaluation: Path, synthetic: Path, gan: Path) -> Path:
    """A folder with a packaged `classifier` and a packaged `generator`."""
    folder = tmp_path_factory.mktemp("models")
    example = np.array(SyntheticSet.load(synthetic).images[:2])
    package_classifier(evaluation / "best" / "classifier.safetensors", example, folder / "classifier")
    package_generator(gan, folder / "generator")
    return folder


@pytest.fixture
def asked(models: Path, tiny_digits: Path) -> Any:
    """Asks the gate about these models on the test part of the tiny digits."""
    digits = ImageSet.load(tiny_digits)
    test = digits.indices("test")

    def ask(promotion: dict[str, Any], champion: Path | None, *, classifier: Path | None = None) -> GateResult:
        return judge(
            challenger=Candidate("challenger c/2", classifier or models / "classifier", "classifier"),
            generator=Candidate("challenger g/2", models / "generator", "generator"),
            champion=Candidate("champion c/1", champion, "classifier") if champion else None,
            images=np.array(digits.images[test]),
            labels=digits.labels[test],
            groups=np.full(len(test), ""),
            hashes=digits.manifest["sha256"].to_numpy(dtype=str)[test],
            classes=digits.classes,
            promotion=PromotionConfig.model_validate(promotion),
            memorisation={"screen": "clear", "sentence": "none was found", "membership_auc": 0.65},
        )

    return ask


def by_name(result: GateResult) -> dict[str, Rule]:
    return {rule.name: rule for rule in result.rules}


def test_without_limits_the_gate_asks_for_the_gain_and_for_models_that_load(asked: Any, models: Path):
    result = asked({}, models / "classifier")
    assert result.passed
    assert list(by_name(result)) == ["classifier_loads", "generator_loads", "gain"]
    assert by_name(result)["gain"].value == 0.0
    assert (result.improved, result.worsened) == (0, 0)


def test_a_model_that_breaks_every_limit_is_refused_with_every_number(asked: Any, models: Path):
    asks = {"limits": STRICT, "interval": 0.95, "memorisation": "screen"}
    result = asked(asks, models / "classifier")
    rules = by_name(result)
    broken = {name for name, rule in rules.items() if not rule.passed}
    assert broken == {*STRICT, "gain"}  # a model that is the champion again shows no gain
    assert len(result.reasons) == len(broken)
    assert rules["memorisation"].passed
    assert rules["membership_auc"].value == 0.65
    assert rules["latency_ms"].value is not None
    assert 0.01 < rules["latency_ms"].value < 10_000
    assert " thread" in rules["latency_ms"].sentence
    size = sum(path.stat().st_size for path in (models / "classifier").rglob("*") if path.is_file())
    assert rules["megabytes"].value == pytest.approx(size / 1e6)
    assert result.gain_low is not None
    assert -0.05 < result.gain_low < 0


def test_loose_limits_let_the_same_model_pass(asked: Any):
    result = asked({"limits": LOOSE}, None)
    assert result.passed, result.reasons
    assert set(LOOSE) < set(by_name(result))


def test_a_model_that_gives_no_numbers_is_refused(asked: Any, models: Path, tmp_path: Path):
    sick = tmp_path / "sick"
    shutil.copytree(models / "classifier", sick)
    code = sick / "classifier.py"
    said = "probabilities = torch.cat(parts).numpy()"
    assert said in code.read_text()
    code.write_text(code.read_text().replace(said, f"{said} * np.nan"))
    result = asked({"limits": {"worst_class": 0.5, "latency_ms": 60_000.0}}, None, classifier=sick)
    assert not result.passed
    rules = by_name(result)
    assert "it gave values that are no numbers" in rules["classifier_loads"].sentence
    assert "was not measured" in rules["worst_class"].sentence
    assert result.challenger_score is None


def test_a_champion_of_another_tool_or_with_a_damaged_description_cannot_be_compared(models: Path, tmp_path: Path):
    from mlflow.models import Model

    foreign, damaged = tmp_path / "foreign", tmp_path / "damaged"
    for folder in (foreign, damaged):
        folder.mkdir()
    Model(flavors={"python_function": {"loader_module": "mlflow.sklearn"}}).save(str(foreign / "MLmodel"))
    (damaged / "MLmodel").write_text("flavors: [")
    images = np.zeros((1, 1, 16, 16), np.uint8)
    assert why_incomparable(Candidate("champion c/1", foreign, "classifier"), images, ("a", "b")) == (
        "champion c/1 cannot be scored again: it was not packaged by gtl; take the champion alias away to start anew"
    )
    reason = why_incomparable(Candidate("champion c/1", damaged, "classifier"), images, ("a", "b"))
    assert reason.startswith("champion c/1 cannot be scored again: its MLmodel cannot be read: ")
    assert "\n" not in reason


def test_a_champion_that_fails_in_the_fresh_process_refuses_with_its_error(asked: Any, models: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(models / "classifier", broken)
    weights = broken / "artifacts" / "classifier.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    result = asked({}, broken)
    (reason,) = result.reasons
    assert reason.startswith("champion c/1 cannot be scored again: SafetensorError")
    assert result.challenger_score is not None
    assert result.champion_score is None
