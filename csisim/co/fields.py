"""The fields of one manifest: looked at one by one, with errors that name field, value, and what is allowed."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:([kMGTPE]|[KMGTPE]i|m)|[eE]([0-9]{1,2}))?")
_FACTORS: Final = {
    "": Decimal(1), "m": Decimal("0.001"),
    "k": Decimal(1000), **{prefix: Decimal(1000) ** power for power, prefix in enumerate("MGTPE", start=2)},
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", start=1)},
}  # fmt: skip
MAX_SIZE_BYTES: Final = 1 << 60
_SHOWN: Final = 80


class ManifestError(ValueError):
    """A manifest is not what it should be; the text says where, what, and what is allowed."""


class Fields:
    """A mapping in a manifest.

    Args:
        where: file, document and path of the mapping, as errors say it.
        value: what YAML gave.
        path: of the mapping within its document, "" for the document itself.

    Raises:
        ManifestError: it is no mapping of texts.
    """

    def __init__(self, where: str, value: Any, path: str = "") -> None:
        self._where = where
        self._path = path
        if not isinstance(value, dict):
            raise self.error("", f"{_shown(value)} is not a mapping of fields")
        for key in value:
            if not isinstance(key, str):
                raise self.error("", f"the key {_shown(key)} is not a text; put it in quotes")
        self.value: dict[str, Any] = value

    def error(self, name: str, problem: str) -> ManifestError:
        """An error about a field."""
        path = f"{self._path}.{name}" if self._path and name else name or self._path
        return ManifestError(f"{self._where}: {path}: {problem}" if path else f"{self._where}: {problem}")

    def only(self, *known: str) -> None:
        """Refuse fields with other names: a misspelt one would change nothing, silently."""
        for name in self.value:
            if name not in known:
                raise self.error(name, f"is not a field here; known are {', '.join(sorted(known))}")

    def has(self, name: str) -> bool:
        """Whether the field is there, and not null."""
        return self.value.get(name) is not None

    def below(self, name: str, *, required: bool = False) -> "Fields":
        """A mapping within, an empty one if it is not there."""
        if not self.has(name):
            if required:
                raise self.error(name, "is required, and not there")
            return Fields(self._where, {}, self._inner(name))
        return Fields(self._where, self.value[name], self._inner(name))

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        found = self.value.get(name)
        if found is None:
            if default is None:
                raise self.error(name, "is required, and not there")
            return default
        if not isinstance(found, str):
            raise self.error(name, f"{_shown(found)} is not a text; put it in quotes")
        return found

    def name(self, name: str, default: str | None = None) -> str:
        """A text that names an object."""
        found = self.text(name, default)
        if found and not _NAME.fullmatch(found):
            raise self.error(
                name, f"{_shown(found)} is not a name: at most 253 of a-z, 0-9, '-' and '.', "
                "a letter or digit first and last"
            )  # fmt: skip
        if not found and default is None:
            raise self.error(name, "is required, and empty")
        return found

    def label(self, name: str, default: str) -> str:
        """A text that names a namespace."""
        found = self.text(name, default)
        if not _LABEL.fullmatch(found):
            raise self.error(name, f"{_shown(found)} is not a namespace: at most 63 of a-z, 0-9 and '-'")
        return found

    def one_of(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        """A text out of a few."""
        found = self.text(name, default)
        if found not in allowed:
            raise self.error(name, f"{_shown(found)} is not one of {', '.join(allowed)}")
        return found

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        found = self.value.get(name, default)
        if found is None:
            return default
        if not isinstance(found, bool):
            raise self.error(name, f"{_shown(found)} is neither true nor false")
        return found

    def number(self, name: str, default: int, highest: int) -> int:
        """A whole number from 0 on."""
        found = self.value.get(name)
        if found is None:
            return default
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= highest:
            raise self.error(name, f"{_shown(found)} is not a whole number from 0 to {highest}")
        return found

    def size(self, name: str) -> int:
        """A quantity in bytes; it must be there."""
        found = self.value.get(name)
        if found is None:
            raise self.error(name, "is required, and not there; say how much, such as 1Gi")
        text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
        match = _QUANTITY.fullmatch(text)
        if match is None:
            raise self.error(name, f"{_shown(found)} is not a size such as 1Gi, 500M or 1073741824")
        exact = Decimal(match[1]) * _FACTORS[match[2] or ""] * Decimal(10) ** int(match[3] or 0)
        size_bytes = int(exact.to_integral_value(rounding="ROUND_CEILING"))
        if not 0 < size_bytes <= MAX_SIZE_BYTES:
            raise self.error(name, f"{_shown(found)} is not between 1 byte and 1Ei")
        return size_bytes

    def texts(self, name: str) -> dict[str, str]:
        """A mapping of texts to texts, in order of its keys."""
        below = self.below(name)
        return {key: below.text(key, "") for key in sorted(below.value)}

    def words(self, name: str, allowed: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts."""
        found = self._list(name)
        for place, each in enumerate(found):
            if not isinstance(each, str):
                raise self.error(f"{name}[{place}]", f"{_shown(each)} is not a text; put it in quotes")
            if allowed and each not in allowed:
                raise self.error(f"{name}[{place}]", f"{_shown(each)} is not one of {', '.join(allowed)}")
        return tuple(found)

    def items(self, name: str, read: Callable[..., T]) -> list[T]:
        """A list of mappings: what `read` makes of each, which is given where, value and path."""
        return [read(self._where, each, f"{self._inner(name)}[{place}]") for place, each in enumerate(self._list(name))]

    def _list(self, name: str) -> list[Any]:
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self.error(name, f"{_shown(found)} is not a list")
        return found

    def _inner(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
