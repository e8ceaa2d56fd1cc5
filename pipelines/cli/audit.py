"""`gtl audit`: everything on record about a model, as one signed folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table


def audit(
    model: Annotated[
        str,
        typer.Argument(help="NAME@ALIAS, NAME/VERSION, or NAME for its champion.", metavar="MODEL[@ALIAS|/VERSION]"),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make.")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ed25519 private key (PEM) to sign with; by default your own, which is made on first use "
            "(GTL_KEY names another place for it).",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Put everything on record about a model into one signed folder for an auditor.

    Report, cards, lineage, the images that it has seen, history, data validation, data version, experiment and lock,
    with a README that says what each file is. What is not there any more is named.
    """
    from gtl_core.homes import Homes
    from gtl_core.synthesis.signing import signing_key
    from pipelines.audit import audit as write

    made = write(Homes.locate(), model, out, signing_key(key))
    if json_:
        show_json({"model": made.model, "folder": out, "files": made.files, "missing": made.missing, "key": made.key})
        return
    show_table(["file", "what it is"], list(made.files.items()), title=f"{made.model} in {out}")
    for sentence in made.missing:
        say(f"missing: {sentence}")
    say(f"signed with the key {made.key}")
    note(f"gtl verify {out} checks it; give {out / 'public_key.pem'} to whoever shall know that it is yours")
