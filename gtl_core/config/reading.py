"""Reading of an experiment file, with an explanation of all that is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gtl_core.config.experiment import Experiment
from gtl_core.config.tuning import with_values
from gtl_core.errors import InputError


def load_experiment(path: Path) -> Experiment:
    """Reads and checks an experiment file.

    Args:
        path: a YAML file whose stem is the experiment's name.

    Raises:
        InputError: the file is missing, is not YAML, or holds an unknown key or impossible value; the
            message gives the key's path, what was given and what is allowed.
    """
    if not path.is_file():
        raise InputError(f"no experiment file {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys such as name, source and target, found {type(content).__name__}")
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise InputError(f"{path}: {problems}") from None
    if experiment.name != path.stem:
        raise InputError(f"{path}: name is {experiment.name!r} but the file is {path.name}; make the two agree")
    for key, values in (experiment.tuning or {}).items():
        for end in values.ends:
            try:
                tuned(experiment, {key: end})
            except InputError as error:
                raise InputError(f"{path}: tuning.{key}: {end!r} cannot be, because {error}") from None
    return experiment


def tuned(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The experiment with other values at some key paths, and without ranges of its own.

    Args:
        experiment: a checked experiment.
        values: by key path, as in `tuning`.

    Raises:
        InputError: there is no such key, or the values cannot be.
    """
    content = experiment.model_dump(mode="json", exclude={"tuning"})
    try:
        return Experiment.model_validate(with_values(content, values))
    except ValidationError as error:
        raise InputError("; ".join(_explain(problem) for problem in error.errors())) from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _explain(problem: Any) -> str:
    """One validation problem of pydantic as `key.path: what is allowed, got what was given`."""
    where = ".".join(str(part) for part in problem["loc"]) or "file"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    return f"{where}: {message}" if isinstance(given, (dict, list, tuple)) else f"{where}: {message}, got {given!r}"
