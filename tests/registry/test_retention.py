"""`gtl gc`: what a model or a history needs stays with the same hash, the rest goes, and what was begun is finished."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtl_core.config import Experiment, load_experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.files import write_json, write_text
from gtl_core.homes import Homes
from gtl_core.registry.history import entries, verify
from gtl_core.registry.lineage import build_record, read_lineage, verify_lineage
from gtl_core.registry.packaging import log_package, package_classifier, package_generator
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote, reject, rollback
from gtl_core.registry.relocation import mend_moved
from gtl_core.registry.seen import write_seen
from gtl_core.registry.tracking import TrackingStore, open_store
from gtl_core.store import StageStore
from pipelines.busy import experiment_lock
from pipelines.cli.main import invoke
from pipelines.recording import DAGSTER_RUN
from pipelines.retention import collect_garbage
from pipelines.stages import Chain

ROOT = Path(__file__).resolve().parents[2]
CLASSIFIER, GENERATOR = "gtl-digits-classifier", "gtl-digits-generator"
RUNS = 5
YAML = """
name: digits
source: {dataset: turned}
target: {dataset: tiny-digits, labelled_per_class: 5}
image: {size: 16, channels: 1}
gan: {width: 8, latent: 16, steps: 4, batch: 16}
transfer: {strategies: [finetune]}
evaluation: {draws: 2}
promotion: {approval: manual}
"""


def key_of(run: int, *, shared: bool = False) -> str:
    """Key of a run's stages; two runs in a row share what they have learned from the source."""
    return f"{0x100 + run // 2 if shared else run:016x}"


def stages_of(run: int) -> dict[str, str]:
    """Names and keys of the stages of a run."""
    of_draws = [f"{kind}/finetune/draw-{draw}" for kind in ("transferred_gan", "synthetic_images") for draw in (0, 1)]
    names = ["data_validation", "draws", *of_draws, "evaluation", "registered_models", "report"]
    shared = {name: key_of(run, shared=True) for name in ("source_gan", "source_classifier")}
    return shared | {name: key_of(run) for name in names}


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    new_project: Callable[[Path], Homes],
    experiment: Experiment,
    tiny_digits: Path,
    gan: Path,
    synthetic: Path,
    evaluation: Path,
) -> Homes:
    """A project of some runs, each with its stages and a registered pair; no alias is set."""
    homes = new_project(tmp_path_factory.mktemp("kept") / "project")
    shutil.copy(ROOT / "dagster.yaml", homes.root)
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    target = ImageSet.load(homes.data / "tiny-digits")
    with ImageSetWriter(homes.data / "turned", classes=target.classes) as writer:
        for row in target.indices("train"):
            writer.add(255 - np.array(target.images[row]), label=int(target.labels[row]), source_file=str(row))
    write_text(homes.experiments / "digits.yaml", YAML)
    scratch = tmp_path_factory.mktemp("packages")
    example = np.zeros((1, 1, 16, 16), np.uint8)
    weights = evaluation / "best" / "classifier.safetensors"
    packages = package_classifier(weights, example, scratch / "classifier"), package_generator(gan, scratch / "gan")
    write_seen(
        scratch / "seen.parquet", target, target, make_draws(target, 5, 5, 0.3, 2, 0), 0, pool=False, transferred=True
    )

    def fill(run: int, name: str, mlflow_run: str, folder: Path) -> None:
        write_text(folder / "gan.safetensors", f"{name} {stages_of(run)[name]}")
        write_text(folder / "classifier.safetensors", f"{name} {stages_of(run)[name]}")
        if name.startswith("synthetic_images"):
            shutil.copytree(synthetic, folder, dirs_exist_ok=True)
        elif name == "registered_models":
            write_json(
                folder / "registration.json", {"mlflow_run_id": mlflow_run, "stages": list(stages_of(run).items())}
            )
        elif name == "report":
            facts = {"facts": {"MLflow run": mlflow_run}}
            write_json(folder / "report.json", {"sections": {"provenance": {"numbers": facts}}})

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = open_store(homes)
        stage_store = StageStore(homes.artifacts, "digits")
        for run in range(1, RUNS + 1):
            tags = {DAGSTER_RUN: f"dagster-{run}", "gtl.stage": "experiment"}
            mlflow_run = store.start_run("gtl-digits", "digits", tags=tags)
            made = {
                name: stage_store.build(name, key, partial(fill, run, name, mlflow_run)).path
                for name, key in stages_of(run).items()
            }
            child = store.start_run("gtl-digits", "evaluation", mlflow_run, {"gtl.stage": "evaluation"})
            store.log_params(child, {"stage_key": key_of(run)})
            for each in (child, mlflow_run):
                store.log_artifact(each, made["evaluation"] / "stage.json")
                store.finish(each)
            stages = ("source_gan", "source_classifier", "transferred_gan/finetune/draw-0", "evaluation")
            record = build_record(
                homes,
                experiment,
                mlflow_run_id=mlflow_run,
                dagster_run_id=f"dagster-{run}",
                data_version="0123456789abcdef0123456789abcdef.dir",
                datasets=[{"name": target.name, "role": "target", "version": target.version, "images": len(target)}],
                seen=scratch / "seen.parquet",
                documents={},
                checkpoints=[(name, made[name] / "gan.safetensors") for name in stages],
                synthetic=made["synthetic_images/finetune/draw-0"],
                verdict={"label": "inconclusive"},
                arms=[],
                best={"arm": "real"},
            )
            for package, name in zip(packages, (CLASSIFIER, GENERATOR), strict=True):
                log_package(
                    store,
                    mlflow_run,
                    package,
                    name=name,
                    lineage=record,
                    seen=scratch / "seen.parquet",
                    card="A card.",
                    tags={"gtl.experiment": "digits"},
                    description="",
                )
    return homes


