"""HTML by hand, with one rule: what is not ``Markup`` is escaped, whoever wrote it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

LONG = 22


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(value: Any) -> Markup:
    """Markup as it is; anything else as text, so that no name in a run can become a tag or a script."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def element(name: str, *inside: Any, **attributes: str) -> Markup:
    """``<name …>inside</name>``; ``cls`` is written ``class``."""
    told = "".join(f' {"class" if key == "cls" else key}="{escaped(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>{joined(inside)}</{name}>")


def joined(parts: Iterable[Any]) -> Markup:
    """One after the other."""
    return Markup("".join(escaped(part) for part in parts))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table that scrolls by itself on a narrow screen; a sentence where it has no rows."""
    lines = [element("tr", *(_cell(each) for each in row)) for row in rows]
    if not lines:
        return element("p", "None.", cls="none")
    heads = element("thead", element("tr", *(element("th", each) for each in head)))
    return element("div", element("table", heads, element("tbody", *lines)), cls="scroll")


def _cell(value: Any) -> Markup:
    """Long text may be broken into lines, a number with its unit may not."""
    return element("td", value, cls="wide") if len(str(value)) > LONG and not isinstance(value, Markup) else element("td", value)


def section(title: str, *inside: Any) -> Markup:
    """A heading and what stands below it."""
    return element("section", element("h2", title), *inside)


def folded(title: str, *inside: Any) -> Markup:
    """Closed until somebody opens it."""
    return element("details", element("summary", title), *inside)
