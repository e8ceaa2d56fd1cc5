"""Registered models: a readable file of code, a safetensors file of weights, lineage record and card beside them."""

from __future__ import annotations

import ast
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gtl_core.files import file_sha256, write_json, write_text
from gtl_core.registry.lineage import LINEAGE_FILE, LINEAGE_TAG
from gtl_core.registry.model_card import MODEL_CARD
from gtl_core.registry.seen import SEEN_FILE
from gtl_core.registry.tracking import TrackingStore

_ROOT = Path(__file__).parents[1]
_WRAPPERS = Path(__file__).with_name("model_code")
_WEIGHTS = "generator.safetensors"
_REQUIRED = ("mlflow", "torch", "safetensors", "numpy", "pandas")


@dataclass(frozen=True)
class Package:
    """A model on disk that is ready to be logged.

    Attributes:
        kind: what it is.
        folder: the MLflow model's folder.
        files: SHA-256 of its weights and of its code, by path inside the folder.
    """

    kind: Literal["classifier", "generator"]
    folder: Path
    files: Mapping[str, str]


def package_classifier(weights: Path, example: np.ndarray, folder: Path) -> Package:
    """Packages a trained classifier.

    Args:
        weights: file from `gtl_core.training.classifier.save_classifier`.
        example: uint8 (N, C, S, S), images to show how the model is called.
        folder: made by this call.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    from gtl_core.networks.backbones import classifier_module
    from gtl_core.training.classifier import load_classifier

    model, classes = load_classifier(weights)
    columns: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "label")]
    columns += [ColSpec(DataType.float, f"p({name})") for name in classes]
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, *example.shape[1:]))]), outputs=Schema(columns)
    )
    network = _ROOT / "networks" / f"{classifier_module(model.backbone)}.py"
    code = compose_code(network, _WRAPPERS / "classifier.py")
    required = (*_REQUIRED, *model.requires)
    return _package("classifier", code, weights, model.options, classes, signature, example, folder, required)


def package_generator(checkpoint: Path, folder: Path) -> Package:
    """Packages the averaged generator of a GAN; the discriminator and the optimisers stay behind.

    Args:
        checkpoint: `gan.safetensors` of a training.
        folder: made by this call.
    """
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
    from safetensors.torch import save_file

    from gtl_core.networks.registry import generator_module
    from gtl_core.training.checkpoint import GanCheckpoint

    gan = GanCheckpoint.load(checkpoint)
    spec = gan.spec
    options = spec.options
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "label")]),
        outputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, spec.channels, spec.size, spec.size))]),
        params=ParamSchema([ParamSpec("seed", DataType.long, 0)]),
    )
    example = (pd.DataFrame({"label": [gan.classes[0], gan.classes[-1]]}), {"seed": 1})
    code = compose_code(_ROOT / "networks" / f"{generator_module(spec)}.py", _WRAPPERS / "generator.py")
    texts = {"texts": list(gan.texts.texts)} if gan.texts else {}
    about = json.dumps({"options": options, "classes": list(gan.classes), **texts}, sort_keys=True)
    with tempfile.TemporaryDirectory(prefix="gtl-package-") as scratch:
        weights = Path(scratch) / _WEIGHTS
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in gan.ema.items()}
        save_file(tensors, weights, metadata={"gtl": about})
        return _package("generator", code, weights, options, gan.classes, signature, example, folder)


def compose_code(network: Path, wrapper: Path) -> str:
    """One source file of a self-contained network and of the MLflow wrapper around it.

    Args:
        network: a module of `gtl_core.networks` that imports nothing of this project but others of them, which are
            put before it.
        wrapper: a module of `gtl_core.registry.model_code`; its imports of this project name what the network
            defines, so they are left out.
    """
    about = ast.get_docstring(ast.parse(wrapper.read_text(encoding="utf-8"))) or ""
    header = (
        f'"""{about}\n\nPut together by gtl {installed_version("gtl")} from its networks/{network.name} and '
        f'registry/model_code/{wrapper.name}; it needs none of gtl.\n"""\n\nfrom __future__ import annotations\n'
    )
    bodies = "\n\n".join(_body(path) for path in [*_imported(network), network])
    parts = [f"# The network.\n\n{bodies}", f"# The model around it, as MLflow calls it.\n\n{_body(wrapper)}"]
    return "\n\n".join([header, *parts])


