"""Who holds which alias: promotion, refusal, rollback, moves from outside, and what a killed process leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gtl_core.errors import GateRefused, InputError
from gtl_core.homes import Homes
from gtl_core.registry.history import Entry, entries
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote, refuse, reject, rollback, settle, unfreeze
from gtl_core.registry.standing import aliases, current_alias, problems, standing
from gtl_core.registry.tracking import TrackingStore
from tests.registry.bare_versions import CLASSIFIER, GENERATOR, register_pair

WHO = {"by": "Ada", "reason": "looks right"}


def champion(store: TrackingStore, folder: Path, run: str) -> Entry:
    """A new version of both that passes the gate and becomes champion."""
    pair = register_pair(store, folder, run)
    expected = aliases(store, CLASSIFIER).get("champion")
    nominate(store, pair, reason="new", details={"against": expected})
    return promote(store, pair, expected=expected, by="gate", reason="better")


def told(store: TrackingStore, model: str = CLASSIFIER) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(entry.action, entry.alias, entry.previous, entry.version) for entry in entries(store, model)]


def whole(store: TrackingStore) -> bool:
    """Whether both histories verify and explain every alias, and the generator stands where its classifier does."""
    same = aliases(store, CLASSIFIER) == aliases(store, GENERATOR)
    return same and not problems(store, CLASSIFIER, {}) and not problems(store, GENERATOR, {})


def test_a_promoted_version_is_no_challenger_any_more_and_its_generator_follows(
    store: TrackingStore, homes: Homes, tmp_path: Path
):
    pair = register_pair(store, tmp_path, "run-1")
    nominate(store, pair, reason="new", details={})
    assert current_alias(homes, CLASSIFIER, "1") == current_alias(homes, GENERATOR, "1") == "challenger"
    promote(store, pair, expected=None, by="gate", reason="better")
    champion(store, tmp_path, "run-2")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "2"}
    assert current_alias(homes, CLASSIFIER, "1") is None
    assert told(store) == told(store, GENERATOR)
    assert told(store) == [
        ("registered", "challenger", None, "1"),
        ("promoted", "champion", None, "1"),
        ("registered", "challenger", None, "2"),
        ("promoted", "champion", "1", "2"),
    ]
    last = entries(store, CLASSIFIER)[-1]
    assert (last.run, last.verdict, last.by, last.reason, last.forced) == ("run-2", "helps", "gate", "better", False)
    assert whole(store)


def test_a_refused_version_holds_no_alias_and_the_waiting_challenger_stays(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    nominate(store, register_pair(store, tmp_path, "run-2"), reason="new", details={})
    refuse(store, register_pair(store, tmp_path, "run-3"), by="gate", reason="too small a gain", details={})
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "1", "challenger": "2"}
    assert told(store)[-1] == ("refused", None, None, "3")
    assert entries(store, CLASSIFIER)[-1].reason == "too small a gain"
    assert whole(store)


def test_a_promotion_against_a_champion_that_is_none_any_more_is_told_who_won(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    second, third = (register_pair(store, tmp_path, run) for run in ("run-2", "run-3"))
    promote(store, second, expected="1", **WHO)
    with pytest.raises(GateRefused, match=r"version 2 became champion \(promoted by Ada at .*: looks right\)"):
        promote(store, third, expected="1", by="Bob", reason="me too")
    assert aliases(store, CLASSIFIER)["champion"] == "2"
    assert whole(store)


def test_pairs_that_one_run_registered_twice_are_told_apart(store: TrackingStore, tmp_path: Path):
    register_pair(store, tmp_path / "first", "run")
    register_pair(store, tmp_path / "second", "run")
    assert find_pair(store, CLASSIFIER, "1").generator == (GENERATOR, "1")
    assert find_pair(store, CLASSIFIER, "01").version == "1"
    assert find_pair(store, CLASSIFIER, "2").generator == (GENERATOR, "2")


def test_decisions_are_about_classifiers(store: TrackingStore, tmp_path: Path):
    register_pair(store, tmp_path, "run")
    with pytest.raises(InputError, match=f"follows its classifier: name {CLASSIFIER} version 1"):
        find_pair(store, GENERATOR, "1")
    with pytest.raises(InputError, match="has no version '9'; it has 1"):
        find_pair(store, CLASSIFIER, "9")
    with pytest.raises(InputError, match=f"did you mean {CLASSIFIER}"):
        find_pair(store, "gtl-bare-clasifier", "1")


def test_a_rejected_challenger_waits_no_longer(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    pair = register_pair(store, tmp_path, "run-2")
    nominate(store, pair, reason="new", details={})
    reject(store, pair, by="Ada", reason="blurred")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "1"}
    assert told(store)[-1] == ("rejected", "challenger", "2", None)
    with pytest.raises(InputError, match="version 2 is not waiting as challenger, no version is"):
        reject(store, pair, **WHO)
    assert whole(store)


def test_a_rollback_brings_the_champion_before_back_with_its_generator(store: TrackingStore, tmp_path: Path):
    for run in ("run-1", "run-2", "run-3"):
        champion(store, tmp_path, run)
    rollback(store, CLASSIFIER, None, by="Ada", reason="wrong on lot 7")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "2"}
    rollback(store, CLASSIFIER, None, **WHO)
    assert aliases(store, CLASSIFIER) == {"champion": "1"}
    with pytest.raises(InputError, match="nothing to go back to: version 1 is the only champion"):
        rollback(store, CLASSIFIER, None, **WHO)
    rollback(store, CLASSIFIER, "3", **WHO)
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "3"}
    rollback(store, CLASSIFIER, None, **WHO)
    assert aliases(store, CLASSIFIER) == {"champion": "1"}
    assert whole(store)


def test_a_rollback_goes_only_to_a_version_that_was_champion_and_is_there(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    champion(store, tmp_path, "run-2")
    register_pair(store, tmp_path, "run-3")
    with pytest.raises(InputError, match="version 3 was never champion, version 1 was"):
        rollback(store, CLASSIFIER, "3", **WHO)
    with pytest.raises(InputError, match="version 2 is the champion already"):
        rollback(store, CLASSIFIER, "2", **WHO)
    (tmp_path / "run-1" / GENERATOR / "MLmodel").unlink()
    with pytest.raises(InputError, match=f"{GENERATOR} version 1: its files are gone"):
        rollback(store, CLASSIFIER, None, **WHO)
    store.client.delete_model_version(CLASSIFIER, "1")
    with pytest.raises(InputError, match="has no version '1'; it has 2, 3"):
        rollback(store, CLASSIFIER, None, **WHO)
    assert aliases(store, CLASSIFIER) == {"champion": "2"}
    assert told(store)[-1] == ("promoted", "champion", "1", "2")


def test_a_rollback_freezes_until_somebody_thaws(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    with pytest.raises(InputError, match="not frozen"):
        unfreeze(store, CLASSIFIER, **WHO)
    champion(store, tmp_path, "run-2")
    entry = rollback(store, CLASSIFIER, None, **WHO)
    assert standing(entries(store, CLASSIFIER)).frozen == entry
    assert standing(entries(store, GENERATOR)).frozen
    unfreeze(store, CLASSIFIER, **WHO)
    assert standing(entries(store, CLASSIFIER)).frozen is None
    assert standing(entries(store, GENERATOR)).frozen is None
    assert whole(store)


def test_moves_outside_gtl_are_recorded_once_and_stand(store: TrackingStore, tmp_path: Path):
    champion(store, tmp_path, "run-1")
    champion(store, tmp_path, "run-2")
    store.client.set_registered_model_alias(CLASSIFIER, "champion", "1")
    store.client.set_registered_model_alias(CLASSIFIER, "challenger", "2")
    assert problems(store, CLASSIFIER, {})
    settle(store, CLASSIFIER)
    assert settle(store, CLASSIFIER) == []
    assert told(store)[-2:] == [
        ("moved_outside", "champion", "2", "1"),
        ("moved_outside", "challenger", None, "2"),
    ]
    assert entries(store, CLASSIFIER)[-1].by == "outside"
    assert aliases(store, CLASSIFIER) == {"champion": "1", "challenger": "2"}
    assert problems(store, CLASSIFIER, {}) == []
    store.client.delete_registered_model_alias(CLASSIFIER, "champion")
    rollback(store, CLASSIFIER, "2", **WHO)
    assert told(store)[-2:] == [("moved_outside", "champion", "1", None), ("rolled_back", "champion", None, "2")]


def test_a_champion_from_before_there_was_a_history_begins_it(store: TrackingStore, tmp_path: Path):
    first, second = (register_pair(store, tmp_path, run) for run in ("run-1", "run-2"))
    for model in (CLASSIFIER, GENERATOR):
        store.client.set_registered_model_alias(model, "champion", "1")
    nominate(store, second, reason="new", details={"against": "1"})
    promote(store, second, expected="1", **WHO)
    assert told(store)[0] == ("moved_outside", "champion", None, first.version)
    assert entries(store, CLASSIFIER)[0].reason == "champion stood here when this history began"
    rollback(store, CLASSIFIER, None, **WHO)
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "1"}
    assert whole(store)


def test_a_look_at_a_model_that_gtl_did_not_make_leaves_no_trace(store: TrackingStore, tmp_path: Path):
    register_pair(store, tmp_path, "run")
    store.client.set_registered_model_alias(CLASSIFIER, "champion", "1")
    assert settle(store, CLASSIFIER) == []
    with pytest.raises(InputError, match="nothing to go back to: version 1 is the only champion"):
        rollback(store, CLASSIFIER, None, **WHO)
    with pytest.raises(InputError, match="not frozen"):
        unfreeze(store, CLASSIFIER, **WHO)
    assert store.client.get_registered_model(CLASSIFIER).tags == {}


def run_script(homes: Homes, script: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process of its own in the project, with `store` open."""
    opened = (
        "import os, sys\n"
        "from gtl_core.homes import Homes\n"
        "from gtl_core.registry.pairs import find_pair\n"
        "from gtl_core.registry.promotion import promote\n"
        "from gtl_core.registry.tracking import open_store\n"
        "store = open_store(Homes.locate())\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", opened + script, *arguments],
        env=os.environ | homes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


