"""The errors that a user is meant to read: one line that says what is wrong and what to do."""

from __future__ import annotations


class GtlError(Exception):
    """A failure with a message for the user; `exit_code` is what the `gtl` command ends with."""

    exit_code = 1


class InputError(GtlError):
    """Bad input or configuration: a path, an experiment file, an option."""

    exit_code = 2


class DataFailure(GtlError):
    """The data failed a critical validation."""

    exit_code = 3


class GateRefused(GtlError):
    """The promotion gate refused a model version."""

    exit_code = 4


class Diverged(GtlError):
    """A training went wrong for good: its losses are no numbers, or it draws one picture only."""
