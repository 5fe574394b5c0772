r"""Regular expressions that come from outside, matched in time linear in the text and in bounded memory. Pure.

RE2's syntax is that of Python without lookaround, backreferences, atomic groups and possessive repetition. Classes such
as `\d`, `\w` and `\s` mean ASCII, the end of the text is `\z`, and a repetition has at most 1000 rounds.
"""

from typing import Any, Final

import re2  # type: ignore[import-untyped]

from fake_truenas.errors import invalid

MAX_CHARS: Final = 1024
_MAX_MEMORY_BYTES: Final = 1 << 18
_STEP: Final = 1 << 7
"""Steps of the slowest of RE2's engines, one per instruction and character, that take as long as a comparison."""


class Pattern:
    """A compiled pattern.

    Args:
        text: as the client wrote it.

    Raises:
        ValidationErrors: on `filters`, when it is too long or not in RE2's syntax.
    """

    __slots__ = ("_compiled", "_size")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARS:
            raise invalid("filters", f"Invalid regular expression: {len(text)} characters; {MAX_CHARS} are allowed")
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY_BYTES
        try:
            self._compiled: Any = re2.compile(text, options)
        except re2.error as error:
            problem = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise invalid(
                "filters",
                f"Invalid regular expression: {problem} (RE2 syntax: without lookaround and backreferences)",
            ) from None
        self._size: int = self._compiled.programsize

    def cost(self, text: str) -> int:
        """How many plain comparisons a match against this text is worth, at most."""
        return 1 + self._size * len(text) // _STEP

    def matches(self, text: str) -> bool:
        """Whether the text begins with a match."""
        return self._compiled.match(text) is not None
