"""Parameters for any method, mostly of the declared types, from one seed: drawing each value apart takes ten times as long.

@given(SEEDS)
def call(seed: int) -> None:
params = Arbitrary(seed, WORDS).params(method.params)
note(f"{method.name}{params}")
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from fake_truenas.checked import Checked
from fake_truenas.schema import REQUIRED, AnyOf, Bool, Enum, Field, Int, List, Map, Nullable, Obj, Str, Type

SEEDS = st.integers(0, (1 << 64) - 1)

_CHARACTERS = [*"abz_-./@ %:\"'\\\0\n", "ä", "\u200b", "漢", "\U0001f512", "\U0010ffff"]
_FLOATS = (0.0, -0.0, 1.5, -1e-9, 1e308, float("inf"), float("-inf"), 4294967296.0)
_OPERATORS = ("=", "!=", "in", "^", ">", "<=", "~", "C=", "?")


@dataclass(frozen=True, slots=True)
class Words:
    """What values are made of.

    Attributes:
        texts: for strings and keys, some of which mean something.
        numbers: for integers.
        fields: what filters look at.
        known: values for members with these names.
        keys: of objects with free keys.
    """

    texts: Sequence[str]
    numbers: Sequence[int]
    fields: Sequence[str]
    known: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    keys: Sequence[str] = ()


class Arbitrary:
    """All that follows from one seed."""

    def __init__(self, seed: int, words: Words) -> None:
        self.rng = random.Random(seed)
        self._words = words

    def params(self, fields: Sequence[Field]) -> list[Any]:
        """Positional parameters; seldom one too few, or something else."""
        if self._one_in(20):
            return self._some(self.junk, 3)
        params = [self.junk() if self._one_in(12) else self.of_field(each) for each in fields]
        return params[:-1] if self._one_in(8) else params

    def of_field(self, declared: Field) -> Any:
        """A value for a parameter or member, often one that means something there."""
        if declared.name == "filters":
            return self.filters()
        known = self._words.known.get(declared.name)
        return self.rng.choice(known) if known and not self._one_in(4) else self.fitting(declared.type)

    def fitting(self, declared: Type) -> Any:  # noqa: PLR0911 - one per type
        """Mostly a value of the declared type."""
        match declared:
            case Str():
                return self.text()
            case Int():
                return self.rng.choice(self._words.numbers)
            case Bool():
                return self._one_in(2)
            case Enum():
                return self.rng.choice(declared.values)
            case Nullable():
                return None if self._one_in(2) else self.fitting(declared.inner)
            case Checked():
                return self.fitting(declared.inner)
            case AnyOf():
                return self.fitting(self.rng.choice(declared.types))
            case List():
                return self._some(lambda: self.fitting(declared.inner), 2)
            case Map():
                return {
                    self._key(): self.junk() if self._one_in(3) else self.fitting(declared.inner)
                    for _ in range(self.rng.randrange(3))
                }
            case Obj():
                return self._object(declared)
        return self.junk()

    def filters(self) -> Any:
        """A filter list, more or less."""
        return self._some(self._filter, 3)

    def junk(self, depth: int = 2) -> Any:
        """Any JSON."""
        kind = self.rng.randrange(4) if depth else 0
        if kind < 2:
            return self.scalar()
        inner = self._some(lambda: self.junk(depth - 1), 3)
        return inner if kind == 2 else {self.text(): one for one in inner}

    def scalar(self) -> Any:
        """JSON that is neither list nor object."""
        choice = self.rng.choice
        return choice((None, True, False, choice(self._words.numbers), choice(_FLOATS), self.text(), self.text()))

    def text(self) -> str:
        """A text, usually one of the words."""
        if self._one_in(5):
            return "".join(self.rng.choices(_CHARACTERS, k=self.rng.randrange(7)))
        return self.rng.choice(self._words.texts)

    def _key(self) -> str:
        return self.rng.choice(self._words.keys) if self._words.keys else self.text()

    def _object(self, declared: Obj) -> dict[str, Any]:
        """With the members that must be there, and few, half or all of the others."""
        others = self.rng.choice((0.0, 0.1, 0.5, 1.0))
        return {
            each.name: self.of_field(each)
            for each in declared.fields
            if self.rng.random() < (0.95 if each.default is REQUIRED else others)
        }

    def _filter(self) -> Any:
        if self._one_in(8):
            return self.junk()
        value = self._some(self.scalar, 2) if self._one_in(3) else self.scalar()
        return [self.rng.choice(self._words.fields), self.rng.choice(_OPERATORS), value]

    def _some(self, make: Any, most: int) -> list[Any]:
        return [make() for _ in range(self.rng.randrange(most + 1))]

    def _one_in(self, number: int) -> bool:
        return self.rng.randrange(number) == 0
