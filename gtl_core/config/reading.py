"""Reading of an experiment file, with an explanation of all that is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

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
    content = read_content(path)
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_explained(error)}") from None
    if experiment.name != path.stem:
        raise InputError(f"{path}: name is {experiment.name!r} but the file is {path.name}; make the two agree")
    for key, values in (experiment.tuning or {}).items():
        for end in values.ends:
            try:
                tuned(experiment, {key: end})
            except InputError as error:
                raise InputError(f"{path}: tuning.{key}: {end!r} cannot be, because {error}") from None
    return experiment


def read_content(path: Path) -> dict[str, Any]:
    """What stands in an experiment file, unchecked.

    By YAML 1.2, in which `1e-3` is a number and `no` a word, and where no key may stand twice.

    Raises:
        InputError: the file is missing, is not YAML, or holds no keys.
    """
    if not path.is_file():
        raise InputError(f"no experiment file {path}")
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: not a YAML file: {line}{error.problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:  # the last two of dates, numbers and brackets
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys such as name, source and target, found {type(content).__name__}")
    return content


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
        raise InputError(_explained(error)) from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _explained(error: ValidationError) -> str:
    """All that is wrong, in one line."""
    problems = error.errors()
    # A list whose elements are wrong is said to be empty too, because none of them is left.
    wrong_within = {problem["loc"][:-1] for problem in problems}
    return "; ".join(
        _explain(problem)
        for problem in problems
        if not (
            problem["type"] == "too_short" and any(loc[: len(problem["loc"])] == problem["loc"] for loc in wrong_within)
        )
    )


_EXPECTED = {
    "model_type": "expected a section with keys of its own",
    "dict_type": "expected a section with keys of its own",
    "tuple_type": "expected a list, such as [a, b]",
    "list_type": "expected a list, such as [a, b]",
    "bool_type": "expected true or false",
}
"""What pydantic tells in words of Python."""


def _explain(problem: Any) -> str:
    """One validation problem of pydantic as `key.path: what is allowed, got what was given`."""
    where = ".".join(str(part) for part in problem["loc"]) or "file"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = _EXPECTED.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    return f"{where}: {message}" if isinstance(given, (dict, list, tuple)) else f"{where}: {message}, got {given!r}"
