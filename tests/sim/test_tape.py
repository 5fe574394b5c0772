import pytest

from csisim.sim.tape import Tape


def test_a_tape_is_read_back_from_its_line() -> None:
    tape = Tape({12: 3, 2: 1}, {7: 0.25})
    assert tape.dump() == '{"picks":[[2,1],[12,3]],"stalls":[[7,0.25]]}'
    assert Tape.load(tape.dump()) == tape
    assert len(tape) == 3
    assert Tape.load("{}") == Tape()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "one line of JSON"),
        ("[]", "an object with picks and stalls"),
        ('{"pick":[]}', "an object with picks and stalls"),
        ('{"picks":{"1":2}}', "pairs of a number and a choice"),
        ('{"picks":[[1]]}', "pairs of a number and a choice"),
        ('{"picks":[[1,-1]]}', "not -1"),
        ('{"picks":[[true,1]]}', "not True"),
        ('{"stalls":[[1,0]]}', "more than 0 and at most 3600 seconds, not 0"),
        ('{"stalls":[[1,1e999]]}', "not inf"),
        ('{"stalls":[[1,1' + "0" * 400 + "]]}", "at most 3600 seconds"),
        ("[" * 100_000, "one line of JSON"),
    ],
)
def test_what_is_no_tape_is_refused(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Tape.load(line)
