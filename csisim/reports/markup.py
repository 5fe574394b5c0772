"""HTML by hand. What is foreign goes through `text` or is an attribute of `tag`; all else stands in the source."""

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.resources import files

from csisim.reports.text import printable


def text(value: object) -> str:
    """Between tags."""
    return escape(printable(value), quote=False)


def attribute(value: object) -> str:
    """Between the double quotes of an attribute."""
    return escape(printable(value)).replace("\n", " ").replace("\t", " ")


def tag(name: str, inner: str | None = "", /, **attributes: object) -> str:
    """An element.

    Args:
        name: such as `rect`.
        inner: markup; None for what has no end, `<rect/>`.
        attributes: any text, with `_` for `-` and `class_` for `class`; those that are None are left out.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{shown}/>" if inner is None else f"<{name}{shown}>{inner}</{name}>"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], name: str) -> str:
    """A table of cells that are markup already."""
    head = "".join(tag("th", cell, scope="col") for cell in heads)
    body = "\n".join(tag("tr", "".join(tag("td", cell) for cell in row)) for row in rows)
    inner = tag("thead", tag("tr", head)) + tag("tbody", f"\n{body}\n")
    return tag("div", tag("table", inner, class_=name), class_="wide")


def limited(items: list[str], most: int) -> str:
    """Items of a list that are markup already, and how many there are beyond `most`."""
    more = [f"and {len(items) - most:,} more"] if len(items) > most else []
    return "".join(tag("li", item) for item in [*items[:most], *more])


@cache
def asset(name: str) -> str:
    """A file that lies beside this module."""
    return files("csisim.reports").joinpath(name).read_text("utf-8")


def digest(source: str) -> str:
    """How a content security policy names the one style or script that it lets through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
