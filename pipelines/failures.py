"""Why a Dagster run failed, in one line that can be shown to anybody."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gtl_core import errors

if TYPE_CHECKING:
    import dagster as dg

_FOR_USERS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.GtlError)}
_STOPPED = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}
_LINE_LIMIT = 500
_SECRET_VARIABLES = ("GTL_ALERT_WEBHOOK", "GTL_SMTP", "MLFLOW_TRACKING_URI")
"""Variables whose values may hold a password or are one, as the address of a webhook is."""


def failure_line(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run failed: the message that was meant for the user, or else that of the first cause.

    Args:
        instance: where the run is recorded.
        run_id: a run that has failed or was ended as failed.
    """
    import dagster as dg

    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    found = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=kinds)]
    for event in found:
        if event and event.is_step_failure and event.step_failure_data.error:
            return f"{event.step_key}: {without_secrets(_message(event.step_failure_data.error))}"
    messages = [event.message for event in found if event and event.message]
    return without_secrets(messages[-1]) if messages else "it ended without a word"


def _message(error: Any) -> str:
    """The message of a serialised exception, without the name of its class."""
    causes = list(_causes(error))
    if any(cause.cls_name in _STOPPED for cause in causes):
        return "it was stopped"
    told = next((cause for cause in causes if cause.cls_name in _FOR_USERS), causes[-1])
    return re.sub(r"^[\w.]+: ", "", told.message.strip(), count=1)


def _causes(error: Any) -> Iterator[Any]:
    """A serialised exception, and what it was raised from."""
    while error is not None:
        yield error
        error = error.cause


def without_secrets(text: str) -> str:
    """A text as one line of bearable length; addresses lose user, password and query, and known secrets are hidden."""
    for name in _SECRET_VARIABLES:
        value = os.environ.get(name)
        if value:
            text = text.replace(value, f"${name}")
    text = re.sub(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", r"\1", text)
    text = re.sub(r"(\bhttps?://[^\s?#'\"]+)[?#][^\s'\"]*", r"\1", text)
    line = " ".join(text.split())
    return line if len(line) <= _LINE_LIMIT else f"{line[: _LINE_LIMIT - 1]}…"
