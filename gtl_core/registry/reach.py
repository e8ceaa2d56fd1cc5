"""Whether an MLflow store answers, asked before MLflow is: its own retries would take many minutes to give up."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from gtl_core.errors import InputError

_TIMEOUT_SECONDS = 5.0
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def check_reachable(uri: str) -> None:
    """Checks that a store is there, without importing MLflow.

    Args:
        uri: `sqlite:///FILE`, a database URL, or an `http` or `https` address of an MLflow server.

    Raises:
        InputError: it does not answer, cannot be written, or is something else.
    """
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme == "sqlite":
        _check_sqlite(Path(re.sub(r"^sqlite(\+\w+)?:///", "", uri)))
    elif scheme in _DEFAULT_PORTS:
        _check_database(uri, _DEFAULT_PORTS[scheme])
    elif scheme in ("http", "https"):
        _check_server(uri)
    else:
        raise InputError(
            f"MLFLOW_TRACKING_URI={shown(uri)}: use sqlite:///FILE, a postgresql, mysql or mssql URL, or the http "
            "address of an MLflow server"
        )


def _check_sqlite(path: Path) -> None:
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {path.parent} for the MLflow store: {error.strerror}") from error
        if not os.access(path.parent, os.W_OK):
            raise InputError(f"cannot write the MLflow store in {path.parent}; change its rights or set GTL_MLRUNS")
        return
    if not os.access(path, os.W_OK):
        raise InputError(f"cannot write the MLflow store {path}; change its rights or set GTL_MLRUNS")
    try:
        with closing(sqlite3.connect(path, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise InputError(f"the MLflow store {path} cannot be read ({error}); restore it or move it away") from error


def _check_database(uri: str, default_port: int) -> None:
    try:
        with closing(_connected(uri, default_port)):
            pass
    except OSError as error:
        raise InputError(
            f"the MLflow store {shown(uri)} does not answer ({error}); start its server or unset MLFLOW_TRACKING_URI"
        ) from error


def _connected(uri: str, default_port: int) -> socket.socket:
    """A connection to a database's server, which may listen on a socket in a folder: `postgresql:///NAME?host=FOLDER`.

    Raises:
        OSError: nobody answers.
    """
    parts = urlsplit(uri)
    port = parts.port or default_port
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "localhost")
    if not host.startswith("/"):
        return socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        connection.close()
        raise
    return connection


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_SECONDS):  # noqa: S310 - http(s) only
            pass
    except urllib.error.HTTPError as error:
        # Behind a proxy /health may ask for credentials that MLflow's client has; that is an answer too.
        if error.code not in (401, 403):
            raise InputError(f"{shown(uri)} answers {error.code} where an MLflow server says it is well") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"the MLflow server {shown(uri)} does not answer ({reason}); start it or unset MLFLOW_TRACKING_URI"
        ) from error


def shown(uri: str) -> str:
    """An address without its password, for messages."""
    return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", uri)
