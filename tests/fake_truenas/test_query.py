"""Filters and options, against a naive evaluation that shares nothing with the real one."""

import re
from datetime import UTC, date, datetime
from ipaddress import IPv4Interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas import query
from fake_truenas.errors import CallError, MatchNotFound, ValidationErrors
from fake_truenas.query import QUERY_OPTIONS, compile_filters, filter_list, select_fields, split_path


def options(**given: Any) -> dict[str, Any]:
    problems: list[tuple[str, str]] = []
    checked = QUERY_OPTIONS.compile()(given, problems)
    assert not problems, problems
    return dict(checked)


def run(entries: list[dict[str, Any]], filters: list[Any], **given: Any) -> Any:
    return filter_list(entries, filters, options(**given))


letters = st.text("abAB", max_size=3)
scalars = st.none() | st.booleans() | st.integers(-2, 2) | letters
entries = st.lists(
    st.fixed_dictionaries(
        {}, optional={"s": letters, "n": st.integers(-2, 2), "x": scalars, "l": st.lists(scalars, max_size=3)}
    ),
    max_size=5,
)
OPS = ["=", "!=", ">", ">=", "<", "<=", "~", "^", "!^", "$", "!$", "in", "nin", "rin", "rnin"]


def naive(entry: dict[str, Any], field: str, op: str, wanted: Any) -> bool:  # noqa: PLR0911 - a table
    """Written from the operator table alone."""
    if field not in entry:
        return False
    value = entry[field]
    if op.startswith("C") and op != "C~":
        op = op[1:]
        value = (
            value.casefold()
            if isinstance(value, str)
            else [fold(v) for v in value]
            if isinstance(value, list)
            else value
        )
        wanted = (
            wanted.casefold()
            if isinstance(wanted, str)
            else [fold(v) for v in wanted]
            if isinstance(wanted, list)
            else wanted
        )
    same = type(value) is type(wanted) and value == wanted
    if op in {"=", "!="}:
        return same == (op == "=")
    if op in {">", ">=", "<", "<="}:
        try:
            return {">": value > wanted, ">=": value >= wanted, "<": value < wanted, "<=": value <= wanted}[op]
        except TypeError:
            return False
    if op == "~":
        return isinstance(value, str | None) and re.match(str(wanted), value or "") is not None
    if op in {"^", "!^"}:
        return isinstance(value, str) and isinstance(wanted, str) and (value[: len(wanted)] == wanted) == (op == "^")
    if op in {"$", "!$"}:
        return (
            isinstance(value, str)
            and isinstance(wanted, str)
            and (value[len(value) - len(wanted) :] == wanted and len(wanted) <= len(value)) == (op == "$")
        )
    outer, inner = (wanted, value) if op in {"in", "nin"} else (value, wanted)
    try:
        return outer is not None and (inner in outer) == (op in {"in", "rin"})
    except TypeError:
        return False


def fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


@given(
    entries,
    st.sampled_from(["s", "n", "x"]),
    st.sampled_from([*OPS, *(f"C{op}" for op in OPS if op != "~")]),
    letters | st.integers(-2, 2) | st.booleans(),
)
def test_operators_agree_with_a_naive_evaluation(found: list[dict[str, Any]], field: str, op: str, wanted: Any) -> None:
    assert run(found, [[field, op, wanted]]) == [entry for entry in found if naive(entry, field, op, wanted)]


@given(entries, st.sampled_from(["in", "nin", "Cin"]), st.lists(letters, max_size=3))
def test_membership_in_a_given_list(found: list[dict[str, Any]], op: str, wanted: list[str]) -> None:
    assert run(found, [["s", op, wanted]]) == [entry for entry in found if naive(entry, "s", op, wanted)]


@given(entries, letters, st.integers(-2, 2))
def test_filters_are_anded_and_or_takes_filters_and_conjunctions(found: list[dict[str, Any]], s: str, n: int) -> None:
    both = run(found, [["s", "^", s], ["n", ">", n]])
    assert both == [entry for entry in found if naive(entry, "s", "^", s) and naive(entry, "n", ">", n)]
    either = run(found, [["OR", [["s", "=", s], [["n", ">=", n], ["n", "<=", n]]]]])
    assert either == [entry for entry in found if naive(entry, "s", "=", s) or entry.get("n") == n]


def test_paths_go_through_dicts_lists_wildcards_and_escaped_dots() -> None:
    entry = {"a": {"b.c": {"d": 1}}, "l": [{"k": 1}, {"k": 2}], "t:x": {"value": "v"}}
    assert split_path(r"a.b\.c.d") == ("a", "b.c", "d")
    for field, value, hit in [
        (r"a.b\.c.d", 1, True), ("a.b.c.d", 1, False), ("l.1.k", 2, True), ("l.2.k", 2, False), ("l.*.k", 2, True),
        ("l.*.k", 3, False), ("t:x.value", "v", True), ("l.x.k", 1, False), ("a.*.d", 1, True),
    ]:  # fmt: skip
        assert bool(run([entry], [[field, "=", value]])) is hit, field