PROMOTE = """
pair = find_pair(store, "gtl-bare-classifier", sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    promote(store, pair, expected="1", by=sys.argv[2], reason="mine is better")
    print("won")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_of_two_processes_that_promote_at_the_same_moment_one_wins_and_the_other_is_told(
    store: TrackingStore, homes: Homes, tmp_path: Path
):
    champion(store, tmp_path, "run-1")
    register_pair(store, tmp_path, "run-2")
    register_pair(store, tmp_path, "run-3")
    rivals = {"Ada": run_script(homes, PROMOTE, "2", "Ada"), "Bob": run_script(homes, PROMOTE, "3", "Bob")}
    for process in rivals.values():
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in rivals.values():
        assert process.stdin
        process.stdin.write("now\n")
        process.stdin.flush()
    said = {name: process.communicate(timeout=60)[0].strip() for name, process in rivals.items()}
    (winner,) = [name for name, text in said.items() if text == "won"]
    (told_off,) = [text for text in said.values() if text != "won"]
    won = {"Ada": "2", "Bob": "3"}[winner]
    assert told_off.startswith("GateRefused")
    assert f"version {won} became champion (promoted by {winner} at" in told_off
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": won}
    assert whole(store)


KILLED = """
write = store.client.set_registered_model_tag
def killing(*arguments):
    write(*arguments)
    os.kill(os.getpid(), 9)
