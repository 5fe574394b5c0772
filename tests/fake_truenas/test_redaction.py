"""Hiding secrets."""

from typing import Any

import pytest

from fake_truenas.checked import Checked
from fake_truenas.methods import default_registry
from fake_truenas.redaction import Secret, hide_arguments, hide_members, redactor, secret_names
from fake_truenas.schema import SECRET, AnyOf, Field, Int, List, Map, Nullable, Obj, Str, Type

DEEP = Obj(Field("user", Str()), Field("all", List(Obj(Field("secret", Nullable(SECRET)), Field("n", Int())))))


@pytest.mark.parametrize(
    ("declared", "value", "shown"),
    [
        (SECRET, "x", "********"), (SECRET, "", ""), (Nullable(SECRET), None, None), (Nullable(SECRET), "x", "********"),
        (Checked(SECRET, lambda _: None), "x", "********"), (List(SECRET), ["x", ""], ["********", ""]),
        (Map(SECRET), {"k": "x"}, {"k": "********"}), (AnyOf(Int(), SECRET), "x", "********"),
        (AnyOf(Obj(Field("a", SECRET)), Obj(Field("b", SECRET))), {"a": "x"}, {"a": "********"}),
        (DEEP, {"user": "u", "all": [{"secret": "x", "n": 1}]}, {"user": "u", "all": [{"secret": "********", "n": 1}]}),
        (Str(), "x", "x"), (Obj(Field("a", Str())), {"a": "x"}, {"a": "x"}),
    ],
)  # fmt: skip
def test_arguments_are_hidden_where_they_are_declared_secret(declared: Type, value: Any, shown: Any) -> None:
    assert hide_arguments([Field("x", declared)], [value]) == [shown]


def test_a_type_without_secrets_needs_no_work() -> None:
    assert redactor(List(Obj(Field("a", Str())))) is None
    assert redactor(DEEP) is redactor(DEEP)


def test_members_are_hidden_by_their_names_and_secrets_by_their_class() -> None:
    row = {"id": 1, "secret": "x", "peer": {"secret": ""}, "rows": [{"secret": 5, "other": Secret("y")}]}
    assert hide_members(row, {"secret"}) == {
        "id": 1, "secret": "********", "peer": {"secret": ""}, "rows": [{"secret": 5, "other": "********"}],
    }  # fmt: skip
    assert row["secret"] == "x"


def test_a_name_that_is_also_used_for_something_plain_is_not_a_secrets_name() -> None:
    fields = [Field("data", DEEP), Field("key", SECRET), Field("props", List(Obj(Field("key", Str()))))]
    assert secret_names(fields) == {"secret"}


def test_every_parameter_with_a_telling_name_is_secret() -> None:
    telling = ("password", "passphrase", "secret", "api_key", "token", "dhchap_key", "dhchap_ctrl_key", "otp_token")
    plain = {
        field.name
        for namespace in default_registry().namespaces
        for method in namespace.methods
        for field in members(method.params)
        if isinstance(inner(field.type), Str) and not inner(field.type).secret  # type: ignore[attr-defined]
    }
    assert [name for name in sorted(plain) if any(word in name for word in telling)] == []


def inner(declared: Type) -> Type:
    while isinstance(declared, (Nullable, Checked, List)):
        declared = declared.inner
    return declared


def members(fields: Any) -> Any:
    for field in fields:
        yield field
        declared = inner(field.type)
        if isinstance(declared, Obj):
            yield from members(declared.fields)
        elif isinstance(declared, AnyOf):
            yield from members([Field(field.name, one) for one in declared.types])
