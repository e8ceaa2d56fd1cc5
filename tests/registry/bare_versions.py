"""Versions of a classifier and its generator with nothing in them, for tests of who holds which alias."""

from __future__ import annotations

from pathlib import Path

from mlflow.exceptions import MlflowException

from gtl_core.registry.promotion import Pair, find_pair
from gtl_core.registry.tracking import TrackingStore

CLASSIFIER, GENERATOR = "gtl-bare-classifier", "gtl-bare-generator"


def register_pair(store: TrackingStore, folder: Path, run: str) -> Pair:
    """A new version of both, registered by one run, with an empty package below `folder`."""
    for name in (CLASSIFIER, GENERATOR):
        try:
            store.client.get_registered_model(name)
        except MlflowException:
            store.client.create_registered_model(name)
        package = folder / run / name
        package.mkdir(parents=True)
        (package / "MLmodel").touch()
        kind = name.rsplit("-", 1)[1]
        version = store.client.create_model_version(
            name, package.as_uri(), run_id=run, tags={"gtl.kind": kind, "gtl.verdict": "helps"}
        )
    return find_pair(store, CLASSIFIER, str(version.version))
