"""What a packed file may unpack to: one rule for zip archives, NPZ, Parquet and IDX files.

Files are never unpacked to disk, and read one by one, each of a limited size. So what a decompression bomb could cost
is time, and memory where a file lies about its size.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from gtl_core.errors import InputError

HARMLESS_BYTES = 2**30
"""What unpacks to no more than this takes seconds, however well it is packed: silence packs a thousand times."""
MOST_RATIO = 200
"""What unpacks to more may have so many times its packed size; sets of images and sounds have less than ten times."""
MAX_MEMBERS = 2_000_000

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError)
"""What reading a damaged member raises: where the damage is in a number, zipfile takes it for a later version's."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def require_harmless(path: Path, unpacked: int) -> None:
    """Refuses a file that would unpack to far more than images or sounds have.

    The whole file counts: a bomb can also be of many small members, which may overlap.

    Args:
        path: the file.
        unpacked: bytes that it unpacks to, as it says itself.

    Raises:
        InputError: it is one.
    """
    size = path.stat().st_size
    if unpacked > max(HARMLESS_BYTES, MOST_RATIO * size):
        raise InputError(
            f"{path}: says that it unpacks to {unpacked / 1e6:,.0f} MB from {size / 1e6:.2f} MB, which no set of "
            "images or sounds does; it is not read"
        )


def open_zip(path: Path, kind: str) -> zipfile.ZipFile:
    """Opens a zip archive; what is read of a member must be limited to `ZipInfo.file_size`.

    Args:
        path: the archive.
        kind: what it is, for messages, such as `zip archive`.

    Raises:
        InputError: it is no zip archive, is encrypted or packed by another method than deflate, has too many members,
            or would unpack to far more than images or sounds have.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise InputError(f"{path}: not a whole {kind}; download or pack it again") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path}: {len(members)} files, at most {MAX_MEMBERS} are read; pack fewer")
    for member in members:
        if member.flag_bits & 0x1:
            raise InputError(f"{path}: member {member.filename!r} is encrypted; pack it again without a password")
        # Python's decompressors of the other methods give all at once, whatever the member says of its size.
        if member.compress_type not in _METHODS:
            raise InputError(f"{path}: member {member.filename!r} is packed in a rare way; pack it again with deflate")
    require_harmless(path, sum(member.file_size for member in members))
    return archive
