"""Registration of what an experiment has made: its classifier and its generator, judged and given their aliases."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.config import Experiment
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.registry.admission import admit
from gtl_core.registry.approval import AGAINST, GATE_TAG
from gtl_core.registry.gate import Candidate, GateResult, judge
from gtl_core.registry.lineage import build_record
from gtl_core.registry.model_card import model_card
from gtl_core.registry.packaging import log_package, package_classifier, package_generator
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import settle
from gtl_core.registry.rules import Rule
from gtl_core.registry.standing import aliases, current_alias
from gtl_core.registry.tracking import TrackingStore, open_store
from gtl_core.registry.unfinished import REGISTRATION_TAG, begun, decision

if TYPE_CHECKING:
    from gtl_core.data.draws import Draw
    from gtl_core.data.image_set import ImageSet

_EXAMPLES = 4


def classifier_name(experiment: str) -> str:
    """Name of the registered classifier of an experiment."""
    return f"gtl-{experiment}-classifier"


def generator_name(experiment: str) -> str:
    """Name of the registered generator of an experiment."""
    return f"gtl-{experiment}-generator"


def register_experiment(
    experiment: Experiment,
    homes: Homes,
    *,
    parent_run_id: str,
    dagster_run_id: str | None,
    evaluation: Path,
    generator: Path,
    synthetic: Path,
    target: ImageSet,
    draw: Draw,
    checkpoints: Sequence[tuple[str, Path]],
    datasets: Sequence[Mapping[str, Any]],
    seen: Path,
    documents: Mapping[str, Path],
    data_version: str,
    registration: str,
    memorisation: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Registers the best classifier and its generator, and makes them champions where the gate and the rules allow.

    The gate is asked every time, and its answer is a tag (`gtl.gate`) of the classifier's version. Those that pass
    become challengers; those that it refuses stay registered without an alias. With automatic approval, or where there
    is no champion yet, challengers become champions at once, the generator with its classifier; with manual approval,
    or where a rollback has frozen the model, they wait. Each of these decisions is an entry of the model's history.

    Where a killed process has begun this registration, its versions are taken up and what is missing is done.

    Args:
        experiment: what was run.
        homes: the project's homes.
        parent_run_id: the MLflow run that the models are logged in.
        dagster_run_id: the Dagster run, or None outside Dagster.
        evaluation: folder of the finished evaluation.
        generator: checkpoint of the GAN whose generator goes with the classifier.
        synthetic: folder of the synthetic set that this generator made.
        target: the target image set.
        draw: a draw of it, for its test part.
        checkpoints: stage and file of every checkpoint on the way.
        datasets: `{name, role, version, images}` of each image set.
        seen: file from `write_seen`, what both models have seen.
        documents: files to log in the run, such as the data validation, by their path among its artifacts.
        data_version: version of the whole data home.
        registration: hash of what is registered, weights included; equal ones are one registration.
        memorisation: what was measured of the generator's strategy, where the gate is to look at it.

    Returns:
        `{name, version, alias, gate, waits}` of the classifier and of the generator; the alias is None for one that
        was refused, the gate is `GateResult.to_json()`, and `waits` says what a challenger waits for, empty for others.

    Raises:
        InputError: this is no git checkout, the MLflow store cannot be reached, or a file of a stage is missing.
    """
    from gtl_core.synthesis.synthetic_set import SyntheticSet

    store = open_store(homes)
    verdict = read_json(evaluation / "verdict.json")
    arms = read_json(evaluation / "arms.json")
    best = read_json(evaluation / "best" / "best.json")
    weights = evaluation / "best" / "classifier.safetensors"
    made = SyntheticSet.load(synthetic)
    for path, document in documents.items():
        store.log_artifact(parent_run_id, document, Path(path).parent.as_posix())
    record = build_record(
        homes,
        experiment,
        mlflow_run_id=parent_run_id,
        dagster_run_id=dagster_run_id,
        data_version=data_version,
        datasets=datasets,
        seen=seen,
        documents=documents,
        checkpoints=[*checkpoints, ("classifier", weights)],
        synthetic=synthetic,
        verdict=verdict,
        arms=arms,
        best=best,
    )
    tags = {
        "gtl.experiment": experiment.name,
        "gtl.verdict": verdict["label"],
        "gtl.data_version": data_version,
        REGISTRATION_TAG: registration,
    }
    names = classifier_name(experiment.name), generator_name(experiment.name)
    earlier = begun(store, names, registration)
    there = earlier.versions if earlier else {}
    # The example that is stored with a model goes wherever the model goes, so it is no real image.
    example = made.images[:: max(1, len(made) // _EXAMPLES)][:_EXAMPLES]
    with tempfile.TemporaryDirectory(prefix="gtl-register-") as scratch:
        packages = (
            package_classifier(weights, example, Path(scratch) / "classifier"),
            package_generator(generator, Path(scratch) / "generator"),
        )
        said = (
            f"{experiment.name}: arm {best['arm']}, chosen by {best['chosen_by']}; the GAN {verdict['label']}",
            f"{experiment.name}: {generator.parent}",
        )
        versions = [
            there.get(name)
            or log_package(
                store,
                parent_run_id,
                package,
                name=name,
                lineage=record,
                seen=seen,
                card=model_card(
                    package.kind,
                    name,
                    experiment=experiment.name,
                    classes=target.classes,
                    size=experiment.image.size,
                    channels=experiment.image.channels,
                    best=best,
                    arms=arms,
                    lineage=record,
                    files=package.files,
                ),
                tags=tags,
                description=text,
            )
            for package, name, text in zip(packages, names, said, strict=True)
        ]
        decided = decision(store, names[0], versions[0]) if earlier else None
        if decided:
            settle(store, names[0])
            champion, result = decided.details[AGAINST], _noted(store, names[0], versions[0])
        else:
            champion = aliases(store, names[0]).get("champion")
            result = _judge(experiment, store, names, versions, champion, target, draw, memorisation, Path(scratch))
            _note(store, names[0], versions[0], result)
    pair = find_pair(store, names[0], versions[0])
    waits = admit(store, pair, result, champion, experiment.promotion.approval, decided)
    return [
        {
            "name": name,
            "version": version,
            "alias": current_alias(homes, name, version),
            "gate": result.to_json(),
            "waits": waits,
        }
        for name, version in zip(names, versions, strict=True)
    ]


def _judge(
    experiment: Experiment,
    store: TrackingStore,
    names: tuple[str, str],
    versions: Sequence[str],
    champion: str | None,
    target: ImageSet,
    draw: Draw,
    memorisation: Mapping[str, Any] | None,
    scratch: Path,
) -> GateResult:
    """Asks the gate about new versions, all models read from the registry as a user would."""

    def candidate(role: str, index: Literal[0, 1], version: str) -> Candidate:
        folder = scratch / f"{role}-{index}"
        folder.mkdir()
        name = names[index]
        return Candidate(
            f"{role} {name}/{version}", store.model_folder(name, version, folder), ("classifier", "generator")[index]
        )

    manifest = target.manifest.iloc[draw.test]
    return judge(
        challenger=candidate("challenger", 0, versions[0]),
        generator=candidate("challenger", 1, versions[1]),
        champion=candidate("champion", 0, champion) if champion else None,
        images=target.images[draw.test],
        labels=target.labels[draw.test],
        groups=manifest["group"].to_numpy(dtype=str),
        hashes=manifest["sha256"].to_numpy(dtype=str),
        classes=target.classes,
        promotion=experiment.promotion,
        memorisation=memorisation,
    )


def _note(store: TrackingStore, name: str, version: str, result: GateResult) -> None:
    """Writes what the gate found on the classifier's version."""
    tags = {GATE_TAG: json.dumps(result.to_json()), "gtl.metric": result.metric}
    if result.challenger_score is not None:
        tags["gtl.score"] = repr(result.challenger_score)
    for key, value in tags.items():
        store.client.set_model_version_tag(name, version, key, value)


def _noted(store: TrackingStore, name: str, version: str) -> GateResult:
    """What the gate has found, as `_note` wrote it."""
    found = json.loads(store.client.get_model_version(name, version).tags[GATE_TAG])
    rules = tuple(Rule(**rule) for rule in found["rules"])
    return GateResult(**{**found, "reasons": tuple(found["reasons"]), "rules": rules})
