from csisim.reports.rules import TITLES, order


def test_every_invariant_and_every_other_check_has_a_title() -> None:
    invariants = {f"I{number}" for number in range(1, 19)}
    assert TITLES.keys() == invariants | {"linearizability", "cost", "races", "termination", "expectation"}
    assert len(set(TITLES.values())) == len(TITLES)


def test_invariants_come_in_the_order_of_their_numbers_and_before_the_rest() -> None:
    assert sorted(["cost", "I10", "I2", "Ix", "I", "I\u00b2"], key=order)[:2] == ["I2", "I10"]
