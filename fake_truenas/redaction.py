"""Hiding passwords, keys and tokens from what is shown to others: job listings, events and logs.

Arguments are hidden by their declaration (`Str(secret=True)`), rows and results by the names of secret members, and a
result that is a secret itself by its class.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from fake_truenas.checked import Checked
from fake_truenas.schema import AnyOf, Field, List, Map, Nullable, Obj, Str, Type

REDACTED: Final = "********"

Redactor = Callable[[Any], Any]


class Secret(str):
    """A text that only the caller who asked for it may see."""

    __slots__ = ()


def hide_arguments(fields: Sequence[Field], args: Sequence[Any]) -> list[Any]:
    """A method's arguments with REDACTED in place of what is secret and not empty."""
    return [
        value if (hide := redactor(field.type)) is None else hide(value)
        for field, value in zip(fields, args, strict=False)
    ]


def hide_members(value: Any, names: Collection[str]) -> Any:
    """A result or row with REDACTED in place of the members with these names that are not empty, and of Secrets."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key in names and isinstance(inner, str) and inner else hide_members(inner, names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [hide_members(inner, names) for inner in value]
    return REDACTED if isinstance(value, Secret) else value


def secret_names(fields: Iterable[Field]) -> set[str]:
    """Names of the secret members at any depth, without those that are also names of plain ones."""
    found = {pair for field in fields for pair in _names(field)}
    return {name for name, secret in found if secret and (name, False) not in found}


def parts(declared: Type) -> Sequence[Type]:
    """What a type consists of, for types other than objects."""
    match declared:
        case Nullable() | List() | Map() | Checked():
            return (declared.inner,)
        case AnyOf():
            return declared.types
    return ()


def _names(field: Field, declared: Type | None = None) -> Iterator[tuple[str, bool]]:
    """(name, whether it is secret) of the field's values and of what is in them."""
    declared = declared or field.type
    if isinstance(declared, Obj):
        for member in declared.fields:
            yield from _names(member)
        return
    inner = parts(declared)
    for part in inner:
        yield from _names(field, part)
    if not inner:
        yield field.name, isinstance(declared, Str) and declared.secret


@cache
def redactor(declared: Type) -> Redactor | None:  # noqa: PLR0911 - one per type
    """What hides the secrets in values of a type; None where there cannot be any."""
    match declared:
        case Str(secret=True):
            return lambda value: REDACTED if value else value
        case Nullable() | Checked():
            return redactor(declared.inner)
        case AnyOf():
            return _all_of([hide for one in declared.types if (hide := redactor(one)) is not None])
        case List():
            inner = redactor(declared.inner)
            return None if inner is None else _each(inner)
        case Map():
            inner = redactor(declared.inner)
            return None if inner is None else _each_value(inner)
        case Obj():
            members = {one.name: hide for one in declared.fields if (hide := redactor(one.type)) is not None}
            return _members(members) if members else None
    return None


def _all_of(hides: Sequence[Redactor]) -> Redactor | None:
    if not hides:
        return None

    def hide_all(value: Any) -> Any:
        for hide in hides:  # whichever alternative it was: hiding too much is the lesser evil
            value = hide(value)
        return value

    return hide_all


def _each(hide: Redactor) -> Redactor:
    return lambda value: [hide(one) for one in value] if isinstance(value, list) else value


def _each_value(hide: Redactor) -> Redactor:
    return lambda value: {key: hide(one) for key, one in value.items()} if isinstance(value, dict) else value


def _members(members: dict[str, Redactor]) -> Redactor:
    def hide(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: members[key](one) if key in members else one for key, one in value.items()}

    return hide