def log_package(
    store: TrackingStore,
    run_id: str,
    package: Package,
    *,
    name: str,
    lineage: Mapping[str, Any],
    seen: Path,
    card: str,
    tags: Mapping[str, str],
    description: str,
) -> str:
    """Logs a package in a run, its lineage record, its card and what it has seen inside, and registers a new version.

    Args:
        store: the MLflow store.
        run_id: the run that it came from.
        package: what to log; record and card are written into its folder.
        name: the registered model, which is made where it is not there.
        lineage: from `build_record`; the hashes of the package's files and of the card are added.
        seen: file from `write_seen`.
        card: from `model_card`.
        tags: tags of the version.
        description: what people read on the version's page.

    Returns:
        The version.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    client = store.client
    record = package.folder / LINEAGE_FILE
    write_text(package.folder / MODEL_CARD, card)
    shutil.copyfile(seen, package.folder / SEEN_FILE)
    files = {**package.files, MODEL_CARD: file_sha256(package.folder / MODEL_CARD)}
    write_json(record, {**lineage, "files": files})
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name=package.kind, source_run_id=run_id, model_type=package.kind)
    _set_identity(package.folder, str(logged.model_id), run_id)
    client.log_model_artifacts(logged.model_id, str(package.folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description=f"The {package.kind} that gtl run makes.")
    version = client.create_model_version(
        name,
        source=logged.artifact_location,
        run_id=run_id,
        tags={**tags, "gtl.kind": package.kind, LINEAGE_TAG: file_sha256(record)},
        description=description,
        model_id=logged.model_id,
    )
    return str(version.version)


def _package(
    kind: Literal["classifier", "generator"],
    code: str,
    weights: Path,
    options: Mapping[str, Any],
    classes: Sequence[str],
    signature: Any,
    example: Any,
    folder: Path,
    required: Sequence[str] = _REQUIRED,
) -> Package:
    """Lets MLflow lay out code and weights as a model in `folder`.

    The name of the weights in `folder` is that of the file `weights`.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="gtl-code-") as scratch:
        source = Path(scratch) / f"{kind}.py"
        write_text(source, code)
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(source),
            artifacts={"weights": str(weights)},
            signature=signature,
            input_example=example,
            pip_requirements=[f"{package}=={_release(package)}" for package in required],
            metadata={"classes": list(classes), "size": options["size"], "channels": options["channels"]},
        )
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # MLflow has run the code to look at its model
    files = (f"artifacts/{weights.name}", f"{kind}.py")
    return Package(kind, folder, {file: file_sha256(folder / file) for file in files})


def _imported(network: Path) -> list[Path]:
    """The modules beside a network that it imports, those first that others need."""
    found: list[Path] = []
    for node in ast.parse(network.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gtl_core.networks."):
            path = network.with_name(f"{(node.module or '').rsplit('.', 1)[1]}.py")
            found += [needed for needed in (*_imported(path), path) if needed not in found]
    return found


def _set_identity(folder: Path, model_id: str, run_id: str) -> None:
    """Writes into a packaged model which run it came from and what MLflow calls it."""
    from mlflow.models import Model

    model = Model.load(str(folder))
    model.run_id, model.model_id = run_id, model_id
    model.save(str(folder / "MLmodel"))


def _body(path: Path) -> str:
    """A module's source without its docstring, its `__future__` import and its imports of this project.

    Notes to linters go too: they mean nothing where the file ends up.
    """
    source = path.read_text(encoding="utf-8")
    dropped: set[int] = set()
    for position, node in enumerate(ast.parse(source).body):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        docstring = position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or module == "__future__" or module.split(".")[0] == "gtl_core":
            dropped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    kept = (line for number, line in enumerate(source.splitlines(), start=1) if number not in dropped)
    readable = re.sub(r"  # (type: ignore|noqa).*", "", "\n".join(kept))
    return re.sub(r"\n{4,}", "\n\n\n", readable).strip() + "\n"


def _release(package: str) -> str:
    """Installed version without a local part such as `+cpu`, which no package index has."""
    return installed_version(package).split("+")[0]