store.client.set_registered_model_tag = killing
promote(store, find_pair(store, "gtl-bare-classifier", "2"), expected="1", by="Ada", reason="better")
"""


def test_a_promotion_that_was_killed_after_it_was_written_down_is_finished_by_the_next_call(
    store: TrackingStore, homes: Homes, tmp_path: Path
):
    champion(store, tmp_path, "run-1")
    nominate(store, register_pair(store, tmp_path, "run-2"), reason="new", details={})
    process = run_script(homes, KILLED)
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert aliases(store, CLASSIFIER) == {"champion": "1", "challenger": "2"}
    assert settle(store, CLASSIFIER) == []
    assert aliases(store, CLASSIFIER) == {"champion": "2"}
    assert told(store)[-1] == ("promoted", "champion", "1", "2")
    assert whole(store)


class Killed(BaseException):
    """Ends a decision as a signal would, at any of its writes."""


def test_a_decision_that_ends_at_any_of_its_writes_leaves_nothing_torn(
    store: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    champion(store, tmp_path, "run-1")
    writes = ("set_registered_model_tag", "set_registered_model_alias", "delete_registered_model_alias")
    whole_ways = 0
    for count in range(12):
        pair = register_pair(store, tmp_path, f"run-{count + 2}")
        nominate(store, pair, reason="new", details={})
        before = aliases(store, CLASSIFIER)
        left = [count]

        def limited(write: Callable[..., None], left: list[int]) -> Callable[..., None]:
            def call(*arguments: str) -> None:
                if not left[0]:
                    raise Killed
                left[0] -= 1
                write(*arguments)

            return call

        with monkeypatch.context() as patch:
            for name in writes:
                patch.setattr(store.client, name, limited(getattr(store.client, name), left))
            try:
                promote(store, pair, expected=before["champion"], **WHO)
                whole_ways += 1
            except Killed:
                pass
        settle(store, CLASSIFIER)
        assert whole(store), f"ended before write {count + 1}"
        # Written down means done; what was not written down has not begun.
        assert aliases(store, CLASSIFIER) == ({"champion": pair.version} if count else before)
    assert 0 < whole_ways < 12
