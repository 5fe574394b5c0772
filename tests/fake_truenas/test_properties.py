"""Native properties: values in ZFS's form and as wire objects."""

from typing import Any

import pytest

from fake_truenas import properties
from fake_truenas.properties import BY_KEY, SETTINGS, setting_object
from fake_truenas.schema import Problem


@pytest.mark.parametrize(
    ("text", "size"), [("16K", 16384), ("512B", 512), ("1g", 1 << 30), (" 7 ", 7), ("1E", 1 << 60)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert properties.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "1.5G", "-1", "1KK", "\u0661", "9" * 30, "none"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        properties.parse_size(text)


def checked(key: str, value: Any) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return BY_KEY[key].type().compile()(value, problems), problems


@pytest.mark.parametrize(
    ("key", "value", "raw"),
    [
        ("compression", "ZSTD-FAST-1000", "zstd-fast-1000"),
        ("deduplication", "VERIFY", "verify"),
        ("recordsize", "1M", "1048576"),
        ("recordsize", "512B", "512"),
        ("special_small_block_size", 4096, "4096"),
        ("copies", 3, "3"),
        ("atime", "OFF", "off"),
    ],
)
def test_parameters_become_zfss_own_values(key: str, value: Any, raw: str) -> None:
    assert checked(key, value) == (value, [])
    assert BY_KEY[key].to_raw(value) == raw


@pytest.mark.parametrize(
    ("key", "value"),
    [("compression", "zstd"), ("compression", "ZSTD-20"), ("compression", "GZIP-5"), ("recordsize", 131072),
     ("copies", 0), ("copies", 4), ("copies", True), ("special_small_block_size", "4K"), ("atime", True)],
)  # fmt: skip
def test_parameters_that_a_property_does_not_take(key: str, value: Any) -> None:
    assert checked(key, value)[1]


def test_every_property_takes_the_word_inherit() -> None:
    assert [setting.key for setting in SETTINGS if checked(setting.key, "INHERIT")[1]] == []


@pytest.mark.parametrize(("raw", "parsed"), [("on", True), ("off", False), ("sha256", None)])
def test_a_switch_with_more_than_two_states_is_parsed_to_null_in_the_others(raw: str, parsed: bool | None) -> None:
    item = setting_object(BY_KEY["checksum"], raw, "LOCAL", None)
    assert (item["parsed"], item["value"]) == (parsed, raw.upper())


@pytest.mark.parametrize(
    ("key", "raw", "accepted"),
    [("recordsize", "131072", True), ("recordsize", "131073", False), ("copies", "3", True), ("copies", "4", False),
     ("special_small_block_size", str(1 << 24), True), ("special_small_block_size", str((1 << 24) + 1), False)],
)  # fmt: skip
def test_raw_numbers_that_a_clone_may_set(key: str, raw: str, accepted: bool) -> None:
    assert BY_KEY[key].accepts(raw) is accepted


@pytest.mark.parametrize(
    ("key", "raw", "parsed", "value"),
    [("readonly", "on", True, "ON"), ("readonly", "off", False, "OFF"), ("sync", "always", "always", "ALWAYS"),
     ("copies", "2", 2, "2"), ("recordsize", "131072", 131072, "128K")],
)  # fmt: skip
def test_each_kind_of_property_has_its_three_forms(key: str, raw: str, parsed: Any, value: str) -> None:
    assert setting_object(BY_KEY[key], raw, "INHERITED", "tank") == {
        "parsed": parsed, "rawvalue": raw, "value": value, "source": "INHERITED", "source_info": "tank",
    }  # fmt: skip


def test_every_default_is_a_value_that_the_property_accepts() -> None:
    for setting in SETTINGS:
        if setting.kind in {"int", "size"}:
            assert setting.accepts(setting.default), setting.zfs
        else:
            assert setting.default.upper() in setting.choices, setting.zfs


def test_no_limit_is_null_and_its_raw_value_zero() -> None:
    none, some = properties.limit_object(0), properties.limit_object(1536)
    assert (none["parsed"], none["value"], none["rawvalue"], none["source"]) == (None, None, "0", "DEFAULT")
    assert (some["parsed"], some["value"], some["rawvalue"], some["source"]) == (1536, "1.50K", "1536", "LOCAL")


def test_times_are_whole_seconds_and_shown_in_milliseconds() -> None:
    item = properties.date_object(1_700_000_000.9)
    assert (item["parsed"], item["rawvalue"]) == ({"$date": 1_700_000_000_000}, "1700000000")
