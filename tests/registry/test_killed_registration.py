"""A registration that was cut off at any point is completed by the next one: no second pair, no second decision."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gtl_core.config import Experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet
from gtl_core.homes import Homes
from gtl_core.registry import admission, promotion, register
from gtl_core.registry.history import entries
from gtl_core.registry.promotion import find_pair
from gtl_core.registry.register import register_experiment
from gtl_core.registry.seen import write_seen
from gtl_core.registry.standing import aliases
from gtl_core.registry.tracking import TrackingStore
from gtl_core.registry.unfinished import begun

CLASSIFIER, GENERATOR = "gtl-digits-classifier", "gtl-digits-generator"


class KilledError(BaseException):
    """Stands for the end of the process: nothing handles it on its way out."""


@pytest.fixture
def registering(
    homes: Homes,
    store: TrackingStore,
    experiment: Experiment,
    tiny_digits: Path,
    gan: Path,
    synthetic: Path,
    evaluation: Path,
) -> Callable[[str], list[dict[str, Any]]]:
    """Registers the same models once more, in a run of its own or in that in which it was begun."""
    for origin, name in ((evaluation, "evaluation"), (synthetic, "synthetic"), (gan.parent, "gan")):
        shutil.copytree(origin, homes.artifacts / "digits" / name)
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    target = ImageSet.load(homes.data / "tiny-digits")
    draws = make_draws(target, 5, 5, 0.3, 2, 0)
    seen = homes.artifacts / "digits" / "seen.parquet"
    write_seen(seen, target, target, draws, 0, pool=False, transferred=True)
    checkpoint = homes.artifacts / "digits" / "gan" / "gan.safetensors"

    def call(registration: str) -> list[dict[str, Any]]:
        earlier = begun(store, [CLASSIFIER, GENERATOR], registration)
        return register_experiment(
            experiment,
            homes,
            parent_run_id=earlier.run if earlier else store.start_run("gtl-digits", "digits"),
            dagster_run_id=None,
            evaluation=homes.artifacts / "digits" / "evaluation",
            generator=checkpoint,
            synthetic=homes.artifacts / "digits" / "synthetic",
            target=target,
            draw=draws[0],
            checkpoints=[("source_gan", checkpoint)],
            datasets=[{"name": target.name, "role": "target", "version": target.version, "images": len(target)}],
            seen=seen,
            documents={},
            data_version="0123456789abcdef0123456789abcdef.dir",
            registration=registration,
        )

    return call


@pytest.fixture
def killed_after(
    registering: Callable[[str], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], None]:
    """Registers until a step of the registration has been made for the first time."""

    def call(step: str, registration: str) -> None:
        module = {"log_package": register, "append": promotion}.get(step, admission)
        real = getattr(module, step)

        def last(*arguments: Any, **options: Any) -> None:
            real(*arguments, **options)
            raise KilledError

        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(module, step, last)
            registering(registration)

    return call


@pytest.mark.parametrize("step", ["log_package", "append", "nominate", "promote"])
def test_the_next_run_completes_it(
    step: str,
    registering: Callable[[str], list[dict[str, Any]]],
    killed_after: Callable[[str, str], None],
    store: TrackingStore,
) -> None:
    killed_after(step, "one")
    (before,) = store.client.search_model_versions(f"name='{CLASSIFIER}'")
    made = registering("one")
    assert [(model["name"], model["version"], model["alias"]) for model in made] == [
        (CLASSIFIER, "1", "champion"),
        (GENERATOR, "1", "champion"),
    ]
    assert made[0]["gate"]["passed"]
    for name in (CLASSIFIER, GENERATOR):
        (version,) = store.client.search_model_versions(f"name='{name}'")
        assert version.run_id == before.run_id
        assert [entry.action for entry in entries(store, name)] == ["registered", "promoted"]


def test_another_registration_takes_nothing_up(
    registering: Callable[[str], list[dict[str, Any]]], store: TrackingStore
) -> None:
    registering("one")
    assert [model["version"] for model in registering("two")] == ["2", "2"]
    assert aliases(store, CLASSIFIER) == {"champion": "2"}
    assert find_pair(store, CLASSIFIER, "2").generator == (GENERATOR, "2")
