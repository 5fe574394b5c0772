"""A mutant is a record."""

from csisim.cluster.parts import SHIPPED
from csisim.mutants.mutant import Mutant


def test_a_mutant_says_how_to_see_it():
    mutant = Mutant(
        name="M-NONE", origin="nowhere", idea="It is fine.", oracle=("I1",), change=lambda parts: parts, seed=7
    )
    assert mutant.reproduction == "csisim run --mutant M-NONE --seed 7"
    assert mutant.plan == {}
    assert mutant.change(SHIPPED) is SHIPPED
