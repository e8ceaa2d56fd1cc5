"""Which failures can pass by themselves, and how long to wait before a stage is tried again."""

from __future__ import annotations

import re
import sqlite3
import sys
import urllib.error
from collections.abc import Iterator

from gtl_core.errors import DataFailure, Diverged, GateRefused

MOST_RETRIES = 3
_FIRST_WAIT_SECONDS = 2.0
_FINAL = (DataFailure, Diverged, GateRefused)
"""Bad data stay bad, and the same training goes wrong in the same way."""


def wait_seconds(attempt: int) -> float:
    """How long to wait after attempt number `attempt` (0 is the first): 2, 4, 8 s."""
    return _FIRST_WAIT_SECONDS * 2**attempt


def can_pass(error: BaseException) -> bool:
    """Whether the same work may succeed a little later: a locked database, a lost connection, a server in trouble.

    What a library or GTL has wrapped is looked for in the causes, so that a store which does not answer counts
    however it was told.
    """
    causes = list(_causes(error))
    return not any(isinstance(cause, _FINAL) for cause in causes) and any(map(_passes, causes))


def _passes(error: BaseException) -> bool:
    """Whether an exception by itself tells of something that can pass."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    if isinstance(error, urllib.error.URLError):
        return isinstance(error.reason, OSError) and not _is_tls(error.reason)
    if isinstance(error, sqlite3.OperationalError):
        return "locked" in str(error) or "busy" in str(error)
    return isinstance(error, (ConnectionError, TimeoutError)) or _from_a_library(error)


def _is_tls(error: OSError) -> bool:
    """Whether a certificate was refused, which no waiting mends."""
    import ssl

    return isinstance(error, ssl.SSLCertVerificationError)


def _from_a_library(error: BaseException) -> bool:
    """The same for exceptions of requests, SQLAlchemy and MLflow; what was not imported cannot have raised any."""
    requests, alchemy, mlflow = map(sys.modules.get, ("requests.exceptions", "sqlalchemy.exc", "mlflow.exceptions"))
    if requests and isinstance(error, requests.RequestException):
        lost = (requests.ConnectionError, requests.Timeout, requests.RetryError, requests.ChunkedEncodingError)
        return isinstance(error, lost) and not isinstance(error, requests.SSLError)
    if alchemy and isinstance(error, alchemy.DBAPIError):
        return bool(error.connection_invalidated)
    # MLflow takes 500 for every error that it has no name for, so only what a server said counts.
    if mlflow and isinstance(error, mlflow.RestException):
        return int(error.get_http_status_code()) >= 500
    return bool(mlflow and isinstance(error, mlflow.MlflowException) and re.search(r"error code 5\d\d\b", str(error)))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The failure, what it was raised from, and what it was raised in the handling of."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