def copied(template: Homes, root: Path) -> Homes:
    """A copy of that project to collect in."""
    shutil.copytree(template.root, root, symlinks=True)
    homes = Homes(
        **{name: Path(str(path).replace(str(template.root), str(root))) for name, path in vars(template).items()}
    )
    mend_moved(homes)
    return homes


@pytest.fixture
def homes(template: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """The same in the environment, so that commands find it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = copied(template, tmp_path / "copy")
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found


def be_champion(store: TrackingStore, *versions: int) -> None:
    """Makes versions champion, one after the other, as the gate does."""
    for version in versions:
        pair = find_pair(store, CLASSIFIER, str(version))
        expected = store.client.get_registered_model(CLASSIFIER).aliases.get("champion")
        nominate(store, pair, reason="better", details={})
        promote(store, pair, expected=None if expected is None else str(expected), by="gate", reason="better")


def states(homes: Homes, version: int) -> set[str]:
    """What `gtl lineage --verify` says of a pair."""
    pair = (f"{CLASSIFIER}/{version}", f"{GENERATOR}/{version}")
    return {check.state for name in pair for check in verify_lineage(homes, name)}


def weights_of(homes: Homes, version: int) -> list[Path]:
    """The weights of a registered pair that are there."""
    store = open_store(homes)
    folders = (store.model_folder(name, str(version), homes.root) for name in (CLASSIFIER, GENERATOR))
    return [path for folder in folders for path in folder.glob("artifacts/*.safetensors")]


def registration(homes: Homes) -> Path:
    """What the first run says that it has registered."""
    return StageStore(homes.artifacts, "digits").path("registered_models", key_of(1)) / "registration.json"


def collected(capfd: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What `gtl gc --json` says."""
    capfd.readouterr()
    assert invoke(["gc", "--json", *arguments]) == 0
    return json.loads(capfd.readouterr().out)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    champions=st.lists(st.integers(1, RUNS), unique=True, max_size=3),
    back=st.booleans(),
    waiting=st.integers(1, RUNS),
    rejected=st.booleans(),
    keep=st.integers(1, 3),
)
def test_everything_that_a_kept_version_names_is_there_with_the_same_hash(
    template: Homes, tmp_path_factory: pytest.TempPathFactory, champions, back, waiting, rejected, keep
):
    homes = copied(template, tmp_path_factory.mktemp("property") / "copy")
    store = open_store(homes)
    be_champion(store, *champions)
    if back and len(champions) > 1:
        rollback(store, CLASSIFIER, None, by="Ada", reason="worse in use")
    held = set(champions)
    if waiting not in held:
        nominate(store, find_pair(store, CLASSIFIER, str(waiting)), reason="better", details={})
        if rejected:
            reject(store, find_pair(store, CLASSIFIER, str(waiting)), by="Ada", reason="no")
        else:
            held.add(waiting)
    newest = set(range(RUNS + 1 - keep, RUNS + 1))
    before = entries(store, CLASSIFIER)
    found = collect_garbage(homes, keep, dry_run=False)
    assert {int(version.number) for version in found.kept} == held | newest
    for version in range(1, RUNS + 1):
        needed = version in held | newest
        assert states(homes, version) == {"same"} if needed else "missing" in states(homes, version)
        assert len(weights_of(homes, version)) == (2 if needed else 0)
    for version in newest:
        store_of_stages = StageStore(homes.artifacts, "digits")
        assert all(store_of_stages.find(*stage) for stage in stages_of(version).items())
    assert entries(store, CLASSIFIER) == before
    assert verify(before) == []
    assert collect_garbage(homes, keep, dry_run=False).removed.get("digits", []) == []


