"""`gtl promote`, `reject`, `rollback`, `unfreeze` and `history`, and the witness that Dagster bears to them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gtl_core.homes import Homes
from gtl_core.registry.approval import GATE_TAG
from gtl_core.registry.history import HEAD, PREFIX, entries
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote
from gtl_core.registry.standing import aliases
from gtl_core.registry.tracking import TrackingStore, open_store
from pipelines.cli.main import invoke
from pipelines.promotions import noted
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

CLASSIFIER, GENERATOR = "gtl-scans-classifier", "gtl-scans-generator"
WHO = ["--by", "Ada", "--reason", "looks right"]


@pytest.fixture
def store(homes: Homes, empty_store: Path, tmp_path: Path) -> TrackingStore:
    """A project whose model has a champion, version 1, and a challenger, version 2."""
    homes.mlruns.mkdir()
    shutil.copy(empty_store, homes.mlruns / "mlflow.db")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=homes.root, check=True)
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    opened = open_store(homes)
    for number, against in (("1", None), ("2", "1")):
        (tmp_path / number).mkdir()
        register_version(opened, homes, tmp_path / number, scans_experiment(), kinds=("classifier", "generator"))
        opened.client.set_model_version_tag(CLASSIFIER, number, GATE_TAG, '{"passed": true, "reasons": []}')
        pair = find_pair(opened, CLASSIFIER, number)
        nominate(opened, pair, reason="a gain of 0.05", details={"against": against})
        if against is None:
            promote(opened, pair, expected=None, by="gate", reason="a gain of 0.05")
    return opened


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code and both outputs of a command."""
    capsys.readouterr()
    code = invoke(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json")[1])


def test_promotion_rollback_and_history_from_the_terminal(
    store: TrackingStore, homes: Homes, capsys: pytest.CaptureFixture[str]
):
    code, out, _ = said(capsys, "promote", CLASSIFIER, "2", *WHO)
    assert (code, out) == (0, f"{CLASSIFIER}: promoted, champion from 1 to 2, by Ada: looks right\n")
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "2"}
    entry = printed(capsys, "rollback", CLASSIFIER, "--by", "Bob", "--reason", "wrong on lot 7")
    assert (entry["action"], entry["previous"], entry["version"]) == ("rolled_back", "2", "1")
    code, out, err = said(capsys, "rollback", CLASSIFIER, *WHO)
    assert (code, out) == (2, "")
    assert err == (
        f"gtl: {CLASSIFIER} has nothing to go back to: version 1 is the only champion that its history knows\n"
    )
    code, out, _ = said(capsys, "history", CLASSIFIER, "--verify")
    assert code == 0
    for line in ("rolled back  champion 2 → 1", "frozen: nothing is promoted", "verified: 6 entries"):
        assert line in out
    assert said(capsys, "unfreeze", CLASSIFIER, *WHO)[0] == 0
    value = printed(capsys, "history", CLASSIFIER, "--verify")
    assert (value["model"], value["frozen"], value["problems"]) == (CLASSIFIER, False, [])
    assert [entry["action"] for entry in value["entries"]] == [
        *("registered", "promoted", "registered", "approved", "promoted", "rolled_back", "unfrozen")
    ]
    for model in (CLASSIFIER, GENERATOR):
        assert noted(homes, model) == {entry.number: entry.hash for entry in entries(store, model)}


def test_a_challenger_is_rejected_and_then_refused(store: TrackingStore, capsys: pytest.CaptureFixture[str]):
    code, out, _ = said(capsys, "reject", CLASSIFIER, "2", "--by", "Bob", "--reason", "blurred")
    assert (code, out) == (0, f"{CLASSIFIER}: rejected, challenger from 2 to none, by Bob: blurred\n")
    code, out, err = said(capsys, "promote", CLASSIFIER, "2", *WHO)
    assert (code, out) == (4, "")
    assert err.startswith(f"gtl: {CLASSIFIER} version 2 is not promoted: Bob rejected it at ")
    assert err.endswith(": blurred; --force overrules, on record\n")
    assert printed(capsys, "promote", CLASSIFIER, "2", *WHO, "--force")["forced"] is True


