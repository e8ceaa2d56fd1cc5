"""The `gtl` command: mounts the groups of commands and turns every failure into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from gc import freeze
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gtl_core.errors import GtlError
from pipelines.cli import (
    alerts,
    audit,
    data,
    doctor,
    gc,
    imagine,
    lineage,
    models,
    promotion,
    report,
    reproduce,
    restore,
    resume,
    run,
    study,
    stylise,
    synthesis,
    tune,
    ui,
    validate,
    verify,
)
from pipelines.cli.output import note

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_SUCH_PLACE = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}
_INTERRUPTED = 130
_DAGSTER_INTERRUPTION = "DagsterExecutionInterruptedError"
"""Named, because importing Dagster takes more than a second."""

START = "Start"
DATA = "Data"
RESULTS = "Results"
PRODUCTION = "Production"
PROJECT = "Project"

HELP = """\
GAN transfer learning: from few images of your own to a better classifier.

You have few labelled images or none (the target), and many related ones (the source). gtl learns a GAN on the \
source, transfers it to the target, trains classifiers with and without the images that it makes, tells you whether \
they [bold]help[/bold], [bold]harm[/bold] or leave it [bold]inconclusive[/bold], and registers the best model with \
everything that it is made of.
"""

GUIDE = """\
The usual order:
  gtl doctor                  is everything in place?
  gtl demo                    the whole chain on built-in sets, without labels and with a few, in minutes
  gtl data import NAME PATH   your source images, then your target images
  gtl data validate NAME      blank images, duplicates, leaks into the test part
  gtl run EXPERIMENT          experiments/EXPERIMENT.yaml, from data to models
  gtl resume EXPERIMENT       goes on where a run was killed or failed
  gtl tune EXPERIMENT         better settings within the ranges that its file declares
  gtl report EXPERIMENT       the verdict and everything behind it, on one page
  gtl models                  what is registered, and which is the champion
  gtl lineage MODEL@champion  what that model is made of; --down SET tells which models have seen a set
  gtl promote MODEL VERSION   approve of a challenger; gtl rollback MODEL takes it back, gtl history MODEL tells all
  gtl ui                      Dagster and MLflow in the browser
  gtl gc --keep N             removes what no model and no history needs

Exit codes:
  0  done
  1  unexpected failure
  2  bad input or configuration
  3  the data failed validation, or something is not as it was signed or recorded
  4  the gate refused

Each command explains itself with --help; those that print a table take --json.
"""


class _Teaching(TyperGroup):
    """Adds the guide, in its own lines, below the list of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        typer.echo(GUIDE, nl=False)


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    cls=_Teaching,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gtl {version('gtl')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


data.app.command("validate")(validate.validate)

app.command("demo", rich_help_panel=START)(run.demo)
app.command("run", rich_help_panel=START)(run.run)
app.command("resume", rich_help_panel=START)(resume.resume)
app.add_typer(data.app, name="data", rich_help_panel=DATA)
app.command("export", rich_help_panel=DATA)(synthesis.export)
app.command("verify", rich_help_panel=DATA)(verify.verify)
app.command("restore", rich_help_panel=DATA)(restore.restore)
app.command("stylise", rich_help_panel=DATA)(stylise.stylise)
app.command("imagine", rich_help_panel=DATA)(imagine.imagine)
app.command("models", rich_help_panel=RESULTS)(models.models)
app.command("report", rich_help_panel=RESULTS)(report.report)
app.command("compare", rich_help_panel=RESULTS)(report.compare)
app.add_typer(study.app, name="study", rich_help_panel=RESULTS)
app.command("tune", rich_help_panel=RESULTS)(tune.tune)
app.command("lineage", rich_help_panel=RESULTS)(lineage.lineage)
app.command("promote", rich_help_panel=PRODUCTION)(promotion.promote)
app.command("reject", rich_help_panel=PRODUCTION)(promotion.reject)
app.command("rollback", rich_help_panel=PRODUCTION)(promotion.rollback)
app.command("unfreeze", rich_help_panel=PRODUCTION)(promotion.unfreeze)
app.command("history", rich_help_panel=PRODUCTION)(promotion.history)
app.command("reproduce", rich_help_panel=PRODUCTION)(reproduce.reproduce)
app.command("audit", rich_help_panel=PRODUCTION)(audit.audit)
app.add_typer(alerts.app, name="alerts", rich_help_panel=PRODUCTION)
app.command("ui", rich_help_panel=RESULTS)(ui.ui)
app.command("doctor", rich_help_panel=PROJECT)(doctor.doctor)
app.command("gc", rich_help_panel=PROJECT)(gc.gc)


def main() -> None:
    """Entry point of the console script."""
    code = invoke(sys.argv[1:])
    freeze()  # else Python looks through everything that was imported for garbage as it ends, for half a second
    sys.exit(code)


def invoke(arguments: Sequence[str]) -> int:
    """Runs one command line.

    Args:
        arguments: what stands behind `gtl`. `--debug` may stand anywhere in it.

    Returns:
        The exit code.
    """
    debug = "--debug" in arguments
    try:
        result = app([word for word in arguments if word != "--debug"], prog_name="gtl", standalone_mode=False)
        # What is still buffered would otherwise fail at exit, where nobody can tell why.
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last resort; Dagster's interruption is no Exception
        if debug:
            traceback.print_exception(error)
        message, code = explain(error)
        if message:
            note(f"gtl: {message}")
        return code
    code = result if isinstance(result, int) else 0
    if code == _INTERRUPTED:
        note("gtl: stopped")
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """One line for a failure, empty where there is nothing more to say, and the exit code.

    What a library wraps is looked for in the causes, so that a full disk is told as such wherever it was met.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, GtlError):
            return _one_line(str(cause)), cause.exit_code
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return _no_room(cause.filename), 2
        if "database or disk is full" in str(cause):
            return _no_room(None), 2
        if isinstance(cause, (KeyboardInterrupt, typer.Abort)) or type(cause).__name__ == _DAGSTER_INTERRUPTION:
            return "stopped", _INTERRUPTED
    if isinstance(error, typer.TyperException):
        if not error.format_message():  # a group without a command has shown its help
            return "", error.exit_code
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        return _one_line(error.format_message()) + hint, error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of a pipe, such as head, has gone; what is still buffered must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "", 1
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return f"may not write or read {error.filename or 'a file'}: {error.strerror}; gtl doctor shows the homes", 2
    if isinstance(error, OSError) and error.errno in _NO_SUCH_PLACE and error.filename:
        return f"{_one_line(str(error.filename))}: {str(error.strerror).lower()}; name another file or folder", 2
    what = _one_line(str(error))
    kind = type(error).__name__
    return f"unexpected failure: {kind}{': ' if what else ''}{what}; run again with --debug for the traceback", 1


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The failure, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _no_room(filename: str | None) -> str:
    where = f" for {filename}" if filename else ""
    return f"no disk space left{where}; free some and run the same command again"


def _one_line(text: str) -> str:
    return " ".join(text.split())
