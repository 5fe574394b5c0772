import pytest

from csisim.reports.text import compact, counted, duration, lines, plain, printable, seconds, short_ids


@pytest.mark.parametrize("unfit", ["\x00", "\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\ud800", "\ufffe", "\ufeff"])
def test_what_no_document_can_carry_is_dropped(unfit: str) -> None:
    assert printable(f"a{unfit}b") == "ab"
    assert plain(f"a{unfit}b") == "ab"
    assert unfit not in compact({f"k{unfit}": [f"v{unfit}"]})


def test_tabs_and_ends_of_lines_stay_where_lines_are_wanted_and_become_spaces_where_one_is() -> None:
    assert printable("a\r\n\tb") == "a\n\tb"
    assert plain("a\r\n\tb") == "a b"


def test_a_cut_says_how_long_the_text_was() -> None:
    assert plain("x" * 20, 10) == "xxxxxxxxxx... (20 characters)"
    assert plain("x" * 10_000_000, 10) == "xxxxxxxxxx... (10000000 characters)"
    assert plain("x" * 10, 10) == "x" * 10


def test_lines_keep_their_indent_and_are_bounded() -> None:
    assert lines("task:\n    frame\n", 5) == ["task:", "    frame"]
    assert lines("1\n2\n3\n4", 2) == ["1", "2", "... 2 more lines"]


def test_json_is_bounded_however_large_the_value() -> None:
    nested: object = "x"
    for _ in range(1_000):
        nested = {"in": nested}
    hostile = {"text": "y" * 10_000_000, "many": list(range(100_000)), "deep": nested, "bytes": b"\x00" * 1_000}
    shown = compact(hostile, 1_000)
    assert len(shown) < 1_100
    assert "characters" in shown
    assert '"...": "29 more"' in compact({str(number): 0 for number in range(129)}, 2_000)


def test_json_reads_as_such_where_it_fits() -> None:
    assert compact({"a": [1, None, True], "b": "é"}) == '{"a": [1, null, true], "b": "é"}'


def test_times_have_the_digits_that_matter() -> None:
    assert seconds(1234.5) == "1,234.500 s"
    assert seconds("nonsense") == "0.000 s"
    assert [duration(each) for each in (0, 0.00125, 0.25, 61.5, 600, 36_000)] == [
        "0 s",
        "1.25 ms",
        "250 ms",
        "61.5 s",
        "10 min",
        "10 h",
    ]


def test_nearly_a_second_is_a_second() -> None:
    assert [duration(each) for each in (0.9994, 0.9996)] == ["999 ms", "1 s"]


def test_long_ids_keep_what_tells_them_apart() -> None:
    assert (
        short_ids(f"pvc-4f1e0000-1111-2222-3333-444455556666/{'0123abcd' * 8}/mount")
        == "pvc-4f1e0000../0123abcd../mount"
    )
    assert short_ids("pvc-1 and 0123456789 stay") == "pvc-1 and 0123456789 stay"


def test_a_count_has_its_noun() -> None:
    assert [counted(1, "call"), counted(2_000, "call")] == ["1 call", "2,000 calls"]
