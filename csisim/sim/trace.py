"""The trace hash: one digest over everything that happened, to tell two runs apart at the first difference."""

import hashlib
from typing import Any

import orjson

_FLUSH = 1024


class Trace:
    """A running digest.

    Only values that are written the same way in every process may be noted: numbers of up to 64 bits, texts, bytes,
    None, and tuples of them.

    Attributes:
        noted: what is not in the digest yet. To append to it is as good as `note`, as long as somebody calls that now
            and then: the loop does, whenever time goes on.
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._bytes = hashlib.blake2b(digest_size=16)
        self.noted: list[Any] = []

    def note(self, what: Any) -> None:
        """Add something that happened."""
        noted = self.noted
        noted.append(what)
        if len(noted) >= _FLUSH:
            self._flush()

    def note_bytes(self, where: str, data: bytes) -> None:
        """Add bytes that passed somewhere: as `note`, and cheap for long ones."""
        self._bytes.update(data)
        self.noted.append((where, len(data)))

    def hexdigest(self) -> str:
        """The digest of everything noted so far."""
        self._flush()
        both = self._hash.copy()
        both.update(self._bytes.digest())
        return both.hexdigest()

    def _flush(self) -> None:
        # One after the other and without the list's brackets, so that it does not matter when the digest is asked for.
        if self.noted:
            self._hash.update(orjson.dumps(self.noted, default=_as_text)[1:-1] + b",")
            self.noted.clear()


def _as_text(what: Any) -> dict[str, str]:
    if isinstance(what, bytes):
        return {"bytes": what.hex()}
    raise TypeError(f"{type(what).__name__} cannot be noted: its text may differ between processes")
