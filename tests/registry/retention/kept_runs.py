"""What the tests of `gtl gc` know of the project that they collect in, and how they look into it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gtl_core.homes import Homes
from gtl_core.registry.lineage import verify_lineage
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate, promote
from gtl_core.registry.relocation import mend_moved
from gtl_core.registry.tracking import TrackingStore, open_store
from gtl_core.store import StageStore
from pipelines.cli.main import invoke

ROOT = Path(__file__).resolve().parents[3]
CLASSIFIER, GENERATOR = "gtl-digits-classifier", "gtl-digits-generator"
RUNS = 5


def key_of(run: int, *, shared: bool = False) -> str:
    """Key of a run's stages; two runs in a row share what they have learned from the source."""
    return f"{0x100 + run // 2 if shared else run:016x}"


def stages_of(run: int) -> dict[str, str]:
    """Names and keys of the stages of a run."""
    of_draws = [f"{kind}/finetune/draw-{draw}" for kind in ("transferred_gan", "synthetic_images") for draw in (0, 1)]
    names = ["data_validation", "draws", *of_draws, "evaluation", "registered_models", "report"]
    shared = {name: key_of(run, shared=True) for name in ("source_gan", "source_classifier")}
    return shared | {name: key_of(run) for name in names}


def copied(template: Homes, root: Path) -> Homes:
    """A copy of the project of `template`, to collect in."""
    shutil.copytree(template.root, root, symlinks=True)
    homes = Homes(
        **{name: Path(str(path).replace(str(template.root), str(root))) for name, path in vars(template).items()}
    )
    mend_moved(homes)
    return homes


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
