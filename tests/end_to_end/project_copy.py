"""A copy of the checkout with its own homes of state, and the installed command run inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TINY = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: {target}, labelled_per_class: 5, validation_per_class: 5}}
image: {{size: 16, channels: 1}}
gan: {{width: 8, latent: 16, steps: {steps}, batch: 32, checkpoint_every: 20}}
transfer: {{strategies: [finetune, freeze_d, freeze_g_then_partial], steps: 20}}
synthesis: {{per_class: 20}}
classifier: {{width: 8, steps: 40, source_steps: 60, batch: 32}}
evaluation:
  arms: [source_only, real, real_augmented, source_finetuned, joint, transferred_gan, best_plus_gan, synthetic_only]
  draws: 2
  bootstrap: 200
"""

UNLABELLED = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: handwritten-digits, labelled_per_class: 0, use_unlabelled: true}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [{{name: translate, width: 8, batch: 16, steps: 20, bank_per_class: 20}}]}}
synthesis: {{per_class: 20}}
classifier: {{width: 8, steps: 40, source_steps: 60, batch: 32}}
evaluation:
  arms: [source_only, self_trained, info_max, real, best_plus_gan, adapted, synthetic_only]
  draws: 2
  bootstrap: 200
"""


@dataclass(frozen=True)
class Project:
    """A checkout, and the installed command run inside it."""

    root: Path

    def experiment(self, name: str, *, target: str = "handwritten-digits", steps: int = 40) -> None:
        """Writes a small experiment file."""
        (self.root / "experiments" / f"{name}.yaml").write_text(TINY.format(name=name, target=target, steps=steps))

    def unlabelled_experiment(self, name: str) -> None:
        """Writes a small experiment file whose target has no labels."""
        (self.root / "experiments" / f"{name}.yaml").write_text(UNLABELLED.format(name=name))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `gtl` without waiting for it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("GTL_", "DAGSTER_"))}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("gtl")), *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def gtl(self, *arguments: str, code: int = 0) -> str:
        """Runs `gtl`, expects an exit code, and gives its standard output, or standard error where it failed."""
        return self.ended(self.start(*arguments), code)

    def ended(self, process: subprocess.Popen[str], code: int = 0) -> str:
        """Waits for a `gtl` that was started, as `gtl` does."""
        out, error = process.communicate(timeout=900)
        assert process.returncode == code, f"{process.args} ended with {process.returncode}:\n{out}\n{error}"
        return error if code else out

    def json(self, *arguments: str) -> Any:
        """Runs `gtl … --json` and reads what it printed: one JSON value and nothing else."""
        return json.loads(self.gtl(*arguments, "--json"))