def test_a_collected_version_stays_on_record_and_says_that_it_was_collected(homes: Homes, capfd):
    be_champion(open_store(homes), RUNS)
    collected(capfd, "--keep", "1")
    assert read_lineage(homes, f"{CLASSIFIER}/1")["model"]["version"] == "1"
    assert invoke(["lineage", f"{CLASSIFIER}/1"]) == 0
    assert "collected" in capfd.readouterr().out
    assert invoke(["lineage", f"{CLASSIFIER}/1", "--verify"]) == 3
    assert invoke(["models"]) == 0
    assert invoke(["history", CLASSIFIER, "--verify"]) == 0


def test_a_collected_version_is_not_promoted(homes: Homes, capfd):
    store = open_store(homes)
    be_champion(store, RUNS)
    collected(capfd, "--keep", "1")
    with pytest.raises(InputError, match="collected"):
        promote(store, find_pair(store, CLASSIFIER, "1"), expected=str(RUNS), by="Ada", reason="I liked it")
    assert entries(store, CLASSIFIER)[-1].version == str(RUNS)


def test_a_dry_run_shows_the_same_and_removes_nothing(homes: Homes, capfd):
    be_champion(open_store(homes), 2)
    before = sorted(str(path) for path in homes.artifacts.rglob("*") if ".locks" not in path.parts)
    shown = collected(capfd, "--keep", "1", "--dry-run")
    assert shown["bytes"] > 0
    assert sorted(str(path) for path in homes.artifacts.rglob("*") if ".locks" not in path.parts) == before
    assert len(weights_of(homes, 1)) == 2
    done = collected(capfd, "--keep", "1")
    assert done["removed"] == shown["removed"]
    assert done["kept"] == shown["kept"]


def test_a_table_says_what_went_and_what_was_kept_and_why(homes: Homes, capfd):
    be_champion(open_store(homes), 2, 3)
    capfd.readouterr()
    assert invoke(["gc", "--keep", "1"]) == 0
    out = capfd.readouterr().out
    for said in ("weights", "stage", "run files", "freed", "is champion", "was champion", "the newest"):
        assert said in out


def test_of_an_old_champion_the_images_of_other_draws_go_and_its_evaluation_stays(homes: Homes, capfd):
    be_champion(open_store(homes), 1)
    collected(capfd, "--keep", "1")
    stages = StageStore(homes.artifacts, "digits")
    assert stages.find("synthetic_images/finetune/draw-0", key_of(1))
    assert stages.find("synthetic_images/finetune/draw-1", key_of(1)) is None
    assert all(stages.find(name, key_of(1)) for name in ("data_validation", "draws", "evaluation", "report"))


def test_pictures_stay_where_a_version_or_a_stage_is_kept_and_curves_stay_always(homes: Homes, capfd):
    be_champion(open_store(homes), 2)
    collected(capfd, "--keep", "1")
    store = open_store(homes)
    experiment = store.client.get_experiment_by_name("gtl-digits").experiment_id
    runs = store.client.search_runs([experiment])
    assert len(runs) == 2 * RUNS
    with_files = {
        run.data.tags.get(DAGSTER_RUN, run.data.params.get("stage_key"))
        for run in runs
        if store.client.list_artifacts(run.info.run_id)
    }
    assert with_files == {"dagster-2", f"dagster-{RUNS}", key_of(2), key_of(RUNS)}


def test_the_experiment_as_its_file_is_today_is_kept_and_what_its_next_run_goes_on_with(homes: Homes, capfd):
    chain = Chain(load_experiment(homes.experiments / "digits.yaml"), homes)
    for name, key in chain.stage_keys():
        chain.store.build(name, key, lambda folder: write_text(folder / "file", "made"))
    interrupted = chain.store.path("source_gan", chain.source_gan_key)
    interrupted.replace(interrupted.with_name(f".{interrupted.name}.partial"))
    forgotten = chain.store.path("source_gan", ".00000000000000ff.partial")
    replaced = chain.store.path("evaluation", f".{key_of(1)}.old")
    for folder in (forgotten, replaced):
        write_text(folder / "file", "half")
    collected(capfd, "--keep", "1")
    there = {name for name, key in chain.stage_keys() if chain.store.find(name, key)}
    assert {name for name, _ in chain.stage_keys()} - there == {"source_gan"}
    assert (interrupted.with_name(f".{interrupted.name}.partial") / "file").is_file()
    assert not forgotten.exists()
    assert not replaced.exists()


def test_what_belongs_to_no_experiment_of_the_project_is_left_alone(homes: Homes, capfd):
    study = StageStore(homes.artifacts, "study").build(
        "evaluation", key_of(9), lambda folder: write_text(folder / "x", "")
    )
    sheet = homes.artifacts / "contact-sheets" / "digits.png"
    drift = homes.artifacts / "digits" / "drift" / "2026-01-01T00-00-00" / "drift.json"
    for path in (sheet, drift):
        write_text(path, "{}")
    collected(capfd, "--keep", "1")
    assert study.path.is_dir()
    assert sheet.is_file()
    assert drift.is_file()


