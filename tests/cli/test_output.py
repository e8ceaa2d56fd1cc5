"""What commands print."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cli.output import cell, show_json, show_table

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def _without_nonfinite(value):
    if isinstance(value, dict):
        return {key: _without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(value=values)
def test_json_output_reads_back_as_what_was_shown_with_null_for_what_is_no_number(value):
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        show_json(value)
    refused = json.loads(text.getvalue(), parse_constant=lambda word: f"JSON has no {word}")
    assert refused == _without_nonfinite(value)


def test_json_output_takes_paths_and_numpy_scalars(capsys):
    show_json({"path": Path("/a/b"), "count": np.int64(3), "score": np.float32(0.5), "rows": (1, 2)})
    assert json.loads(capsys.readouterr().out) == {"path": "/a/b", "count": 3, "score": 0.5, "rows": [1, 2]}


def test_a_table_outside_a_terminal_is_aligned_and_never_cut(capsys):
    long = "x" * 300
    show_table(["name", "images"], [["mnist", 60000], [long, 7]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(long)
    assert len({len(line) for line in lines}) == 1  # numbers stand to the right
    assert lines[1].split() == ["mnist", "60000"]


def test_an_empty_table_says_so(capsys):
    show_table(["name"], [], empty="no models yet")
    assert capsys.readouterr().out == "no models yet\n"


def test_cells_read_as_people_write():
    assert [cell(value) for value in (None, "", True, False, 0.12345, 3, ["a", "b"], [])] == [
        "-",
        "-",
        "yes",
        "no",
        "0.123",
        "3",
        "a, b",
        "-",
    ]
