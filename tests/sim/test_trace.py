import pytest

from csisim.sim.trace import Trace


def test_the_digest_is_of_what_was_noted_and_not_of_when_it_was_asked_for() -> None:
    one, two = Trace(), Trace()
    for number in range(3000):
        one.note((number, "a"))
        two.note((number, "a"))
        if number == 1500:
            assert one.hexdigest() == one.hexdigest()
    assert one.hexdigest() == two.hexdigest()
    two.note(b"")
    assert one.hexdigest() != two.hexdigest()


def test_neighbours_do_not_run_together() -> None:
    one, two = Trace(), Trace()
    for text in ("ab", "c"):
        one.note(text)
    for text in ("a", "bc"):
        two.note(text)
    assert one.hexdigest() != two.hexdigest()


def test_bytes_count_with_what_they_are_where_they_passed_and_how_they_were_cut() -> None:
    def digest(*passed: tuple[str, bytes]) -> str:
        trace = Trace()
        for where, data in passed:
            trace.note_bytes(where, data)
        return trace.hexdigest()

    cases = [
        [("1 up", b"abc")],
        [("1 up", b"abd")],
        [("1 down", b"abc")],
        [("1 up", b"ab"), ("1 up", b"c")],
        [("1 up", b"a"), ("1 up", b"bc")],
        [],
    ]
    assert len({digest(*case) for case in cases}) == len(cases)
    assert digest(*cases[0]) == digest(*cases[0])


def test_what_is_appended_counts_as_what_is_noted() -> None:
    one, two = Trace(), Trace()
    one.note((1, "a", None, 0.5))
    two.noted.append((1, "a", None, 0.5))
    assert one.hexdigest() == two.hexdigest()


def test_what_may_differ_between_processes_is_refused() -> None:
    trace = Trace()
    trace.note(object())
    with pytest.raises(TypeError) as refused:
        trace.hexdigest()
    assert str(refused.value.__cause__).startswith("object cannot be noted")
