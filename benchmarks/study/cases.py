"""The cases of the study and the published numbers beside them, read from their YAML files and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gtl_core.config import Experiment, Slug
from gtl_core.errors import InputError

Budget = Literal["labelled only", "unlabelled pool, no labels", "labels and pool"]
"""What of the target may be learned from. Numbers of different budgets never stand in one table."""
BUDGETS: tuple[Budget, ...] = get_args(Budget)

STORE = "study"
"""Experiment name of every case: keys of stages hash what they are made from, so cases share equal stages."""


class _Strict(BaseModel):
    """Unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Model = TypeVar("Model", bound=_Strict)


class Goal(_Strict):
    """What a case shall reach.

    Attributes:
        what: the goal in words.
        arm: `best arm` or `best GAN arm` (as chosen without the test part), an arm's whole name, or an arm that
            stands once for each strategy, by its kind alone: then that of the chosen GAN arm's strategy.
        versus: the arm that `arm` is compared with, named likewise; None for a goal that is an accuracy.
        at_least: percent of accuracy that the mean over draws reaches, or points of accuracy above which the whole
            interval of the difference lies.
        note: what else there is to know.
        tried: what was tried towards it beyond the case as it stands, shown where it is not met.
    """

    what: str
    arm: str
    versus: str | None = None
    at_least: float
    note: str = ""
    tried: str = ""


class Case(_Strict):
    """One protocol: an experiment, and what it is measured against.

    Attributes:
        name: what `--cases` takes.
        title: heading in the report.
        budget: what of the target may be learned from.
        protocol: what a reader must know to compare the numbers.
        experiment: the whole experiment.
        goals: what it shall reach.
    """

    name: Slug
    title: str
    budget: Budget
    protocol: str
    experiment: Experiment
    goals: list[Goal] = []

    @model_validator(mode="after")
    def _budget_is_kept(self) -> Case:
        target = self.experiment.target
        allowed = {
            (True, False): "labelled only",
            (False, True): "unlabelled pool, no labels",
            (True, True): "labels and pool",
        }
        found = allowed.get((target.labelled_per_class > 0, target.use_unlabelled))
        if found != self.budget:
            raise ValueError(f"budget is {self.budget!r}, but the experiment's target gives {found or 'nothing'!r}")
        return self


class Published(_Strict):
    """One published number.

    Attributes:
        method: its name.
        value: percent of accuracy.
        spread: standard deviation over repetitions, where one is given.
        source: where it was published.
        protocol: how it was measured, as far as that is known.
    """

    method: str
    value: float
    spread: float | None = None
    source: str
    protocol: str


class Literature(_Strict):
    """All published numbers.

    Attributes:
        cases: by case, within that case's budget.
        fully_supervised: by pair of sets, classifiers that were trained on the whole labelled target.
    """

    cases: dict[str, list[Published]]
    fully_supervised: dict[str, list[Published]]


def load_cases(path: Path, draws: int | None = None) -> list[Case]:
    """Reads a file with a `base` experiment, and `cases` that each override parts of it.

    Args:
        path: the YAML file.
        draws: number of draws of every case, or None for what the file says.

    Raises:
        InputError: a case is not valid, or two have one name.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked: dict[str, Any] = {"evaluation": {"draws": draws}} if draws else {}
    cases = []
    for entry in content["cases"]:
        own = {"name": STORE, "description": entry["title"]}
        experiment = merged(merged(merged(content["base"], entry["experiment"]), asked), own)
        cases.append(_checked(Case, {**entry, "experiment": experiment}, f"{path.name}: {entry['name']}"))
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise InputError(f"{path.name}: two cases have one name")
    return cases


def load_literature(path: Path) -> Literature:
    """Reads the published numbers.

    Raises:
        InputError: the file is not valid.
    """
    return _checked(Literature, yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `override`; mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in override.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = merged(before, value)
        result[key] = value
    return result


def _checked(model: type[Model], content: Any, where: str) -> Model:
    """An instance of a model, or one line that says what is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'case'}: {problem['msg']}" for problem in error.errors()
        )
        raise InputError(f"{where}: {problems}") from None
