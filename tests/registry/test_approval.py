"""What the gate's answer leads to, and approval by a person: what is overtaken is refused, what is forced on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtl_core.errors import GateRefused, InputError
from gtl_core.homes import Homes
from gtl_core.registry.admission import admit
from gtl_core.registry.approval import GATE_TAG, approve_version
from gtl_core.registry.gate import GateResult
from gtl_core.registry.history import entries
from gtl_core.registry.pairs import Pair, find_pair
from gtl_core.registry.promotion import promote, reject, rollback, unfreeze
from gtl_core.registry.rules import Rule
from gtl_core.registry.standing import aliases, problems
from gtl_core.registry.tracking import TrackingStore
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

CLASSIFIER, GENERATOR = "gtl-scans-classifier", "gtl-scans-generator"
GAIN = Rule("gain", True, 0.05, 0.0, "a gain of 0.05")


@pytest.fixture
def project(homes: Homes) -> Homes:
    """A project with a source and a target."""
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    return homes


def new_version(
    store: TrackingStore, homes: Homes, folder: Path, *, passed: bool = True, approval: str = "manual"
) -> tuple[Pair, str]:
    """Registers a version of both with the gate's answer, and says what it waits for."""
    folder.mkdir()
    (name, version), _ = register_version(store, homes, folder, scans_experiment(), kinds=("classifier", "generator"))
    rule = GAIN if passed else Rule("gain", False, -0.1, 0.0, "a gain of −0.1 where 0 is asked for")
    result = GateResult(passed, (rule.sentence,), (rule,), "balanced_accuracy", 0.0, 0.9, 0.85)
    store.client.set_model_version_tag(name, version, GATE_TAG, json.dumps(result.to_json()))
    pair = find_pair(store, name, version)
    return pair, admit(store, pair, result, aliases(store, name).get("champion"), approval)  # type: ignore[arg-type]


def approved(store: TrackingStore, homes: Homes, version: str, *, force: bool = False) -> None:
    approve_version(homes, store, CLASSIFIER, version, by="Ada", reason="looks right", force=force)


def actions(store: TrackingStore) -> list[str]:
    return [entry.action for entry in entries(store, CLASSIFIER)]


def test_the_first_version_needs_nobodys_word_and_the_next_waits_for_it(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    _, first = new_version(store, project, tmp_path / "1")
    pair, second = new_version(store, project, tmp_path / "2")
    assert first == ""
    assert second == f"it waits for approval: gtl promote {CLASSIFIER} 2 --by NAME --reason TEXT"
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "1", "challenger": "2"}
    approved(store, project, "2")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "2"}
    *_, approval, promotion = entries(store, CLASSIFIER)
    assert (approval.action, approval.by, approval.reason, approval.version) == ("approved", "Ada", "looks right", "2")
    assert (promotion.action, promotion.previous, promotion.version) == ("promoted", "1", "2")
    assert (promotion.run, promotion.forced) == (pair.run, False)
    assert problems(store, CLASSIFIER, {}) == problems(store, GENERATOR, {}) == []
    with pytest.raises(InputError, match="is the champion already"):
        approved(store, project, "2")


