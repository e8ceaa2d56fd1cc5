"""Pairs: a version of a classifier with the generator of the same run, and whether the files of both are there."""

from __future__ import annotations

from dataclasses import dataclass

from gtl_core.errors import InputError
from gtl_core.registry.lineage import COLLECTED_TAG, resolve
from gtl_core.registry.tracking import TrackingStore, pages


@dataclass(frozen=True)
class Pair:
    """A version of a classifier, and the generator that goes with it.

    Attributes:
        model: the classifier.
        version: its version.
        run: the MLflow run of both.
        verdict: what its evaluation found.
        generator: name and version of the generator; None where there is none.
    """

    model: str
    version: str
    run: str | None
    verdict: str | None
    generator: tuple[str, str] | None


def find_pair(store: TrackingStore, model: str, version: str) -> Pair:
    """A version of a classifier with its generator, which was registered by the same run.

    Raises:
        InputError: there is no such version, or it is a generator, which follows its classifier.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = store.client.get_model_version(model, version)
    except MlflowException:
        resolve(store, f"{model}/{version}")  # says what there is instead
        raise
    classifiers: list[tuple[str, str]] = []
    generators: list[tuple[str, str]] = []
    if found.run_id:
        for each in pages(store.client.search_model_versions, filter_string=f"run_id='{found.run_id}'"):
            kind = generators if each.tags.get("gtl.kind") == "generator" else classifiers
            kind.append((str(each.name), str(each.version)))
    # A run registers one pair; where it was repeated by hand, first belongs to first.
    pairs = list(zip(sorted(classifiers, key=_by_number), sorted(generators, key=_by_number), strict=False))
    for classifier, generator in pairs:
        if generator == (model, version):
            raise InputError(
                f"{model} version {version} follows its classifier: name {classifier[0]} version {classifier[1]}"
            )
    version = str(found.version)  # MLflow takes 03 for 3
    generator_of = dict(pairs).get((model, version))
    return Pair(model, version, found.run_id or None, found.tags.get("gtl.verdict"), generator_of)


def require_files(store: TrackingStore, pair: Pair) -> None:
    """Looks whether the files of a pair are there.

    Raises:
        InputError: they were deleted or moved.
    """
    require_weights(store, pair)
    for name, version in ((pair.model, pair.version), *([pair.generator] if pair.generator else [])):
        if not store.has_files(name, version):
            raise InputError(
                f"{name} version {version}: its files are gone from the store; restore them, or choose another version"
            )


def require_weights(store: TrackingStore, pair: Pair) -> None:
    """Refuses a pair whose weights `gtl gc` has removed; it marks them so while it holds the model's lock.

    Raises:
        InputError: they were removed.
    """
    collected = store.client.get_model_version(pair.model, pair.version).tags.get(COLLECTED_TAG)
    if collected:
        raise InputError(
            f"{pair.model} version {pair.version}: its weights were collected by gtl gc at {collected}; choose another "
            f"version, or make it anew: gtl reproduce {pair.model}/{pair.version}"
        )


def _by_number(version: tuple[str, str]) -> int:
    return int(version[1])
