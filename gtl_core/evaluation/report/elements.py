"""HTML and SVG elements whose text and attributes are always escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Content = str | Markup
"""Plain text, which is escaped, or markup that `element` made."""

NOTHING = Markup("")
"""No element at all."""

_VOID = {"img", "br", "hr", "meta", "link"}


def element(tag: str, *children: Content, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        tag: its name.
        children: what stands in it; a plain text is escaped.
        attributes: underscores become hyphens, one at the end (`class_`) falls away; those that are None are left out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _value(value))
        for name, value in attributes.items()
        if value is not None
    )
    # The tag is a constant of this package and no input.
    opening = Markup(f"<{tag}") + written + Markup(">")  # noqa: S704
    if tag in _VOID:
        return opening
    return opening + joined(children) + Markup(f"</{tag}>")  # noqa: S704


def joined(parts: Iterable[Content]) -> Markup:
    """Parts one after another, plain text escaped."""
    return Markup("").join(escape(part) for part in parts)


def table(
    caption: str, columns: Iterable[str], rows: Iterable[Iterable[Content]], *, numeric: Iterable[int] = ()
) -> Markup:
    """A table of facts: a heading a column, and the first cell of each row as the heading of its row.

    Args:
        caption: says what the table holds.
        columns: headings.
        rows: one cell a column each.
        numeric: columns that are set to the right.
    """
    right = set(numeric)

    def cell(tag: str, index: int, content: Content, **attributes: str) -> Markup:
        return element(tag, content, class_="number" if index in right else None, **attributes)

    head = joined(cell("th", index, name, scope="col") for index, name in enumerate(columns))
    body = joined(
        element(
            "tr",
            joined(
                cell("td", index, content) if index else cell("th", index, content, scope="row")
                for index, content in enumerate(row)
            ),
        )
        for row in rows
    )
    inner = element("caption", caption) + element("thead", element("tr", head)) + element("tbody", body)
    # A table that is wider than the page scrolls inside its own box, which the keyboard can reach.
    return element("div", element("table", inner), class_="scroll", tabindex="0", role="region", aria_label=caption)


def details(summary: str, content: Markup) -> Markup:
    """Something that is shown when it is asked for."""
    return element("details", element("summary", summary), content)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
