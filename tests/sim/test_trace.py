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
