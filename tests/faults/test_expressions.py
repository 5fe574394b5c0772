"""Conditions on a request's fields: what they can say, and that they can do nothing else."""

import pytest

from csisim.faults.expressions import Expression, ExpressionError

REQUEST = {
    "name": "pvc-7",
    "capacity_range": {"required_bytes": 10 << 30},
    "parameters": {"protocol": "nfs"},
    "volume_capabilities": [{"block": {}}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name == 'pvc-7'", True),
        ("name != 'pvc-7'", False),
        ("name in ('pvc-6', 'pvc-7')", True),
        ("name not in ['pvc-7']", False),
        ("capacity_range.required_bytes > 1073741824", True),
        ("1 < capacity_range.required_bytes < 5", False),
        ("parameters['protocol'] == 'nfs' and name.startswith('pvc-')", True),
        ("name.endswith('8') or not parameters", False),
        ("len(volume_capabilities) == 1 and len(nothing) == 0", True),
        ("volume_capabilities[0].block != None", True),
        ("volume_capabilities[5].block is None", True),
        ("nothing.at.all == None", True),
        ("nothing > 3", False),
        ("name > 3", False),
        ("'nfs' in parameters.protocol", True),
        ("'x' in nothing", False),
        ("capacity_range.required_bytes > -1", True),
        ("name", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    assert Expression(text).holds(REQUEST) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "name ==", "__import__('os')", "name.upper()", "(lambda: 1)()", "[x for x in name]", "2 ** 99999999",
        "name * 1000000000", "f'{name}'", "open('/etc/passwd')", "name.__class__.mro()", "parameters[name]", "x := 1",
        "b'x'", "1 if name else 2", "{'a': 1}", "len()", "name.startswith('a', 1)", "len(name, key=1)", "await x",
    ],
)  # fmt: skip
def test_anything_else_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


def test_members_of_python_objects_cannot_be_reached() -> None:
    assert Expression("name.__class__ == None and parameters.keys == None").holds(REQUEST)


@pytest.mark.parametrize("text", ["(" * 300 + "1" + ")" * 300, "not " * 240 + "1", "1," * 499 + "1", "x" * 1001])
def test_long_and_deep_conditions_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


def test_an_error_says_where() -> None:
    with pytest.raises(ExpressionError, match="are allowed here") as caught:
        Expression("name == 'a' and name + 'b'")
    assert caught.value.column == 16