def test_an_experiment_that_is_being_run_is_left_alone(homes: Homes, capfd):
    with experiment_lock(homes, "digits", "gtl run"):
        found = collected(capfd, "--keep", "1")
    assert found["removed"] == []
    assert [(row["experiment"], "gtl run" in row["why"]) for row in found["left"]] == [("digits", True)]
    assert states(homes, 1) == {"same"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda homes: write_text(homes.experiments / "digits.yaml", "name: digits\nsuorce: 1"), "suorce"),
        (lambda homes: shutil.rmtree(homes.data / "turned"), "turned"),
        (lambda homes: registration(homes).write_text("{"), "registration.json is damaged"),
        (lambda homes: next((homes.mlruns / "artifacts").rglob("lineage.json")).unlink(), "lineage record is gone"),
    ],
    ids=["a broken experiment file", "a missing image set", "a damaged registration", "a lost lineage record"],
)
def test_where_nobody_can_tell_what_is_needed_no_stage_goes(homes: Homes, capfd, spoil, told):
    be_champion(open_store(homes), *range(1, RUNS + 1))
    spoil(homes)
    found = collected(capfd, "--keep", "1")
    assert found["removed"] == []
    assert [told in row["why"] for row in found["left"]] == [True]


def test_a_killed_call_is_finished_by_the_next(homes: Homes, capfd):
    be_champion(open_store(homes), 2)
    wanted = collected(capfd, "--keep", "1", "--dry-run")
    dying = (
        "import os, shutil, signal, sys\n"
        "whole, calls = shutil.rmtree, []\n"
        "def rmtree(path, *rest, **options):\n"
        "    calls.append(path)\n"
        "    if len(calls) == 6:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(path, *rest, **options)\n"
        "shutil.rmtree = rmtree\n"
        "from pipelines.cli.main import invoke\n"
        "sys.exit(invoke(['gc', '--keep', '1']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", dying], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr
    done = collected(capfd, "--keep", "1")
    assert 0 < len(done["removed"]) <= len(wanted["removed"])
    assert collected(capfd, "--keep", "1")["removed"] == []
    assert states(homes, 2) == states(homes, RUNS) == {"same"}
    assert weights_of(homes, 1) == []
    assert not [path for path in homes.artifacts.rglob("*") if path.name.endswith(".removed")]


def test_output_of_old_steps_goes_and_that_of_needed_runs_stays(homes: Homes, capfd):
    import dagster as dg

    from pipelines.instance import open_instance

    @dg.job
    def nothing() -> None:
        """Does nothing."""

    def output(run_id: str) -> Path:
        return homes.dagster / "storage" / run_id / "compute_logs" / "step.out"

    with open_instance(homes) as instance:
        runs = [
            instance.create_run_for_job(nothing, tags={"dagster/partition": "digits"}, status=status).run_id
            for status in (*[dg.DagsterRunStatus.SUCCESS] * 3, dg.DagsterRunStatus.STARTED)
        ]
    for run_id in runs:
        write_text(output(run_id), "a line\n")
    collected(capfd, "--keep", "2")
    assert [output(run_id).is_file() for run_id in runs] == [False, False, True, True]


def test_temporary_folders_of_killed_processes_go_after_a_day(homes: Homes, capfd, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names = ["gtl-gate-abcdefgh", "gtl-register-0_cdefgh", "gtl-mine-abcdefgh", "gtl-gate-fresh000"]
    for name in names:
        write_text(tmp_path / name / "file", "")
    for name in names[:3]:
        for path in (tmp_path / name / "file", tmp_path / name):
            os.utime(path, (time.time() - 90_000,) * 2)
    collected(capfd, "--keep", "1")
    assert [(tmp_path / name).exists() for name in names] == [False, False, True, True]


def test_an_empty_project_has_nothing_to_remove_and_gets_no_store(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("dagster.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for variable in ("DATA", "MLRUNS", "ARTIFACTS", "DAGSTER", "EXPERIMENTS"):
        monkeypatch.delenv(f"GTL_{variable}", raising=False)
    monkeypatch.setenv("GTL_ROOT", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert invoke(["gc", "--keep", "3"]) == 0
    assert "nothing to remove" in capfd.readouterr().out
    assert not (tmp_path / "mlruns").exists()
    assert not (tmp_path / ".dagster").exists()


def test_nothing_to_keep_is_no_number_to_keep(capfd):
    assert invoke(["gc", "--keep", "0"]) == 2
    assert invoke(["gc"]) == 2
    assert "--keep" in capfd.readouterr().err
