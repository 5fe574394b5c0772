"""Format texts that come from outside, filled in without what makes Python's own formats dangerous. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from fake_truenas.errors import CallError

_FIELD = re.compile(r"\{\{|\}\}|\{(\d{0,4})((?:\[[^\[\]{}]*\])*)\}|[{}]", re.ASCII)
_KEY = re.compile(r"\[([^\]]*)\]")
_MAX_CHARS = 1024


def fill(template: str, values: Sequence[Any]) -> str:
    """Fill in `{0}`, `{}` and `{0[key][1]}`; no attributes, conversions or widths. At most 1024 characters.

    Raises:
        CallError: another kind of field, or one without a value.
    """
    numbers = iter(range(len(values)))

    def one(match: re.Match[str]) -> str:
        if match[0] in {"{{", "}}"}:
            return match[0][0]
        if match[1] is None:
            raise CallError(f"{template!r:.200}: only fields such as {{0}} and {{0[key]}} can be filled in", 22)
        try:
            value = values[int(match[1]) if match[1] else next(numbers)]
            for key in _KEY.findall(match[2]):
                value = value[int(key) if isinstance(value, list) else key]
        except (LookupError, TypeError, ValueError, StopIteration):
            raise CallError(f"{template!r:.200}: there is no value for {match[0]}", 22) from None
        return f"{value}"[:_MAX_CHARS]

    return _FIELD.sub(one, template)[:_MAX_CHARS]
