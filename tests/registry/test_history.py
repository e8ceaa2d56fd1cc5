"""The history of a model: a chain in the store, whatever is done to which is found."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.registry.history import (
    HEAD,
    PREFIX,
    REASON_LIMIT,
    Entry,
    append,
    confirm,
    entries,
    models,
    verify,
)
from gtl_core.registry.standing import problems
from gtl_core.registry.tracking import TrackingStore

MODEL = "gtl-bare-classifier"


@pytest.fixture
def kept(store: TrackingStore) -> list[Entry]:
    """A history of five entries, in a real store."""
    store.client.create_registered_model(MODEL)
    for number in range(1, 6):
        confirm(store, append(store, MODEL, action="refused", by="gate", reason=f"reason {number}", version="1"))
    return entries(store, MODEL)


def key(number: int) -> str:
    return f"{PREFIX}{number:06}"


def chain(length: int) -> list[Entry]:
    """A history that was never in a store."""
    made: list[Entry] = []
    for number in range(1, length + 1):
        before = made[-1].hash if made else ""
        draft = Entry(
            number, "2026-03-01T00:00:00+00:00", MODEL, "promoted", "champion", str(number), None, "Ada", "better",
            details={"score": 0.5}, before=before,
        )  # fmt: skip
        made.append(replace(draft, hash=draft.expected_hash()))
    return made


def test_entries_come_back_as_they_were_written_in_order_and_verify(store: TrackingStore, kept: list[Entry]):
    assert [entry.number for entry in kept] == [1, 2, 3, 4, 5]
    assert [entry.reason for entry in kept] == [f"reason {number}" for number in range(1, 6)]
    assert [entry.before for entry in kept] == ["", *[entry.hash for entry in kept[:-1]]]
    assert problems(store, MODEL, {}) == []
    assert problems(store, MODEL, {entry.number: entry.hash for entry in kept}) == []


def test_a_model_that_gtl_did_not_register_has_no_history(store: TrackingStore, kept: list[Entry]):
    store.client.create_registered_model("other", tags={"owner": "somebody"})
    assert entries(store, "other") == []
    assert problems(store, "other", {}) == []
    assert models(store) == [MODEL]


def test_a_model_that_does_not_exist_is_told_in_one_line(store: TrackingStore):
    with pytest.raises(InputError, match="no registered model 'nothing'; gtl models"):
        entries(store, "nothing")


@pytest.mark.parametrize("number", [1, 3, 5])
def test_an_entry_that_was_changed_is_named(store: TrackingStore, kept: list[Entry], number: int):
    value = json.loads(store.client.get_registered_model(MODEL).tags[key(number)])
    store.client.set_registered_model_tag(MODEL, key(number), json.dumps({**value, "by": "Eve"}))
    assert f"entry {number} was changed after it had been written" in problems(store, MODEL, {})


def test_an_entry_that_was_changed_with_its_hash_does_not_fit_the_next_one(store: TrackingStore, kept: list[Entry]):
    forged = replace(kept[1], by="Eve", hash="")
    forged = replace(forged, hash=forged.expected_hash())
    store.client.set_registered_model_tag(MODEL, key(2), json.dumps(asdict(forged)))
    assert problems(store, MODEL, {}) == ["entry 3 does not follow from the entry before it: one of them was changed"]


def test_an_entry_that_was_removed_is_named(store: TrackingStore, kept: list[Entry]):
    store.client.delete_registered_model_tag(MODEL, key(2))
    store.client.delete_registered_model_tag(MODEL, key(3))
    assert problems(store, MODEL, {}) == ["entries 2 to 3 are missing or cannot be read"]


@pytest.mark.parametrize("spoilt", ["{", "[]", '{"number": 4}', "null", "details", "number"])
def test_an_entry_that_cannot_be_read_is_named(store: TrackingStore, kept: list[Entry], spoilt: str):
    text = json.dumps({**kept[3].to_json(), spoilt: "?"}) if spoilt.isalpha() and spoilt != "null" else spoilt
    store.client.set_registered_model_tag(MODEL, key(4), text)
    assert problems(store, MODEL, {}) == ["entry 4 is missing or cannot be read"]


def test_a_tail_that_was_cut_off_is_found_by_the_head(store: TrackingStore, kept: list[Entry]):
    store.client.delete_registered_model_tag(MODEL, key(5))
    assert problems(store, MODEL, {}) == ["entry 5 is missing or cannot be read: the end of the history was cut off"]
    append(store, MODEL, action="refused", by="gate", reason="the next")
    assert "entry 5 is missing or cannot be read" in problems(store, MODEL, {})


def test_a_tail_that_was_cut_off_with_the_head_is_found_by_what_was_noted_elsewhere(
    store: TrackingStore, kept: list[Entry]
):
    store.client.delete_registered_model_tag(MODEL, key(5))
    store.client.set_registered_model_tag(MODEL, HEAD, json.dumps({"number": 4, "hash": kept[3].hash}))
    assert problems(store, MODEL, {}) == []
    assert problems(store, MODEL, {5: kept[4].hash}) == [
        "entry 5 is missing or cannot be read: the end of the history was cut off"
    ]
    append(store, MODEL, action="refused", by="gate", reason="instead")
    assert problems(store, MODEL, {5: kept[4].hash}) == [
        "entry 5 is not the one whose hash was noted when it was written"
    ]


def test_a_history_without_its_head_is_found(store: TrackingStore, kept: list[Entry]):
    store.client.delete_registered_model_tag(MODEL, HEAD)
    assert problems(store, MODEL, {}) == ["the history's head says 0 where entry 5 is the newest: it was changed"]


def test_an_alias_that_the_history_does_not_explain_is_named(store: TrackingStore, kept: list[Entry], homes: Homes):
    version = store.client.create_model_version(MODEL, homes.root.as_uri())
    store.client.set_registered_model_alias(MODEL, "champion", str(version.version))
    assert problems(store, MODEL, {}) == ["champion stands for version 1, and the history leaves it at no version"]


def test_a_reason_as_long_as_a_book_is_cut_and_the_entry_fits(store: TrackingStore):
    store.client.create_registered_model(MODEL)
    append(store, MODEL, action="refused", by="gate", reason="ж" * 10_000)
    (entry,) = entries(store, MODEL)
    assert len(entry.reason) == REASON_LIMIT
    assert entry.reason.endswith("…")
    assert verify([entry]) == []


CHANGES = st.sampled_from(
    [
        ("by", "Eve"), ("reason", "because"), ("at", "2026-04-01T00:00:00+00:00"), ("version", None), ("previous", "7"),
        ("alias", None), ("action", "rejected"), ("run", "another"), ("verdict", "harms"), ("forced", True),
        ("details", {"score": 0.6}), ("before", "0" * 64), ("hash", "0" * 64), ("number", 77), ("model", "another"),
    ]
)  # fmt: skip


@given(length=st.integers(1, 12), data=st.data(), change=CHANGES)
def test_no_change_of_any_field_of_any_entry_goes_unseen(length: int, data: Any, change: tuple[str, Any]):
    history = chain(length)
    assert verify(history) == []
    place = data.draw(st.integers(0, length - 1))
    history[place] = replace(history[place], **dict([change]))
    assert verify(history)


@given(length=st.integers(2, 12), data=st.data())
def test_no_removal_and_no_exchange_goes_unseen(length: int, data: Any):
    history = chain(length)
    noted = {history[-1].number: history[-1].hash}
    place = data.draw(st.integers(0, length - 1))
    assert verify([*history[:place], *history[place + 1 :]], noted)
    other = data.draw(st.integers(0, length - 1).filter(lambda index: index != place))
    history[place], history[other] = history[other], history[place]
    assert verify(history, noted)