def test_dates_compare_with_iso_strings_and_date_objects() -> None:
    entry = {"at": {"$date": 1_700_000_000_000}}
    assert run([entry], [["at.$date", ">", "2023-11-14T00:00:00+00:00"]]) == [entry]
    assert run([entry], [["at.$date", ">", "2023-11-15T00:00:00"]]) == []
    assert run([entry], [["at", "<=", {"$date": 1_700_000_000_000}]]) == [entry]


@pytest.mark.parametrize(
    "filters",
    [
        ["name"], [["a"]], [["a", "=", 1, 2]], [["a", "==", 1]], [["a", "C~", "x"]], [[1, "=", 1]], [["OR", []]], [["OR", 1]],
        [["a", "~", "("]], [["OR", [["OR", [["OR", [["a", "=", 1]]]]]]]], [["at.$date", ">", "soon"]],
    ],
)  # fmt: skip
def test_malformed_filters_are_refused_as_invalid_params(filters: list[Any]) -> None:
    with pytest.raises(ValidationErrors) as caught:
        compile_filters(filters)
    assert {item.attribute for item in caught.value.items} == {"filters"}


def test_count_get_offset_limit_and_their_refusals() -> None:
    rows = [{"id": number} for number in range(10)]
    assert run(rows, [["id", ">", 3]], count=True) == 6
    assert run(rows, [], offset=2, limit=3) == rows[2:5]
    assert run(rows, [["id", "=", 4]], get=True) == {"id": 4}
    with pytest.raises(MatchNotFound) as missing:
        run(rows, [["id", "=", 40]], get=True)
    assert missing.value.code == -32001
    for wrong in ({"get": True, "limit": 2}, {"get": True, "offset": 1}):
        with pytest.raises(CallError, match="Invalid options combination"):
            run(rows, [], **wrong)


def test_order_by_several_fields_with_nulls_placed() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"a": 2, "b": "z"}, {"a": 1, "b": "a"}]
    assert [row["b"] for row in run(rows, [], order_by=["a", "-b"])] == ["y", "x", "a", "z"]
    assert [row["b"] for row in run(rows, [], order_by=["nulls_last:-a", "b"])] == ["z", "a", "x", "y"]
    assert [row["b"] for row in run(rows, [], order_by=["nulls_first:-a", "b"])] == ["y", "z", "a", "x"]
    assert [row["b"] for row in run([{"b": "t", "a": "t"}, {"b": "n", "a": 1}], [], order_by=["a"])] == ["n", "t"]


def test_select_takes_paths_and_aliases_and_leaves_missing_ones_out() -> None:
    entry = {"a": {"b": 1, "c": 2}, "l": [{"k": 1}, {"k": 2}], "n": None}
    assert select_fields(entry, ["a.b", ["a.c", "see"], "zz", "n", ["l.*.k", "ks"]]) == {
        "a": {"b": 1}, "see": 2, "n": None, "ks": [1, 2],
    }  # fmt: skip
    with pytest.raises(ValidationErrors):
        run([entry], [], select=[["a"]])


def test_members_of_a_list_are_found_as_by_comparing_them_one_by_one() -> None:
    rows = [{"n": index, "x": value} for index, value in enumerate([1, 1.0, True, "1", None, [1], {"a": 1}, [], 2])]
    for wanted in ([1], ["1", None], [[1], {"a": 1}], [], [True], [2, "x", 3.5]):
        assert run(rows, [["x", "in", wanted]]) == [row for row in rows if row["x"] in wanted]
        assert run(rows, [["x", "nin", wanted]]) == [row for row in rows if row["x"] not in wanted]


def test_special_values_compare_by_what_they_mean() -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    rows = [{"at": {"$date": 1_700_000_000_000}, "day": "2026-02-28", "net": "10.0.0.1/24"}]
    for filters in (
        [["at", "=", moment]], [["at", ">=", {"$date": 1_700_000_000_000}]], [["at", "in", [moment]]],
        [["day", "=", date(2026, 2, 28)]], [["net", "=", IPv4Interface("10.0.0.1/24")]], [["day", "in", frozenset(["2026-02-28"])]],
    ):  # fmt: skip
        assert run(rows, filters) == rows
    assert run(rows, [["at", "<", moment]]) == []


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([["n", "=", 1]] * 1001, 1001), ([["OR", [["n", "=", 1]] * 1000]], 1001),
        ([["OR", [[["n", "=", 1]] * 600, ["OR", [["n", "=", 1]] * 600]]]], 1201), ([["n", "=", 1]] * 100_000, 100_000),
    ],
)  # fmt: skip
def test_conditions_are_counted_however_they_are_nested(filters: list[Any], count: int) -> None:
    with pytest.raises(ValidationErrors, match=f"{count} conditions; 1000 are allowed"):
        compile_filters(filters)


def test_a_predicate_ends_when_it_has_compared_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    assert query.MAX_COMPARISONS == 1_000_000
    monkeypatch.setattr(query, "MAX_COMPARISONS", 20_000)
    matches = compile_filters([["OR", [["n", "=", -index] for index in range(1, 500)]]])
    for number in range(1, 41):
        assert matches({"n": number}) is False
    with pytest.raises(CallError, match="take more than 20000 comparisons") as caught:
        matches({"n": 1})
    assert caught.value.errno == 7
