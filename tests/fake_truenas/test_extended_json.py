"""The middleware's extra JSON forms."""

from datetime import UTC, date, datetime, time
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest

from fake_truenas.extended_json import MAX_DEPTH, dumps, loads

FORMS = [
    ('{"$date":1700000000123}', datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)),
    ('{"$type":"date","$value":"2026-02-28"}', date(2026, 2, 28)),
    ('{"$time":"16:22:06"}', time(16, 22, 6)),
    ('{"$set":["a","b",1]}', frozenset(["a", "b", 1])),
    ('{"$ipv4_interface":"10.0.0.1/24"}', IPv4Interface("10.0.0.1/24")),
    ('{"$ipv6_interface":"fd00::1/64"}', IPv6Interface("fd00::1/64")),
]


@pytest.mark.parametrize(("text", "value"), FORMS)
def test_a_form_is_read_as_its_object_wherever_it_stands(text: str, value: Any) -> None:
    assert loads(text) == value
    assert loads(f'[{{"x": [{text}]}}]') == [{"x": [value]}]


@pytest.mark.parametrize(("text", "value"), FORMS)
def test_an_object_is_written_as_its_form_and_reads_back(text: str, value: Any) -> None:
    written = dumps({"x": value}).decode()
    assert loads(written) == {"x": value}
    if "$set" not in text:
        assert written == f'{{"x":{text}}}'


def test_a_set_is_written_in_a_settled_order() -> None:
    assert dumps({"b", "a", "c"}) == b'{"$set":["a","b","c"]}'


def test_a_name_written_with_escapes_is_a_form_too() -> None:
    assert loads('{"\\u0024date": 0}') == datetime(1970, 1, 1, tzinfo=UTC)


def test_what_only_looks_like_a_form_stays_an_object() -> None:
    for value in ({"$date": 1, "more": 2}, {"$other": 1}, {"$type": "x", "$value": "2026-01-01"}, {"date": 1}):
        assert loads(dumps(value).decode()) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"$date": "now"}', '{"$date": 1e300}', '{"$date": 99999999999999999}', '{"$date": true}', '{"$time": 7}',
        '{"$time": "25:00"}', '{"$set": 1}', '{"$set": [[1]]}', '{"$type": "date", "$value": "2026-02-30"}',
        '{"$ipv4_interface": "fd00::1/64"}', '{"$ipv4_interface": 7}', '{"$ipv6_interface": "10.0.0.1/24"}', "{", "nope",
    ],
)  # fmt: skip
def test_a_form_with_a_wrong_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


def test_nesting_is_bounded_and_what_is_read_can_be_written() -> None:
    def nested(depth: int) -> str:
        return "[" * depth + "]" * depth

    assert dumps(loads(nested(MAX_DEPTH))).decode() == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 1000):
        with pytest.raises(ValueError, match="nested more than 200 deep"):
            loads(nested(depth))
    assert loads("[" + "[]," * 1000 + "{}]") == [[]] * 1000 + [{}]


def test_what_has_no_form_is_not_written() -> None:
    with pytest.raises(TypeError):
        dumps({"x": object()})
