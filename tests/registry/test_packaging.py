"""Registered models as they lie on disk: readable code and weights that need nothing of this project."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from gtl_core.config import GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.progress import silent
from gtl_core.registry.gate import Candidate, predict_elsewhere, why_incomparable
from gtl_core.registry.packaging import Package, package_classifier, package_generator
from gtl_core.synthesis.sampling import synthesise
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.classifier import load_classifier
from gtl_core.training.runtime import to_unit_range
from gtl_core.transfer.pretrain import pretrain_source


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, evaluation: Path, synthetic: Path) -> Package:
    """A packaged classifier."""
    example = np.array(SyntheticSet.load(synthetic).images[:2])
    weights = evaluation / "best" / "classifier.safetensors"
    return package_classifier(weights, example, tmp_path_factory.mktemp("package") / "classifier")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory, gan: Path) -> Package:
    """A packaged generator."""
    return package_generator(gan, tmp_path_factory.mktemp("package") / "generator")


@pytest.mark.parametrize("kind", ["classifier", "generator"])
def test_a_package_is_one_file_of_code_with_safetensors_and_no_pickle(kind: str, request: pytest.FixtureRequest):
    package: Package = request.getfixturevalue(kind)
    files = {path.relative_to(package.folder).as_posix() for path in package.folder.rglob("*") if path.is_file()}
    assert {path for path in files if path.endswith(".py")} == {f"{kind}.py"}
    assert [path for path in files if path.startswith("artifacts/")] == [f"artifacts/{kind}.safetensors"]
    assert not [path for path in files if Path(path).suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin", ".pyc")]
    tree = ast.parse((package.folder / f"{kind}.py").read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names <= {"mlflow", "numpy", "pandas", "torch", "safetensors"}
    assert not imported & {"pickle", "marshal", "shelve", "subprocess", "socket"}


def test_the_registered_weights_are_the_evaluated_file_itself(classifier: Package, evaluation: Path):
    packaged = (classifier.folder / "artifacts" / "classifier.safetensors").read_bytes()
    assert packaged == (evaluation / "best" / "classifier.safetensors").read_bytes()


def test_only_the_averaged_generator_leaves_the_checkpoint(generator: Package, gan: Path):
    from gtl_core.training.checkpoint import GanCheckpoint

    ema = GanCheckpoint.load(gan).ema
    with safe_open(generator.folder / "artifacts" / "generator.safetensors", framework="pt") as weights:
        assert set(weights.keys()) == set(ema)
        assert all(torch.equal(weights.get_tensor(name), tensor) for name, tensor in ema.items())


def test_requirements_are_exact_and_known_to_a_package_index(classifier: Package):
    lines = (classifier.folder / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in lines} == {"mlflow", "torch", "safetensors", "numpy", "pandas"}
    assert all("==" in line and "+" not in line for line in lines)


def test_the_packaged_classifier_gives_the_trained_ones_probabilities(
    classifier: Package, evaluation: Path, tiny_digits: Path
):
    images = np.array(ImageSet.load(tiny_digits).images[:300])
    table = mlflow.pyfunc.load_model(str(classifier.folder)).predict(images)
    network, names = load_classifier(evaluation / "best" / "classifier.safetensors")
    with torch.inference_mode():
        expected = network.cpu()(to_unit_range(torch.from_numpy(images))).softmax(dim=1).numpy()
    np.testing.assert_allclose(table[[f"p({name})" for name in names]].to_numpy(), expected, atol=1e-5)
    assert table["label"].tolist() == [names[index] for index in expected.argmax(axis=1)]


def test_the_packaged_generator_repeats_the_synthetic_set_from_its_seed(generator: Package, synthetic: Path):
    made = SyntheticSet.load(synthetic)
    labels = made.manifest[["class"]].rename(columns={"class": "label"})
    again = mlflow.pyfunc.load_model(str(generator.folder)).predict(labels, params={"seed": made.card["seed"]})
    assert again.dtype == np.uint8
    assert np.array_equal(again, made.images)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_generators_of_every_architecture_can_be_packaged_in_colour(architecture: str, tmp_path: Path):
    config = GanConfig(architecture=architecture, width=8, latent=8, steps=2, batch=8)
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 20, 20), dtype=np.uint8)
    checkpoint = pretrain_source(images, np.arange(16) % 2, ("cat", "dog"), config, 0, tmp_path, silent)
    package = package_generator(checkpoint, tmp_path / "package")
    drawn = mlflow.pyfunc.load_model(str(package.folder)).predict(
        pd.DataFrame({"label": ["cat", "cat", "dog", "dog"]}), params={"seed": 5}
    )
    assert np.array_equal(drawn, synthesise(checkpoint, 2, 5, tmp_path / "set").images)


def test_the_packaged_generator_names_the_classes_that_it_can_draw(generator: Package):
    with pytest.raises(ValueError, match=r"draws 0, 1, .*asked for dog"):
        mlflow.pyfunc.load_model(str(generator.folder)).predict(pd.DataFrame({"label": ["dog"]}))


def test_images_of_another_size_are_refused_by_the_signature(classifier: Package):
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        mlflow.pyfunc.load_model(str(classifier.folder)).predict(np.zeros((2, 1, 8, 8), np.uint8))


def test_the_stored_example_can_be_sent_to_a_serving_model_as_it_is(classifier: Package, generator: Package):
    from mlflow.pyfunc.scoring_server import infer_and_parse_data, parse_tf_serving_input

    for package in (classifier, generator):
        model = mlflow.pyfunc.load_model(str(package.folder))
        sent = json.loads((package.folder / "serving_input_example.json").read_text())
        schema = model.metadata.get_input_schema()
        if package.kind == "classifier":
            data = parse_tf_serving_input(sent, schema)
            assert len(model.predict(data)) == 2
        else:
            assert model.predict(infer_and_parse_data(sent, schema), params=sent["params"]).shape == (2, 1, 16, 16)


def test_a_fresh_process_loads_what_needs_nothing_of_this_project_and_tells_what_is_wrong_with_the_rest(
    classifier: Package, generator: Package, tiny_digits: Path, tmp_path: Path
):
    dependent, damaged = tmp_path / "dependent", tmp_path / "damaged"
    for folder in (dependent, damaged):
        shutil.copytree(classifier.folder, folder)
    with (dependent / "classifier.py").open("a") as code:
        code.write("\nimport gtl_core.config\n")
    weights = damaged / "artifacts" / "classifier.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    digits = ImageSet.load(tiny_digits)
    good, needy, broken, drawn = predict_elsewhere(
        [
            Candidate("good", classifier.folder, "classifier"),
            Candidate("needy", dependent, "classifier"),
            Candidate("broken", damaged, "classifier"),
            Candidate("drawn", generator.folder, "generator"),
        ],
        np.array(digits.images),
    )
    assert good.error == ""
    assert good.values is not None
    assert good.values.shape == (len(digits), 10)
    assert good.columns == tuple(f"p({name})" for name in digits.classes)
    assert "gtl_core" in needy.error
    assert broken.error
    assert drawn.values is not None
    assert drawn.values.shape == (10, 1, 16, 16)
    assert not list(classifier.folder.rglob("__pycache__"))


def test_a_champion_is_compared_only_on_images_and_classes_that_it_knows(classifier: Package, tiny_digits: Path):
    digits = ImageSet.load(tiny_digits)
    champion = Candidate("champion model/1", classifier.folder, "classifier")
    assert why_incomparable(champion, digits.images, digits.classes[::-1]) == ""
    assert "classes" in why_incomparable(champion, digits.images, (*digits.classes[:9], "ten"))
    assert "channels" in why_incomparable(champion, np.repeat(digits.images[:2], 3, axis=1), digits.classes)
    gone = Candidate("champion model/1", classifier.folder / "gone", "classifier")
    assert "not at" in why_incomparable(gone, digits.images, digits.classes)
