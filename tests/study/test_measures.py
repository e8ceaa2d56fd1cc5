"""What benchmarks record beside the study stands in its report, topic by topic."""

from __future__ import annotations

from pathlib import Path

from benchmarks import measures
from benchmarks.measures import Measure

COMPLETION = Measure("PSNR in the hole above the mean's", 4.25, 3.9, 4.6, "dB", 64, "at least 3 dB")
COUNT = Measure("stored pictures", 1200, None, None, "images", 1200)


def test_a_recorded_number_stands_in_the_report_with_its_interval_its_goal_and_its_command(tmp_path: Path) -> None:
    about = {"protocol": "Held-out digits.", "command": "python -m benchmarks.restoration", "today": "2026-11-21"}
    measures.record("image completion", [COMPLETION, COUNT], **about, folder=tmp_path)
    page = measures.section(measures.load(tmp_path))
    assert "### Image completion" in page
    assert "`python -m benchmarks.restoration`, 2026-11-21" in page
    assert "| PSNR in the hole above the mean's | 4.25 dB | 3.9 to 4.6 | 64 | at least 3 dB |" in page
    assert "| stored pictures | 1,200 images | – | 1,200 | – |" in page


def test_a_topic_that_is_measured_again_replaces_its_own_numbers_and_leaves_the_others(tmp_path: Path) -> None:
    for topic, value in (("one", COMPLETION), ("two", COUNT), ("one", COUNT)):
        measures.record(topic, [value], protocol="", command="", folder=tmp_path)
    kept = measures.load(tmp_path)
    assert {topic: entry["measures"][0]["unit"] for topic, entry in kept.items()} == {"one": "images", "two": "images"}


def test_nothing_recorded_adds_nothing_to_the_report(tmp_path: Path) -> None:
    assert measures.section(measures.load(tmp_path)) == ""
