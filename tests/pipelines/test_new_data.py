"""New data: what is committed and new to an experiment starts that experiment, once; nothing else does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from gtl_core.data import versions
from gtl_core.data.image_set import ImageSetWriter
from gtl_core.homes import Homes
from pipelines.defs.automation import new_data
from pipelines.observation import committed_versions, load_seen

FILE = """\
name: {name}
source: {{dataset: source}}
target: {{dataset: {target}, labelled_per_class: 1}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [finetune]}}
retrain: {{on_new_data: {on}}}
"""


def write_set(folder: Path, value: int) -> None:
    with ImageSetWriter(folder, ("dark", "bright")) as writer:
        for index in range(4):
            writer.add(np.full((1, 4, 4), value + index, np.uint8), label=index % 2, source_file=f"{index}.png")


def homes_of(root: Path) -> Homes:
    return Homes(root, root / "data", root / "mlruns", root / "artifacts", root / ".dagster", root / "experiments")


def write_experiment(homes: Homes, name: str, target: str = "target", on: bool = True) -> None:
    """One of the shipped names, because partitions are those of the files that Dagster has loaded."""
    homes.experiments.mkdir(exist_ok=True)
    text = FILE.format(name=name, target=target, on="true" if on else "false")
    (homes.experiments / f"{name}.yaml").write_text(text)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with three sets in its data.dvc."""
    root = tmp_path_factory.mktemp("pinned") / "project"
    root.mkdir()
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=root, check=True)
    (root / ".dvcignore").write_text("/data/.*\n")
    for value, name in enumerate(("source", "target", "other")):
        write_set(root / "data" / name, 10 * value)
    versions.commit(homes_of(root))
    return root


@dataclass
class Watched:
    """A project, and the sensor over it, tick after tick.

    Attributes:
        homes: the project's.
        instance: a Dagster instance of its own.
        cursor: what the sensor remembers.
        said: why the last tick started nothing; empty where it did.
        observed: the experiments whose data the last tick observed.
    """

    homes: Homes
    instance: dg.DagsterInstance
    cursor: str | None = None
    said: str = ""
    observed: tuple[str, ...] = ()

    def tick(self) -> list[dg.RunRequest]:
        """One tick, kept as the daemon keeps it: where the sensor gives a reason alone, its cursor stays."""
        result = new_data(dg.build_sensor_context(self.instance, cursor=self.cursor))
        if isinstance(result, dg.SkipReason):
            self.said, self.observed = str(result.skip_message), ()
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = str(result.skip_reason.skip_message) if result.skip_reason else ""
        self.observed = tuple(str(event.partition) for event in result.asset_events)
        return list(result.run_requests or [])

    def names(self) -> list[str | None]:
        """The experiments that a tick starts."""
        return [request.partition_key for request in self.tick()]