MISTAKES = [
    (["promote", CLASSIFIER, "9", *WHO], f"{CLASSIFIER} has no version '9'; it has 1, 2"),
    (["promote", GENERATOR, "2", *WHO], f"{GENERATOR} version 2 follows its classifier: name {CLASSIFIER} version 2"),
    (["promote", CLASSIFIER, "2", "--by", "", "--reason", "x"], "nobody is named: say with --by who decides"),
    (["promote", CLASSIFIER, "2", "--reason", "x"], "Missing option '--by'. (see gtl promote --help)"),
    (["reject", CLASSIFIER, "1", *WHO], f"{CLASSIFIER} version 1 is not waiting as challenger, version 2 is"),
    (["rollback", CLASSIFIER, "--to", "2", *WHO], f"{CLASSIFIER} version 2 was never champion, no other version was"),
    (["rollback", "gtl-scan-classifier", *WHO], "no registered model 'gtl-scan-classifier'; gtl models lists them"),
    (["rollback", GENERATOR, *WHO], f"{GENERATOR} follows its classifier: name {CLASSIFIER}"),
    (["unfreeze", CLASSIFIER, *WHO], f"{CLASSIFIER} is not frozen: no rollback stops its automatic promotion"),
    (["unfreeze", GENERATOR, *WHO], f"{GENERATOR} follows its classifier: name {CLASSIFIER}"),
    (["history", "nothing"], "no registered model 'nothing'; gtl models lists them"),
]


def test_what_cannot_be_done_is_told_in_one_line_and_changes_nothing(
    store: TrackingStore, capsys: pytest.CaptureFixture[str]
):
    before = entries(store, CLASSIFIER)
    for arguments, line in MISTAKES:
        code, out, err = said(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert err.startswith(f"gtl: {line}")
        assert err.count("\n") == 1
    assert entries(store, CLASSIFIER) == before


def test_a_project_without_models_says_so_and_makes_no_store(homes: Homes, capsys: pytest.CaptureFixture[str]):
    for arguments in (["history", CLASSIFIER], ["rollback", CLASSIFIER, *WHO], ["promote", CLASSIFIER, "1", *WHO]):
        code, _, err = said(capsys, *arguments)
        assert (code, err) == (2, "gtl: no models yet; gtl demo or gtl run EXPERIMENT registers some\n")
    assert not homes.mlruns.exists()


def test_verification_ends_with_3_and_names_what_was_done_to_the_history(
    store: TrackingStore, capsys: pytest.CaptureFixture[str]
):
    assert said(capsys, "promote", CLASSIFIER, "2", *WHO)[0] == 0
    known = entries(store, CLASSIFIER)
    # Whoever cuts off the end with the head, and puts the alias back, cannot take back what Dagster was told.
    for entry in known[-2:]:
        store.client.delete_registered_model_tag(CLASSIFIER, f"{PREFIX}{entry.number:06}")
    kept = known[-3]
    store.client.set_registered_model_tag(CLASSIFIER, HEAD, json.dumps({"number": kept.number, "hash": kept.hash}))
    store.client.set_registered_model_alias(CLASSIFIER, "champion", "1")
    store.client.set_registered_model_alias(CLASSIFIER, "challenger", "2")
    code, out, err = said(capsys, "history", CLASSIFIER, "--verify")
    assert code == 3
    assert "registered" in out
    assert err == (
        f"gtl: the history of {CLASSIFIER} is not as it was written: "
        "entries 4 to 5 are missing or cannot be read: the end of the history was cut off\n"
    )
    store.client.set_registered_model_alias(CLASSIFIER, "champion", "2")
    assert len(printed(capsys, "history", CLASSIFIER, "--verify")["problems"]) == 2
