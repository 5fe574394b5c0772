"""Durations, sizes, rates and delays as rules write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csisim.faults.values import (
    parse_delay,
    parse_duration,
    parse_rate,
    parse_size,
    print_duration,
    print_size,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("250us", 0.00025), ("50ms", 0.05), ("2s", 2), ("1.5m", 90), ("1h", 3600), ("0.5ms", 0.0005)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1e3s", "1 s", "1d", "1.s", "٣s", "9999999999h"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.05, "50ms"), (1.5, "1500ms"), (3600.0, "1h"), (90.0, "90s"), (0.00025, "250us"), (0, "0")]
)
def test_durations_are_printed_in_the_biggest_unit_that_fits(seconds: float, text: str) -> None:
    assert print_duration(seconds) == text


@given(st.integers(0, 10**12))
def test_a_printed_duration_reads_back_equal(nanoseconds: int) -> None:
    seconds = nanoseconds / 10**9
    assert parse_duration(print_duration(seconds)) == pytest.approx(seconds, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("512B", 512), ("64KiB", 65536), ("20MiB", 20 << 20), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_size(print_size(size)) == size


@pytest.mark.parametrize("text", ["", "1KB", "-1", "1.5KiB", "KiB"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_rates() -> None:
    assert parse_rate("64KiB/s") == 65536
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate("64KiB")
    with pytest.raises(ValueError, match="blackhole"):
        parse_rate("0/s")


@pytest.mark.parametrize("text", ["50ms", "50ms..2s", "exp:100ms", "2us/B", "0"])
def test_delays_read_back_as_printed(text: str) -> None:
    assert str(parse_delay(text)) == text


def test_a_range_has_the_shorter_time_first() -> None:
    with pytest.raises(ValueError, match="the shorter time comes first"):
        parse_delay("2s..50ms")
