"""Opening pages in the browser of whoever gives a command."""

from __future__ import annotations

from collections.abc import Sequence


def open_pages(addresses: Sequence[str]) -> bool:
    """Opens pages where there is a screen to show them on; a text browser would take the terminal away.

    Returns:
        Whether there is a screen.
    """
    import os
    import sys
    import webbrowser

    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        for address in addresses:
            webbrowser.open(address)
        return True
    return False
