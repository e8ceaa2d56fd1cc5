"""`gtl report` and `gtl compare` over stages that are there, without training anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from report_run import Run, finished_run

from gtl_core.config import load_experiment
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes
from pipelines.cli.main import invoke
from pipelines.report import find_report
from pipelines.stages import Chain
from tests.cli.conftest import Gtl

STAGES = {
    "evaluation": "evaluation",
    "synthetic_quality": "quality",
    "domain_gap": "gap",
    "data_validation": "validation",
    "draws": "draws",
}


def keep(run: Run, homes: Homes, name: str, change: Callable[[dict[str, Any]], None] = lambda verdict: None) -> Chain:
    """Puts a run where the chain of an experiment of that name looks for it."""
    for dataset in ("catalogue", "camera"):
        if not (homes.data / dataset).exists():
            shutil.copytree(run.folders["target"], homes.data / dataset)
    homes.experiments.mkdir(exist_ok=True)
    settings = run.experiment.model_dump(mode="json", exclude_none=True) | {"name": name}
    (homes.experiments / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    chain = Chain(load_experiment(homes.experiments / f"{name}.yaml"), homes)
    for stage, part in STAGES.items():

        def make(folder: Path, part: Any = part) -> None:
            shutil.copytree(run.folders[part], folder, dirs_exist_ok=True)
            if part == "evaluation":
                verdict = read_json(folder / "verdict.json")
                change(verdict)
                write_json(folder / "verdict.json", verdict)

        chain.store.build(stage, chain._keys[stage], make)
    return chain


@pytest.fixture
def told(homes: Homes, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command in this process, and gives what it printed."""

    def call(*arguments: str) -> str:
        capsys.readouterr()
        assert invoke(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return call


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "run")


def test_a_report_is_made_from_what_is_there_and_found_again(run: Run, homes: Homes, gtl: Gtl) -> None:
    chain = keep(run, homes, "parts")
    told = gtl("report", "parts")
    assert told.returncode == 0, told.stderr
    stage = find_report(chain)
    assert stage
    assert told.stdout.strip() == f"report: {stage.path / 'report.html'}"
    assert "missing, With more or fewer labels" in told.stderr
    written = (stage.path / "report.html").stat().st_mtime_ns
    assert gtl("report", "parts").returncode == 0
    assert (stage.path / "report.html").stat().st_mtime_ns == written


def test_a_study_of_label_counts_makes_a_new_report_with_the_curve(
    run: Run, homes: Homes, told: Callable[..., str]
) -> None:
    chain = keep(run, homes, "parts")
    before = json.loads(told("report", "parts", "--json"))
    shutil.copytree(run.folders["budgets"], homes.artifacts / "parts" / "budgets")
    after = json.loads(told("report", "parts", "--json"))
    assert set(before["missing"]) - set(after["missing"]) == {"With more or fewer labels"}
    assert before["report"] != after["report"]
    assert len(list((homes.artifacts / "parts" / "report").glob("[!.]*"))) == 2
    assert find_report(chain)


def test_a_report_is_put_where_it_is_asked_for(
    run: Run, homes: Homes, told: Callable[..., str], tmp_path: Path
) -> None:
    keep(run, homes, "parts")
    page = tmp_path / "for-the-board.html"
    assert told("report", "parts", "--out", str(page)).strip() == f"report: {page}"
    assert page.read_text().startswith("<!doctype html>")
    assert read_json(page.with_suffix(".json"))["experiment"]["name"] == "parts"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("report", "partz"), "did you mean parts?"),
        (("report", "fresh"), "gtl run fresh"),
        (("report", "parts", "--out", "."), "is a folder"),
        (("report", "parts", "--out", "report.pdf"), "ends in .html"),
        (("compare", "parts"), "takes 2 to 6 runs"),
        (("compare", "parts", "parts"), "named twice"),
        (("compare", "parts", "parts@zzz"), "no reports of parts with a key zzz"),
        (("compare", "parts", "fresh"), "gtl run fresh"),
        (("compare", "parts", "../parts@a"), "no reports of parts with a key a"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(
    run: Run, homes: Homes, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    keep(run, homes, "parts")
    settings = run.experiment.model_dump(mode="json", exclude_none=True) | {"name": "fresh"}
    (homes.experiments / "fresh.yaml").write_text(yaml.safe_dump(settings))
    assert invoke(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert expected in lines[0]


def test_runs_stand_side_by_side_with_what_differs(run: Run, homes: Homes, told: Callable[..., str]) -> None:
    keep(run, homes, "parts")
    worse = finished_run(run.folders["target"].parents[2] / "worse")
    worse.experiment = worse.experiment.model_copy(
        update={"target": worse.experiment.target.model_copy(update={"labelled_per_class": 3})}
    )
    keep(worse, homes, "fewer", lambda verdict: verdict.update(label="harms", difference=-0.02, low=-0.03, high=-0.01))
    summary = json.loads(told("compare", "parts", "fewer", "--json"))
    assert summary["verdicts"] == {
        "parts": "The GAN helps: +2.1 points, 95 % interval +0.9 to +3.2",
        "fewer": "The GAN harms: −2.0 points, 95 % interval −3.0 to −1.0",
    }
    assert summary["caution"] == ""
    numbers = read_json(Path(summary["numbers"]))
    differs = numbers["sections"]["differences"]["numbers"]
    assert differs == {"name": ["parts", "fewer"], "target.labelled_per_class": ["5", "3"]}
    assert "The GAN" not in Path(summary["comparison"]).read_text().split("<main")[0]


def test_runs_with_other_test_images_are_not_compared_by_their_scores(
    run: Run, homes: Homes, told: Callable[..., str]
) -> None:
    keep(run, homes, "parts")
    keep(run, homes, "others", lambda verdict: verdict.update(test_images=500))
    assert "not all scored on the same test images" in told("compare", "parts", "others")


def test_an_earlier_report_is_named_by_its_key(run: Run, homes: Homes, told: Callable[..., str]) -> None:
    keep(run, homes, "parts")
    earlier = Path(json.loads(told("report", "parts", "--json"))["report"]).parent.name
    shutil.copytree(run.folders["budgets"], homes.artifacts / "parts" / "budgets")
    summary = json.loads(told("compare", f"parts@{earlier[:6]}", "parts", "--json"))
    assert list(summary["verdicts"]) == [f"parts@{earlier[:6]}", "parts"]
