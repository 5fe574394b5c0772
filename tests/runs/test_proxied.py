"""Faults of a proxy, found again between the events of who was hit."""

import pytest

from csisim.check.index import index
from csisim.events import Event
from csisim.runs.proxied import ProxyFaults, woven
from csisim.runs.stranger import CannotDrive


def call(seq, at_s, type_, f, id_, **value):
    return Event(seq, at_s, type_, "call", f, call=id_, process="provisioner", value=value)


HISTORY = [
    call(1, 1.0, "invoke", "CreateVolume", "c1", name="pvc-1"),
    call(2, 1.1, "invoke", "CreateVolume", "c2", name="pvc-2"),
    call(3, 1.4, "fail", "CreateVolume", "c2", code="ALREADY_EXISTS"),
    call(4, 1.5, "ok", "CreateVolume", "c1"),
]


def fault(at_s, f, **value):
    return {"seq": 9, "at_s": at_s, "type": "info", "kind": "fault", "f": f, "value": value}


def test_a_fault_stands_before_the_end_of_the_call_about_its_volume():
    found = woven(HISTORY, [fault(101.3, "rpc.CreateVolume.after", vol="pvc-2")], 100.0)
    assert [(each.seq, each.kind, each.call or each.parent) for each in found] == [
        (1, "call", "c1"), (2, "call", "c2"), (3, "fault", "c2"), (4, "call", "c2"), (5, "call", "c1"),
    ]  # fmt: skip
    first, second = index(found).calls["call"]
    assert (first.injected, second.injected, second.effect) == (False, True, "maybe")


def test_clocks_may_differ_by_a_little():
    assert woven(HISTORY, [fault(101.52, "rpc.CreateVolume.before", vol="pvc-1")], 100.0)[3].parent == "c1"


def test_what_hit_nobody_comes_last():
    found = woven(HISTORY, [fault(109.0, "rpc.CreateVolume.after"), fault(101.2, "link.down")], 100.0)
    assert [(each.seq, each.kind, each.parent) for each in found[4:]] == [(5, "fault", ""), (6, "fault", "")]
    assert woven(HISTORY, [], 100.0) == HISTORY


async def test_nobody_controls_the_proxy():
    faults = ProxyFaults("http://127.0.0.1:1", None, ())
    with pytest.raises(CannotDrive, match=r"the proxy controlled at http://127\.0\.0\.1:1: no control server answers"):
        await faults.begin()
    await faults.close()
    with pytest.raises(CannotDrive, match="--proxy-control nonsense://"):
        ProxyFaults("nonsense://\0", None, ())