@pytest.fixture
def watched(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A copy of that checkout with three experiments, looked at once."""
    homes = homes_of(Path(shutil.copytree(committed, tmp_path / "project")))
    for variable, value in homes.environment().items():
        monkeypatch.setenv(variable, value)
    write_experiment(homes, "demo")
    write_experiment(homes, "demo_unlabelled", target="other")
    write_experiment(homes, "mnist_usps", on=False)
    with dg.DagsterInstance.ephemeral() as instance:
        found = Watched(homes, instance)
        assert found.names() == []
        assert found.observed == ("demo", "demo_unlabelled", "mnist_usps")
        yield found


def test_the_first_observation_starts_nothing_and_neither_do_unchanged_data(watched: Watched) -> None:
    assert watched.names() == []
    assert watched.observed == ()
    assert watched.said == "no experiment's committed data have changed"


def test_a_new_version_starts_the_experiments_of_that_set_alone_and_once(watched: Watched) -> None:
    write_set(watched.homes.data / "target", 50)
    versions.commit(watched.homes)
    assert watched.names() == ["demo"]
    assert watched.observed == ("demo", "mnist_usps")
    assert watched.names() == []
    write_set(watched.homes.data / "source", 60)
    versions.commit(watched.homes)
    assert watched.names() == ["demo", "demo_unlabelled"]


def test_data_that_go_back_to_an_earlier_version_are_new_again_and_no_request_is_like_another(watched: Watched) -> None:
    keys = []
    for value in (50, 10, 50):
        write_set(watched.homes.data / "target", value)
        versions.commit(watched.homes)
        keys += [request.run_key for request in watched.tick()]
    assert len(set(keys)) == 3


def test_what_nobody_has_committed_starts_nothing(watched: Watched) -> None:
    write_set(watched.homes.data / "target", 50)
    write_set(watched.homes.data / ".more.x7", 70)
    assert watched.names() == []
    assert watched.said == "no experiment's committed data have changed"


def test_a_committed_version_that_is_not_whole_is_waited_for(watched: Watched) -> None:
    write_set(watched.homes.data / "target", 50)
    versions.commit(watched.homes)
    images = watched.homes.data / "target" / "images.npy"
    whole = images.read_bytes()
    images.write_bytes(whole[:-20])
    before = watched.cursor
    assert watched.names() == []
    assert "demo waits" in watched.said and "damaged" in watched.said
    shutil.rmtree(watched.homes.data / "target")
    assert watched.names() == []
    assert "no image set 'target'" in watched.said
    write_set(watched.homes.data / "target", 10)
    assert watched.names() == []
    assert "not the committed version" in watched.said
    assert load_seen(watched.cursor)["demo"] == load_seen(before)["demo"]
    write_set(watched.homes.data / "target", 50)
    assert watched.names() == ["demo"]
    assert watched.names() == []


def test_a_version_whose_files_are_elsewhere_is_waited_for(watched: Watched) -> None:
    write_set(watched.homes.data / "target", 50)
    versions.commit(watched.homes)
    shutil.rmtree(watched.homes.root / ".dvc" / "cache")
    write_set(watched.homes.data / "target", 10)
    assert watched.names() == []
    assert "gtl data pull fetches them" in watched.said
    write_set(watched.homes.data / "target", 50)
    assert watched.names() == ["demo"]


@pytest.mark.parametrize(
    ("content", "told"), [(None, "gtl data commit makes one"), ("outs: [", "holds no data version")]
)
def test_a_pin_that_is_missing_or_damaged_is_told_in_a_line_and_nothing_is_forgotten(
    watched: Watched, content: str | None, told: str
) -> None:
    write_set(watched.homes.data / "target", 50)
    versions.commit(watched.homes)
    pin = watched.homes.root / "data.dvc"
    good = pin.read_text()
    pin.unlink() if content is None else pin.write_text(content)
    assert watched.names() == []
    assert told in watched.said and "\n" not in watched.said
    pin.write_text(good)
    assert watched.names() == ["demo"]


def test_a_file_that_cannot_be_read_stops_no_other_and_is_taken_up_where_it_was(watched: Watched) -> None:
    file = watched.homes.experiments / "demo_unlabelled.yaml"
    good = file.read_text()
    file.write_text("name: [")
    write_set(watched.homes.data / "source", 60)
    versions.commit(watched.homes)
    assert watched.names() == ["demo"]
    assert watched.names() == []
    assert "demo_unlabelled.yaml: not a YAML file" in watched.said
    file.write_text(good)
    assert watched.names() == ["demo_unlabelled"]


def test_another_set_in_the_file_is_no_new_version(watched: Watched) -> None:
    write_experiment(watched.homes, "demo", target="other")
    assert watched.names() == []
    write_set(watched.homes.data / "other", 50)
    versions.commit(watched.homes)
    assert watched.names() == ["demo", "demo_unlabelled"]


def test_a_set_that_was_never_committed_is_told(watched: Watched) -> None:
    write_experiment(watched.homes, "demo", target="fresh")
    assert watched.names() == []
    assert "data.dvc has no fresh" in watched.said


def test_switching_it_on_later_starts_nothing_for_what_has_changed_before(watched: Watched) -> None:
    write_set(watched.homes.data / "target", 50)
    versions.commit(watched.homes)
    assert watched.names() == ["demo"]
    write_experiment(watched.homes, "mnist_usps")
    assert watched.names() == []


def test_an_experiment_that_dagster_has_not_loaded_yet_is_told(watched: Watched) -> None:
    write_experiment(watched.homes, "newcomer")
    assert watched.names() == []
    assert "newcomer is new; reload the code location" in watched.said


def test_the_committed_versions_are_those_of_the_folders(watched: Watched) -> None:
    homes = watched.homes
    names = ("source", "target", "other")
    assert committed_versions(homes) == {name: versions.directory_md5(homes.data / name) for name in names}
