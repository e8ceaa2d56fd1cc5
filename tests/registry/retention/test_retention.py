"""`gtl gc`: what a model or a history needs stays with the same hash, and the rest goes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtl_core.config import load_experiment
from gtl_core.errors import InputError
from gtl_core.files import write_text
from gtl_core.homes import Homes
from gtl_core.registry.history import entries, verify
from gtl_core.registry.lineage import read_lineage
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote, reject, rollback
from gtl_core.registry.tracking import open_store
from gtl_core.store import StageStore
from pipelines.cli.main import invoke
from pipelines.recording import DAGSTER_RUN
from pipelines.retention import collect_garbage
from pipelines.stages import Chain
from tests.registry.retention.kept_runs import (
    CLASSIFIER,
    RUNS,
    be_champion,
    collected,
    copied,
    key_of,
    stages_of,
    states,
    weights_of,
)


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
