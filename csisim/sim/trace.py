"""The trace hash: one digest over everything that happened, to tell two runs apart at the first difference."""

import hashlib
from typing import Any

_FLUSH = 1024


class Trace:
    """A running digest.

    Only values whose repr is the same in every process may be noted: numbers, texts, bytes, None, and tuples of them.
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._noted: list[Any] = []

    def note(self, what: Any) -> None:
        """Add something that happened."""
        noted = self._noted
        noted.append(what)
        if len(noted) >= _FLUSH:
            self._flush()

    def hexdigest(self) -> str:
        """The digest of everything noted so far."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        # One after the other, so that the digest does not depend on when it was asked for.
        self._hash.update("".join([f"{what!r};" for what in self._noted]).encode())
        self._noted.clear()
