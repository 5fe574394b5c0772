"""Parameter declarations and the validators compiled from them.

A method declares its positional parameters as `Field`s:

    Field("data", Obj(
        Field("path", Str()),                         # required
        Field("comment", Str(), default=""),
        Field("networks", List(Str()), default=()),
        Field("maproot_user", Nullable(Str()), default=None),
        Field("security", List(Enum("SYS", "KRB5")), default=()),
    ))
    Field("options", Obj(...), default={})            # an absent object is validated as {}: its own defaults apply

`Obj.patch()` is the same object for an update: every field optional, and no defaults filled in.

Types compile once into closures `check(value, problems) -> value`, so that a call walks no declaration. Validation is
as strict as the real server's: unknown keys are refused, "1" is not an integer, 1 is not a boolean, a plain string has
at most 1024 characters. All problems of a call are collected into one `ValidationErrors`. Defaults are shared between
calls: handlers must not change a list or dict that they were given.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fake_truenas.errors import Invalid, ValidationErrors

Problem = tuple[str, str]
"""(dotted path below the value being checked, text)."""

Check = Callable[[Any, list[Problem]], Any]

REQUIRED: Final = object()
ABSENT: Final = object()
"""Default of a member that may be left out and is then left out of the validated object too."""


class Type(Protocol):
    """Anything that can be compiled into a check."""

    def __hash__(self) -> int: ...

    def compile(self) -> Check:
        """Give the closure that validates one value and returns it, with defaults filled in."""
        ...


@dataclass(frozen=True, slots=True)
class Str:
    """A string; `max_length` None lifts the limit of 1024 characters that plain strings have.

    `secret` keeps its values out of job listings, events and logs (`fake_truenas.redaction`).
    """

    max_length: int | None = 1024
    min_length: int = 0
    pattern: str | None = None
    secret: bool = False

    def compile(self) -> Check:
        """Compile."""
        longest = self.max_length if self.max_length is not None else 2 << 20
        shortest = self.min_length
        matches = re.compile(self.pattern).search if self.pattern else None
        pattern = self.pattern

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not str:
                problems.append(("", "Input should be a valid string"))
            elif len(value) > longest:
                problems.append(("", f"String should have at most {longest} characters"))
            elif len(value) < shortest:
                problems.append(("", f"String should have at least {shortest} character{'s' * (shortest != 1)}"))
            elif matches is not None and not matches(value):
                problems.append(("", f"String should match pattern '{pattern}'"))
            return value

        return check


@dataclass(frozen=True, slots=True)
class Int:
    """An integer within inclusive bounds, by default those of a signed 64-bit number; booleans are not integers."""

    minimum: int = -(1 << 63)
    maximum: int = (1 << 63) - 1

    def compile(self) -> Check:
        """Compile."""
        low, high = self.minimum, self.maximum

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not int:
                problems.append(("", "Input should be a valid integer"))
            elif value < low:
                problems.append(("", f"Input should be greater than or equal to {low}"))
            elif value > high:
                problems.append(("", f"Input should be less than or equal to {high}"))
            return value

        return check


@dataclass(frozen=True, slots=True)
class Bool:
    """true or false."""

    def compile(self) -> Check:
        """Compile."""

        def check(value: Any, problems: list[Problem]) -> Any:
            if value is not True and value is not False:
                problems.append(("", "Input should be a valid boolean"))
            return value

        return check


class Enum:
    """One of a few literal values."""

    __slots__ = ("values",)

    def __init__(self, *values: Any) -> None:
        self.values = values

    def compile(self) -> Check:
        """Compile."""
        # The type is part of the key: in Python True == 1.
        allowed = frozenset((type(value), value) for value in self.values)
        shown = [repr(value) for value in self.values]
        listing = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"

        def check(value: Any, problems: list[Problem]) -> Any:
            if not isinstance(value, (str, int)) or (type(value), value) not in allowed:
                problems.append(("", f"Input should be {listing}"))
            return value

        return check


@dataclass(frozen=True, slots=True)
class Nullable:
    """The inner type, or null."""

    inner: Type

    def compile(self) -> Check:
        """Compile."""
        inner = self.inner.compile()

        def check(value: Any, problems: list[Problem]) -> Any:
            return None if value is None else inner(value, problems)

        return check


class AnyOf:
    """The first of several types that accepts the value; the problems of the last one are reported."""

    __slots__ = ("types",)

    def __init__(self, *types: Type) -> None:
        self.types = types

    def compile(self) -> Check:
        """Compile."""
        checks = [inner.compile() for inner in self.types]

        def check(value: Any, problems: list[Problem]) -> Any:
            found: list[Problem] = []
            for inner in checks:
                found = []
                result = inner(value, found)
                if not found:
                    return result
            problems.extend(found)
            return value

        return check


@dataclass(frozen=True, slots=True)
class List:
    """A list of one type."""

    inner: Type
    min_length: int = 0
    max_length: int | None = None

    def compile(self) -> Check:
        """Compile."""
        inner, shortest, longest = self.inner.compile(), self.min_length, self.max_length

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not list:
                problems.append(("", "Input should be a valid list"))
                return value
            if len(value) < shortest:
                items = f"{shortest} item{'s' * (shortest != 1)}"
                problems.append(("", f"List should have at least {items} after validation, not {len(value)}"))
            if longest is not None and len(value) > longest:
                items = f"{longest} item{'s' * (longest != 1)}"
                problems.append(("", f"List should have at most {items} after validation, not {len(value)}"))
                return value
            result = []
            for index, item in enumerate(value):
                before = len(problems)
                result.append(inner(item, problems))
                if len(problems) != before:
                    _prefix(problems, before, str(index))
            return result

        return check


@dataclass(frozen=True, slots=True)
class Map:
    """An object with free keys and values of one type."""

    inner: Type

    def compile(self) -> Check:
        """Compile."""
        inner = self.inner.compile()

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not dict:
                problems.append(("", "Input should be a valid dictionary"))
                return value
            result = {}
            for key, item in value.items():
                before = len(problems)
                result[key] = inner(item, problems)
                if len(problems) != before:
                    _prefix(problems, before, key)
            return result

        return check


@dataclass(frozen=True, slots=True)
class Json:
    """Any JSON value, unchecked."""

    def compile(self) -> Check:
        """Compile."""

        def check(value: Any, problems: list[Problem]) -> Any:  # noqa: ARG001 - every check has this shape
            return value

        return check


@dataclass(frozen=True, slots=True)
class Field:
    """A named member of an object, or a positional parameter. Without a default it is required (see also ABSENT)."""

    name: str
    type: Type
    default: Any = REQUIRED


class Obj:
    """An object with declared members; others are refused unless `ignore_unknown`."""

    __slots__ = ("fields", "ignore_unknown", "partial")

    def __init__(self, *fields: Field, ignore_unknown: bool = False, partial: bool = False) -> None:
        self.fields = fields
        self.ignore_unknown = ignore_unknown
        self.partial = partial

    def patch(self, *more: Field, without: Sequence[str] = ()) -> "Obj":
        """The same members for an update: none required, no defaults; `without` are taken out, `more` put in."""
        kept = [field for field in self.fields if field.name not in without]
        return Obj(*kept, *more, ignore_unknown=self.ignore_unknown, partial=True)

    def compile(self) -> Check:
        """Compile."""
        checks = {field.name: field.type.compile() for field in self.fields}
        defaults: dict[str, Any] = {}
        required: tuple[str, ...] = ()
        if not self.partial:
            optional = (field for field in self.fields if field.default is not REQUIRED and field.default is not ABSENT)
            defaults = {field.name: _default(field) for field in optional}
            required = tuple(field.name for field in self.fields if field.default is REQUIRED)
        ignore_unknown = self.ignore_unknown

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not dict:
                problems.append(("", "Input should be a valid dictionary"))
                return value
            result = defaults.copy()
            for key, item in value.items():
                inner = checks.get(key)
                if inner is None:
                    if not ignore_unknown:
                        problems.append((key, "Extra inputs are not permitted"))
                    continue
                before = len(problems)
                result[key] = inner(item, problems)
                if len(problems) != before:
                    _prefix(problems, before, key)
            problems.extend((key, "Field required") for key in required if key not in value)
            return result

        return check


SECRET: Final = Str(secret=True)
"""A password, key or token."""


Validator = Callable[[Sequence[Any]], list[Any]]


def compile_params(fields: Sequence[Field]) -> Validator:
    """Compile a method's positional parameters.

    The validator takes the request's `params` and returns one argument per field, defaults filled in.

    Raises:
        ValidationErrors: from the validator, with every problem found.
    """
    checks = [(field.name, field.type.compile()) for field in fields]
    expected = len(checks)
    tail = [_default(field) for field in fields]
    required = tuple(field.name for field in fields if field.default is REQUIRED)
    if any(field.default is REQUIRED for field in fields[len(required) :]):
        raise TypeError(f"required parameters come first: {[field.name for field in fields]}")

    def validate(params: Sequence[Any]) -> list[Any]:
        given = len(params)
        if given > expected:
            raise ValidationErrors([Invalid("", f"Too many arguments (expected {expected}, found {given})")])
        problems: list[Problem] = []
        args = []
        for (name, check), value in zip(checks, params, strict=False):
            before = len(problems)
            args.append(check(value, problems))
            if len(problems) != before:
                _prefix(problems, before, name)
        problems.extend((name, "Field required") for name in required[given:])
        args.extend(tail[given:])
        if problems:
            raise ValidationErrors([Invalid(path, text) for path, text in problems])
        return args

    return validate


def _default(field: Field) -> Any:
    """The value of an absent field: an object's default goes through its check, so that its own defaults apply."""
    if isinstance(field.default, Mapping):
        problems: list[Problem] = []
        value = field.type.compile()(dict(field.default), problems)
        if problems:
            raise TypeError(f"the default of {field.name} does not fit its own type: {problems}")
        return value
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _prefix(problems: list[Problem], start: int, name: str) -> None:
    for index in range(start, len(problems)):
        path, text = problems[index]
        problems[index] = (f"{name}.{path}" if path else name, text)
