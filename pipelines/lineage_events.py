"""Tells of runs and of their stages as OpenLineage events, where somebody wants to hear of them.

A run is told of by the process that works on it: its start with its first stage, its end with its last one or with the
one that failed. That of a killed process is told of by whoever closes it. Whatever goes wrong in here is a warning in
the run's log, once, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from gtl_core.data.manifest import FILES
from gtl_core.data.versions import data_version
from gtl_core.errors import InputError
from gtl_core.files import read_json
from gtl_core.registry.lineage import git_commit
from gtl_core.registry.open_lineage import Dataset, EventType, Job, Sender, run_event, stage_run_id
from gtl_core.store import RECORD, Stage
from pipelines.report import find_report
from pipelines.stages import Chain


@dataclass
class _Run:
    """What this process knows of a run that it works on."""

    job: Job
    sender: Sender
    to_come: set[str]
    ended: bool = False


_RUNS: dict[str, _Run] = {}
"""Runs of this process, by Dagster's id; a run works in one process, which mostly has one run."""


@contextmanager
def telling(context: dg.AssetExecutionContext, chain: Chain) -> Iterator[None]:
    """Tells of a stage: that it starts, what it has made or why it failed; and of the run, where it is the first."""
    run = _run(context, chain)
    if run is None:
        yield
        return
    name = context.asset_key.to_user_string()
    stage = Job(f"{run.job.name}.{name}", stage_run_id(context.run_id, name, context.retry_number))
    _send(context, run, lambda: run_event("START", stage, parent=run.job, inputs=_inputs(context, chain)))
    try:
        yield
    except BaseException as error:
        kind, reason = _end_of(error), _line(error)
        _send(context, run, lambda: run_event(kind, stage, parent=run.job, error=reason))
        raise
    _send(
        context,
        run,
        lambda: run_event(
            "COMPLETE", stage, parent=run.job, inputs=_inputs(context, chain), outputs=_made(chain, name)
        ),
    )
    run.to_come.discard(name)
    if name == "data_validation" and not chain.validation_report().passed:
        failed = ", ".join(finding.check for finding in chain.validation_report().blocking)
        _end(context, run, "FAIL", f"the data failed critical checks: {failed}")
    elif not run.to_come:
        _end(context, run, "COMPLETE", "")


def tell_failure(context: dg.AssetExecutionContext, error: BaseException) -> None:
    """Tells that a run has failed for good, or was stopped."""
    run = _RUNS.get(context.run_id)
    if run:
        _end(context, run, _end_of(error), _line(error))


def tell_killed(run_id: str, experiment: str, reason: str) -> None:
    """Tells of a run whose process was killed before it could; where nobody listens any more, nobody hears of it."""
    with suppress(Exception):  # other runs wait to be closed
        sender = Sender.configured()
        if sender:
            sender.send(run_event("ABORT", Job(experiment, run_id), error=reason))


def _run(context: dg.AssetExecutionContext, chain: Chain) -> _Run | None:
    """The run that a stage belongs to, told of where it is new; None where nobody wants to hear of it."""
    if context.run_id not in _RUNS:
        sender = Sender.configured()
        if sender is None:
            return None
        steps = context.run.step_keys_to_execute or [node.name for node in context.job_def.nodes]
        run = _Run(Job(chain.experiment.name, context.run_id), sender, set(steps))
        _RUNS[context.run_id] = run

        def start() -> dict[str, Any]:
            tags = {"git_commit": git_commit(chain.homes.root), "data_version": data_version(chain.homes)}
            return run_event("START", run.job, inputs=_image_sets(chain), tags=tags)

        _send(context, run, start)
    return _RUNS[context.run_id]


def _end(context: dg.AssetExecutionContext, run: _Run, kind: EventType, error: str) -> None:
    """Tells of the end of a run, which it has once."""
    if not run.ended:
        run.ended = True
        _send(context, run, lambda: run_event(kind, run.job, error=error))


def _send(context: dg.AssetExecutionContext, run: _Run, event: Callable[[], dict[str, Any]]) -> None:
    """Makes and sends an event; nothing that goes wrong with it may stop the run."""
    try:
        troubles = run.sender.send(event())
    except Exception as error:  # noqa: BLE001 - a run matters more than the word of it
        troubles = [f"an OpenLineage event could not be made: {_line(error)}"]
    for trouble in troubles:
        context.log.warning(trouble)


def _inputs(context: dg.AssetExecutionContext, chain: Chain) -> list[Dataset]:
    """What a stage reads: the image sets, and what the stages before it have made."""
    before = sorted(key.to_user_string() for key in context.assets_def.asset_deps[context.asset_key])
    sets = _image_sets(chain)
    return sets + [made for name in before for made in _made(chain, name) if made.name not in {s.name for s in sets}]


def _made(chain: Chain, name: str) -> list[Dataset]:
    """What the stage of an asset has made, as far as it is there."""
    if name in ("source_images", "target_images"):
        return [_image_sets(chain)[name == "target_images"]]
    if name == "registered_models":
        stage = chain.found(name)
        models = read_json(stage.path / "registration.json")["models"] if stage else []
        return [Dataset(f"models/{model['name']}", str(model["version"])) for model in models]
    return [_stage_dataset(chain, stage) for stage in _stages(chain, name)]


def _stages(chain: Chain, name: str) -> list[Stage]:
    """The stages that an asset stands for."""
    try:
        if name == "transferred_gans":
            return chain.finished_gans()
        if name == "synthetic_images":
            return chain.finished_images()
        found = find_report(chain) if name == "report" else chain.found(name)
    except (InputError, KeyError):  # a stage that this experiment does not need, such as the pilot, is not there
        return []
    return [found] if found else []


def _image_sets(chain: Chain) -> list[Dataset]:
    """The source and the target."""
    found = []
    for images in chain.sets:
        assert images.folder is not None  # noqa: S101 - the sets of a chain were read from folders
        files = [images.folder / name for name in FILES]
        found.append(_with_table(f"data/{images.name}", images.version, images.folder, files))
    return found


def _stage_dataset(chain: Chain, stage: Stage) -> Dataset:
    files = [stage.path / name for name in read_json(stage.path / RECORD)["files"]]
    return _with_table(f"{chain.experiment.name}/{stage.name}", stage.version, stage.path, files)


def _with_table(name: str, version: str, folder: Path, files: list[Path]) -> Dataset:
    """A data set with what its manifest says, where it has one."""
    columns: list[tuple[str, str]] = []
    rows = None
    manifest = folder / FILES[1]
    if manifest.is_file():
        import pyarrow.parquet as pq

        about = pq.ParquetFile(manifest)
        columns = [(field.name, str(field.type)) for field in about.schema_arrow]
        rows = about.metadata.num_rows
    return Dataset(name, version, columns, rows, sum(file.stat().st_size for file in files), len(files))


def _end_of(error: BaseException) -> EventType:
    """Failed by itself, or stopped from outside."""
    return "FAIL" if isinstance(error, Exception) else "ABORT"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
