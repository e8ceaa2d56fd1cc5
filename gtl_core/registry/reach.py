"""Whether an MLflow store answers, asked before MLflow is: its own retries would take many minutes to give up."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from gtl_core.errors import InputError

_TIMEOUT_SECONDS = 5.0
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_TIMED_DRIVERS = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Drivers that take `connect_timeout`."""
_NO_SECRETS = ("host", "port", "sslmode")
"""Values of an address's query that messages may show."""


def check_reachable(uri: str) -> None:
    """Checks that a store is there, without importing MLflow.

    Args:
        uri: `sqlite:///FILE`, a database URL, or an `http` or `https` address of an MLflow server.

    Raises:
        InputError: it does not answer, cannot be written, or is something else.
    """
    scheme = _scheme(uri)
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


def _scheme(uri: str) -> str:
    """The scheme of an address, without the driver, where its host and port can be read.

    Raises:
        InputError: they cannot. Nothing of the address is repeated, because its password may stand anywhere.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or re.search(r"[\x00-\x20]", parts.netloc):
        raise InputError(
            "MLFLOW_TRACKING_URI is no address whose host and port can be read; write SCHEME://[USER:PASSWORD@]HOST"
            "[:PORT], a port of 1 to 65535, and percent-encode @ : / [ ] in user and password"
        )
    return parts.scheme.split("+")[0]


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
    _check_login(uri)


def _check_login(uri: str) -> None:
    """Connects once as MLflow would, which tries again for minutes also where the database is not there."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        timed = make_url(uri).get_dialect().driver in _TIMED_DRIVERS
        waiting = {"connect_timeout": int(_TIMEOUT_SECONDS)} if timed else {}
        with create_engine(uri, poolclass=NullPool, connect_args=waiting).connect():
            pass
    except ImportError as error:
        hint = ": pip install 'gtl[postgresql]' in the environment" if error.name == "psycopg" else ""
        raise InputError(
            f"the MLflow store {shown(uri)} needs the Python module {error.name}, which is not installed{hint}"
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        raise InputError(
            f"the MLflow store {shown(uri)} cannot be used: {database_reason(error)}; mend it or unset "
            "MLFLOW_TRACKING_URI"
        ) from error


def database_reason(error: Exception) -> str:
    """What a database or its driver says of an error, in one line."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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
    parts = urlsplit(uri)
    # urllib takes a user and a password, which MLflow's client knows how to use, for a part of the host's name.
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    try:
        with urllib.request.urlopen(f"{place}/health", timeout=_TIMEOUT_SECONDS):  # noqa: S310 - http(s) only
            pass
    except urllib.error.HTTPError as error:
        # Behind a proxy /health may ask for credentials that MLflow's client has; that is an answer too.
        if error.code not in (401, 403):
            raise InputError(f"{shown(uri)} answers {error.code} where an MLflow server says it is well") from error
    except HTTPException as error:
        raise InputError(
            f"{shown(uri)} does not answer as an MLflow server does ({type(error).__name__}); name one, or unset "
            "MLFLOW_TRACKING_URI"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"the MLflow server {shown(uri)} does not answer ({reason}); start it or unset MLFLOW_TRACKING_URI"
        ) from error


def shown(uri: str) -> str:
    """An address without user, password and whatever else its query holds, for messages."""
    place, mark, query = re.sub(r"//[^/?#]*@", "//***@", uri).partition("?")
    return place + mark + re.sub(r"([^&;=]+)=[^&;]*", _shown_value, query)


def _shown_value(found: re.Match[str]) -> str:
    return found[0] if found[1].lower() in _NO_SECRETS else f"{found[1]}=***"
