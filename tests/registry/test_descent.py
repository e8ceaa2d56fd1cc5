"""Which models must go: every version that has seen a set, a patient or an image is found, and no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.registry.descent import Descendant, descend
from gtl_core.registry.lineage import read_lineage, verify_lineage
from gtl_core.registry.seen import LEARNED, ROLES
from gtl_core.registry.tracking import TrackingStore
from pipelines.cli.main import invoke
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

MODEL = "gtl-scans-classifier"


@pytest.fixture
def scans(homes: Homes, store: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The target of a registered pair, in a project that the command finds."""
    for name, value in homes.environment().items():
        monkeypatch.setenv(name, value)
    write_scans(homes, "old", seed=1)
    target = write_scans(homes, "new", seed=2)
    (tmp_path / "first").mkdir()
    register_version(store, homes, tmp_path / "first", scans_experiment(), kinds=("classifier", "generator"))
    return target


def versions(found: tuple[Descendant, ...]) -> list[tuple[str, str]]:
    return [(row.model, row.version) for row in found]


def test_a_set_leads_to_every_version_that_has_seen_any_version_of_it(
    homes: Homes, store: TrackingStore, scans: ImageSet, tmp_path: Path
):
    before = scans.version
    write_scans(homes, "new", seed=3)
    (tmp_path / "second").mkdir()
    register_version(store, homes, tmp_path / "second", scans_experiment())
    (tmp_path / "other").mkdir()
    write_scans(homes, "else", seed=9)
    register_version(store, homes, tmp_path / "other", scans_experiment("other", target="else"))
    found = descend(homes, "new").versions
    assert versions(found) == [(MODEL, "2"), (MODEL, "1"), ("gtl-scans-generator", "1")]
    assert found[1].dataset_versions == (before,) != found[0].dataset_versions
    assert {row.known for row in found} == {"images"}
    assert versions(descend(homes, "old").versions)[-1] == ("gtl-scans-generator", "1")
    assert ("gtl-other-classifier", "1") in versions(descend(homes, "old").versions)
    assert descend(homes, "old").versions[0].roles == {"source": 20}


def test_every_image_of_the_target_leads_to_the_model_with_the_role_that_its_draw_gave_it(
    homes: Homes, scans: ImageSet
):
    draws = make_draws(scans, 2, 2, 0.3, 2, 0)
    for row, sha256 in enumerate(scans.manifest["sha256"]):
        found = descend(homes, "new", images=[sha256]).versions
        roles = {role for role in ("labelled", "validation", "test") if row in getattr(draws[0], role)}
        other = row in draws[1].labelled or row in draws[1].validation
        expected = roles or ({"compared"} if other else set())
        assert {role for version in found for role in version.roles} == expected
        assert {version.learned for version in found} <= {bool(expected & set(LEARNED))}


def test_a_patient_leads_to_the_models_that_learned_from_any_of_their_images(homes: Homes, scans: ImageSet):
    draw = make_draws(scans, 2, 2, 0.3, 2, 0)[0]
    groups = scans.manifest["group"]
    learned = set(groups.iloc[draw.labelled])
    for patient in sorted(set(groups)):
        found = descend(homes, "new", group=patient)
        assert bool(found.versions and found.versions[0].learned) == (patient in learned)
        assert found.present == 4
        assert found.elsewhere == (() if patient == "patient-5" else ("old",))


def test_what_was_seen_stays_known_when_data_and_stages_are_gone(homes: Homes, scans: ImageSet):
    draw = make_draws(scans, 2, 2, 0.3, 2, 0)[0]
    sha256 = scans.manifest["sha256"].iloc[draw.labelled[0]]
    shutil.rmtree(homes.data)
    shutil.rmtree(homes.artifacts)
    found = descend(homes, "new", images=[sha256])
    assert versions(found.versions) == [(MODEL, "1"), ("gtl-scans-generator", "1")]
    assert found.versions[0].roles == {"labelled": 1}
    assert found.present is None


def test_of_an_old_record_it_is_said_whether_its_set_held_the_image_or_that_nobody_can_tell(
    homes: Homes, store: TrackingStore, scans: ImageSet, tmp_path: Path
):
    (tmp_path / "old").mkdir()
    register_version(store, homes, tmp_path / "old", scans_experiment("early"), with_seen=False)
    sha256 = scans.manifest["sha256"].iloc[0]

    def early(image: str) -> list[Descendant]:
        return [row for row in descend(homes, "new", images=[image]).versions if row.model == "gtl-early-classifier"]

    (row,) = early(sha256)
    assert (row.known, row.learned, row.roles) == ("set", None, {})
    assert early("0" * 64) == []
    write_scans(homes, "new", seed=5)
    (row,) = early(sha256)
    assert (row.known, row.learned) == ("set as a whole", None)


