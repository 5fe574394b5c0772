"""Handles: what they refuse and what they forget. `test_testbed.py` uses each of them in a testbed."""

import pytest

from csisim.cluster.injection import nas_methods, sites
from csisim.faults.plane import FaultPlane
from csisim.faults.sites import Catalogue
from csisim.runs.handles import Faults


def faults() -> Faults:
    return Faults(FaultPlane(Catalogue(sites(nas_methods())), seed=0, now=lambda: 0.0))


def test_several_rules_are_added_together_or_none():
    given = faults()
    added = given.add("mount.umount: #1 error(EBUSY)\n# a comment\n\nclock.nas: skew(1h)\n")
    assert len(given.plane.rules) == 2
    with pytest.raises(ValueError, match="line 2"):
        given.add("mount.umount: #1 error(EBUSY)\nmount.umount: #1 error(EBUSI)")
    assert len(given.plane.rules) == 2
    added.remove()
    added.remove()
    assert given.plane.rules == ()


def test_reset_leaves_a_block_nothing_to_remove():
    given = faults()
    with given.add("clock.nas: skew(1h)") as added:
        given.reset()
        assert given.plane.rules == ()
    assert added.fired == given.fired == 0
