"""The page around the sections: one file with everything in it, which asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

from gtl_core.evaluation.report.section import Section

_TEMPLATE, _STYLE = "page.html.jinja", "page.css"


@dataclass(frozen=True)
class Page:
    """What stands on a page.

    Attributes:
        kind: what sort of page it is, in a small line on top.
        title: of the page, and of its tab.
        subtitle: a quieter line below it.
        sections: by their ids, in their order.
        numbers: the file beside it that holds every number.
    """

    kind: str
    title: str
    subtitle: str
    sections: Mapping[str, Section]
    numbers: str


def render(page: Page) -> str:
    """The page as HTML, every value in it escaped.

    Its content security policy forbids every request, every script, and every style but the one in it, so that a name
    of a class or a file can do nothing, whatever stands in it.
    """
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    style = _content(_STYLE)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text: str = environment.get_template(_TEMPLATE).render(
        page=page,
        style=Markup(style),  # noqa: S704 - a file of this package
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )
    # A percent sign stays on the line of its number.
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def design_version() -> str:
    """Hash of the template and the style sheet, which no hash of the code holds."""
    return hashlib.sha256("".join(map(_content, _files())).encode()).hexdigest()[:16]


def _files() -> Sequence[str]:
    return _TEMPLATE, _STYLE


@cache
def _content(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