def test_a_record_that_was_changed_or_removed_is_replaced_by_what_its_run_has_noted(
    homes: Homes, store: TrackingStore, scans: ImageSet
):
    folder = store.model_folder(MODEL, "1", homes.root)
    (folder / "lineage.json").write_text(json.dumps({"datasets": []}))
    shutil.rmtree(store.model_folder("gtl-scans-generator", "1", homes.root))
    found = descend(homes, "new")
    assert versions(found.versions) == [(MODEL, "1"), ("gtl-scans-generator", "1")]
    assert {row.known for row in found.versions} == {"set as a whole"}
    assert found.versions[0].dataset_versions == (scans.version,)


def test_a_list_of_images_that_was_changed_is_not_believed(homes: Homes, store: TrackingStore, scans: ImageSet):
    draw = make_draws(scans, 2, 2, 0.3, 2, 0)[0]
    sha256 = scans.manifest["sha256"].iloc[draw.labelled[0]]
    path = store.model_folder(MODEL, "1", homes.root) / "seen.parquet"
    rows = pd.read_parquet(path)
    rows[rows["sha256"] != bytes.fromhex(sha256)].to_parquet(path)
    states = {check.what: check.state for check in verify_lineage(homes, f"{MODEL}/1")}
    assert states["seen images"] == "changed"
    assert descend(homes, "new", images=[sha256]).versions[0].known in ("images", "set")
    assert versions(descend(homes, "new", images=[sha256]).versions) == [(MODEL, "1"), ("gtl-scans-generator", "1")]


def test_a_version_of_which_nothing_is_on_record_is_named(homes: Homes, store: TrackingStore, scans: ImageSet):
    store.client.create_registered_model("foreign")
    store.client.create_model_version("foreign", homes.root.as_uri())
    assert descend(homes, "new").unknown == ("foreign/1",)


def test_the_record_says_how_many_images_served_as_what(homes: Homes, scans: ImageSet):
    seen = read_lineage(homes, MODEL)["seen"]["images"]
    counts = {(row["dataset"], row["role"]): row["images"] for row in seen}
    assert counts[("old", "source")] == 20
    assert counts[("new", "labelled")] == counts[("new", "validation")] == 4
    assert counts[("new", "test")] == 4
    assert {role for _, role in counts} <= set(ROLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--down", "nwe"], "did you mean new"),
        (["--down", "new", "--image", "cafe"], "no SHA-256 of an image"),
        (["--down", "new", "--group", ""], "empty group"),
        ([], "name a model"),
        ([MODEL, "--down", "new"], "name a model"),
        ([MODEL, "--image", "0" * 64], "narrow --down"),
        (["--down", "new", "--verify"], "about one model"),
    ],
)
def test_bad_input_is_one_line(scans: ImageSet, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]):
    assert invoke(["lineage", *arguments]) == InputError.exit_code
    told = capfd.readouterr().err.strip()
    assert message in told
    assert "\n" not in told


def test_the_command_says_which_models_must_go(scans: ImageSet, capfd: pytest.CaptureFixture[str]):
    draw = make_draws(scans, 2, 2, 0.3, 2, 0)[0]
    image = scans.manifest["sha256"].iloc[draw.labelled[0]]
    assert invoke(["lineage", "--down", "new", "--image", image.upper()]) == 0
    out = capfd.readouterr().out
    assert "2 learned from the images of new and must go" in out
    assert invoke(["lineage", "--down", "new", "--image", "0" * 64]) == 0
    out = capfd.readouterr().out
    assert "no registered model has seen the images of new" in out
    assert "In the set as it is now there is none of it." in out
    assert invoke(["lineage", "--down", "new", "--group", "patient-5", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [row["learned"] for row in found["versions"]] == [False, False]
    assert found["versions"][0]["roles"] == {"test": 4}


def test_the_picture_is_drawn_beside_what_is_printed(
    scans: ImageSet, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    from xml.etree import ElementTree

    file = tmp_path / "pictures" / "model.svg"
    assert invoke(["lineage", MODEL, "--graph", str(tmp_path)]) == 2
    assert f"--graph {tmp_path} is a folder" in capfd.readouterr().err
    assert invoke(["lineage", MODEL, "--graph", str(file), "--json"]) == 0
    record = json.loads(capfd.readouterr().out)
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own file
    text = " ".join(root.itertext())
    assert root.get("role") == "img"
    described = root.find("{http://www.w3.org/2000/svg}desc")
    assert described is not None
    for said in (MODEL, "transferred_gan/finetune", "source_gan", record["git_commit"], record["data_version"]):
        assert said in text
        assert said in str(described.text)
    assert "4 labelled" in text
