"""The four homes of state, and the only places that GTL writes to by itself.

| home | holds | moved by |
|---|---|---|
| `data/` | image sets, versioned by DVC | `GTL_DATA` |
| `mlruns/` | MLflow: `mlflow.db` and `artifacts/` | `GTL_MLRUNS` |
| `artifacts/` | stage outputs, by experiment, stage and version | `GTL_ARTIFACTS` |
| `.dagster/` | Dagster's runs, events and logs | `GTL_DAGSTER` |

Experiment files are read from `experiments/`, or from the folder named by `GTL_EXPERIMENTS`. The key that exports are
signed with belongs to a person, not to a project, and is kept outside all of these: see `signing_key_file`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gtl_core.errors import InputError


@dataclass(frozen=True)
class Homes:
    """Absolute paths of a project's root and of its homes of state."""

    root: Path
    data: Path
    mlruns: Path
    artifacts: Path
    dagster: Path
    experiments: Path

    @classmethod
    def locate(cls) -> Homes:
        """Homes of the project around the working directory, after the environment variables.

        The root is `GTL_ROOT`, or the nearest folder at or above the working directory that holds
        `dagster.yaml` and `pyproject.toml`.

        Raises:
            InputError: there is no such folder. No other project is taken then: a command would change that one.
        """
        if "GTL_ROOT" in os.environ:
            root = Path(os.environ["GTL_ROOT"]).resolve()
        else:
            here = Path.cwd().resolve()
            marked = (
                folder
                for folder in (here, *here.parents)
                if (folder / "dagster.yaml").is_file() and (folder / "pyproject.toml").is_file()
            )
            found = next(marked, None)
            if found is None:
                raise InputError(
                    f"no project at or above {here} (dagster.yaml beside pyproject.toml); cd to one, or set GTL_ROOT"
                )
            root = found

        def home(variable: str, name: str) -> Path:
            return Path(os.environ.get(variable, root / name)).resolve()

        return cls(
            root=root,
            data=home("GTL_DATA", "data"),
            mlruns=home("GTL_MLRUNS", "mlruns"),
            artifacts=home("GTL_ARTIFACTS", "artifacts"),
            dagster=home("GTL_DAGSTER", ".dagster"),
            experiments=home("GTL_EXPERIMENTS", "experiments"),
        )

    def environment(self) -> dict[str, str]:
        """The variables with which a child process finds the same homes, quiet and without telemetry."""
        return {
            "GTL_ROOT": str(self.root),
            "GTL_DATA": str(self.data),
            "GTL_MLRUNS": str(self.mlruns),
            "GTL_ARTIFACTS": str(self.artifacts),
            "GTL_DAGSTER": str(self.dagster),
            "GTL_EXPERIMENTS": str(self.experiments),
            "DAGSTER_HOME": str(self.dagster),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GX_ANALYTICS_ENABLED": "false",
            "DVC_NO_ANALYTICS": "true",
        }


def signing_key_file() -> Path:
    """Where the user's signing key is kept, whether it is there or not: `GTL_KEY`, or in the user's own configuration.

    It lies outside every project, so that no commit, data version or run can carry it away.
    """
    if os.environ.get("GTL_KEY"):
        return Path(os.environ["GTL_KEY"]).absolute()
    configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(configuration) / "gtl" / "signing_key.pem"
