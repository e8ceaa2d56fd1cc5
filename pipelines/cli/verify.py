"""`gtl verify`: is a folder of images, or an audit of a model, as it was when its maker signed it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.output import Json, say, show_json, show_table

if TYPE_CHECKING:
    from gtl_core.synthesis.verification import Verification

_SHOWN = 20


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder that gtl export or gtl audit has made.", metavar="FOLDER")],
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            metavar="FILE",
            help="The maker's public key, had from the maker; else it is not known whose the signature is.",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Check a signed folder against its manifest: changed, missing and foreign files, and the signature.

    Exits with 3 where anything differs.
    """
    from gtl_core.errors import DataFailure
    from gtl_core.synthesis.signing import read_public_key
    from gtl_core.synthesis.verification import verify_folder

    found = verify_folder(folder, read_public_key(public_key) if public_key else None)
    if json_:
        show_json(
            {
                "folder": folder,
                "ok": found.ok,
                "signed": found.signed,
                "key": found.key,
                "expected_key": found.expected,
                "images": len(found.manifest.images) if found.manifest else None,
                "sounds": found.manifest.sounds if found.manifest else None,
                "files": len(found.manifest.files) if found.manifest else None,
                "about": found.manifest.about if found.manifest else None,
                "findings": [vars(finding) for finding in found.findings],
            }
        )
    else:
        _show(found, folder)
    if not found.ok:
        kinds = [finding.kind for finding in found.findings]
        counts = ", ".join(f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
        raise DataFailure(f"{folder} is not as its maker signed it ({counts}); get it anew from the maker")


def _show(found: Verification, folder: Path) -> None:
    """Prints what is wrong, a line each, or what is right."""
    if not found.ok:
        show_table(
            ["", "file", "what is wrong"],
            [[finding.kind, finding.file, finding.what] for finding in found.findings[:_SHOWN]],
        )
        if len(found.findings) > _SHOWN:
            say(f"… and {len(found.findings) - _SHOWN} more; --json lists them")
        return
    assert found.manifest is not None  # noqa: S101 - without one there is a finding
    images, sounds, files = len(found.manifest.images), found.manifest.sounds, len(found.manifest.files)
    heard = f" and {sounds} sounds" if sounds else ""
    what = f"{images} images{heard} of" if images else f"{files} files about"
    say(f"{folder}: {what} {_printable(found.manifest.about.get('model'))}, as signed")
    say(f"signed with the key {found.key}" + (", as expected" if found.expected else ""))
    if not found.expected:
        say("whose key that is, only its owner can tell: get theirs, and check with --public-key FILE")


def _printable(value: Any) -> str:
    """What somebody else has written, without anything that moves a terminal's cursor."""
    text = str(value)
    return text if text.isprintable() else ascii(text)