def test_a_refused_version_leaves_the_waiting_challenger_alone_and_the_entry_names_the_rule(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1")
    new_version(store, project, tmp_path / "2")
    assert new_version(store, project, tmp_path / "3", passed=False)[1] == ""
    assert aliases(store, CLASSIFIER) == {"champion": "1", "challenger": "2"}
    last = entries(store, CLASSIFIER)[-1]
    assert (last.action, last.version, last.details["rules"]) == ("refused", "3", ["gain"])
    assert last.reason == "a gain of −0.1 where 0 is asked for"


def test_what_the_gate_refused_is_promoted_only_by_force_and_that_is_on_record(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1")
    new_version(store, project, tmp_path / "2", passed=False)
    with pytest.raises(GateRefused, match=r"version 2 is not promoted: the gate refused it: a gain of −0\.1"):
        approved(store, project, "2")
    assert aliases(store, CLASSIFIER) == {"champion": "1"}
    assert (entries(store, CLASSIFIER)[-1].action, entries(store, CLASSIFIER)[-1].by) == ("refused", "Ada")
    approved(store, project, "2", force=True)
    *_, approval, promotion = entries(store, CLASSIFIER)
    assert approval.forced
    assert promotion.forced
    assert approval.details["overruled"] == ["the gate refused it: a gain of −0.1 where 0 is asked for"]
    assert aliases(store, CLASSIFIER) == {"champion": "2"}


def test_a_version_whose_champion_has_changed_since_it_was_judged_is_overtaken(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1")
    second, _ = new_version(store, project, tmp_path / "2")
    new_version(store, project, tmp_path / "3")
    with pytest.raises(GateRefused, match="version 3 is a newer challenger"):
        approved(store, project, "2")
    promote(store, second, expected="1", by="Bob", reason="mine")
    with pytest.raises(GateRefused, match="version 2 is now, and it was judged against version 1"):
        approved(store, project, "3")
    rollback(store, CLASSIFIER, None, by="Ada", reason="blurred")
    approved(store, project, "3")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "3"}


def test_a_version_whose_data_are_not_todays_is_refused_and_says_which(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1")
    new_version(store, project, tmp_path / "2")
    write_scans(project, "more", seed=3, per_patient=6)
    (project.data / "new").rename(tmp_path / "before")
    (project.data / "more").rename(project.data / "new")
    with pytest.raises(GateRefused, match="the data set new has changed since: run the experiment again"):
        approved(store, project, "2")
    (project.data / "new").rename(tmp_path / "after")
    with pytest.raises(GateRefused, match="data set new is not there any more"):
        approved(store, project, "2")
    (tmp_path / "before").rename(project.data / "new")
    approved(store, project, "2")


def test_a_version_that_somebody_rejected_is_promoted_only_by_force(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1")
    second, _ = new_version(store, project, tmp_path / "2")
    reject(store, second, by="Bob", reason="blurred")
    with pytest.raises(GateRefused, match=r"Bob rejected it at .*: blurred"):
        approved(store, project, "2")
    approved(store, project, "2", force=True)
    assert aliases(store, CLASSIFIER) == {"champion": "2"}


def test_after_a_rollback_what_passes_waits_until_somebody_thaws(store: TrackingStore, project: Homes, tmp_path: Path):
    for number in ("1", "2"):
        assert new_version(store, project, tmp_path / number, approval="automatic")[1] == ""
    rollback(store, CLASSIFIER, None, by="Ada", reason="wrong on lot 7")
    waits = new_version(store, project, tmp_path / "3", approval="automatic")[1]
    assert waits.startswith(f"it waits as challenger, because Ada rolled {CLASSIFIER} back at ")
    assert "(wrong on lot 7)" in waits
    assert aliases(store, CLASSIFIER) == {"champion": "1", "challenger": "3"}
    unfreeze(store, CLASSIFIER, by="Ada", reason="mended")
    assert aliases(store, CLASSIFIER) == {"champion": "1", "challenger": "3"}
    assert new_version(store, project, tmp_path / "4", approval="automatic")[1] == ""
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "4"}
    assert problems(store, CLASSIFIER, {}) == problems(store, GENERATOR, {}) == []


def test_a_champion_that_changed_while_the_gate_was_judging_keeps_its_place(
    store: TrackingStore, project: Homes, tmp_path: Path
):
    new_version(store, project, tmp_path / "1", approval="automatic")
    second, _ = new_version(store, project, tmp_path / "2")
    third, _ = new_version(store, project, tmp_path / "3")
    promote(store, second, expected="1", by="Bob", reason="mine")
    result = GateResult(True, (GAIN.sentence,), (GAIN,), "balanced_accuracy", 0.0, 0.9, 0.85)
    waits = admit(store, third, result, "1", "automatic")
    assert "in the meantime version 2 became champion (promoted by Bob" in waits
    assert aliases(store, CLASSIFIER) == {"champion": "2", "challenger": "3"}


def test_who_and_why_are_asked_for_and_files_must_be_there(store: TrackingStore, project: Homes, tmp_path: Path):
    new_version(store, project, tmp_path / "1")
    new_version(store, project, tmp_path / "2")
    before = actions(store)
    for by, reason, said in (
        (" ", "why", "say with --by"),
        ("Ada", "\n", "say with --reason"),
        ("A" * 201, "x", "200"),
        ("\x1b[31m", "x", "control"),
    ):
        with pytest.raises(InputError, match=said):
            approve_version(project, store, CLASSIFIER, "2", by=by, reason=reason, force=True)
    with pytest.raises(InputError, match="has no version '7'"):
        approved(store, project, "7")
    (store.model_folder(GENERATOR, "2", tmp_path) / "MLmodel").unlink()
    with pytest.raises(InputError, match=f"{GENERATOR} version 2: its files are gone from the store"):
        approved(store, project, "2", force=True)
    assert actions(store) == before
