from typing import Any

import pytest

from csisim.check.doubt import Faults
from csisim.check.index import index
from csisim.pb import csi_pb2 as csi
from tests.support.calls import Script, delete


def doubt(site: str, action: str, *, served: str = "DeleteVolume", late: bool = False, answer: Any = "ABORTED") -> str:
    script = Script()
    call = script.begin(delete())
    script.add("invoke", "rpc", served, call="r1", value=delete())
    if late:
        script.end(call, answer)
    script.add("info", "fault", site, parent="r1", value={"site": site, "action": action})
    if not late:
        script.end(call, answer)
    history = index(script.events)
    return Faults(history).doubt(history.answers[0])


@pytest.mark.parametrize(
    ("site", "action", "expected"),
    [
        ("nas.pool.dataset.delete.request", "error(EBUSY)", "code"),
        ("nas.pool.dataset.delete.reply", "error(EBUSY)", "effect"),
        ("mount.umount", "error(EIO)", "code"),
        ("mount.umount.after", "error(EIO)", "effect"),
        ("rpc.DeleteVolume.before", "error(ABORTED)", "code"),
        ("rpc.DeleteVolume.after", "exhaust(rate)", "effect"),
        ("nas.pool.dataset.query.reply", "corrupt", "answer"),
        ("link.down", "truncate(3)", "answer"),
        ("nas.pool.dataset.query.reply", "delay(1s)", ""),
        ("link.up", "disconnect(rst)", ""),
    ],
)
def test_what_an_answer_says_after_a_fault(site: str, action: str, expected: str) -> None:
    assert doubt(site, action) == expected


def test_success_is_doubted_only_where_answers_were_mangled() -> None:
    assert doubt("rpc.DeleteVolume.after", "error(ABORTED)", answer=csi.DeleteVolumeResponse()) == ""
    assert doubt("nas.pool.dataset.query.reply", "corrupt", answer=csi.DeleteVolumeResponse()) == "answer"


def test_a_fault_of_another_method_or_time_is_no_excuse() -> None:
    assert doubt("nas.pool.dataset.delete.request", "error(EBUSY)", served="CreateVolume") == ""
    assert doubt("nas.pool.dataset.delete.request", "error(EBUSY)", late=True) == ""
