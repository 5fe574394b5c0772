"""What a path was like after it was unpublished or unstaged, in I6."""

import pytest

from csisim.check.all import check_history
from csisim.events import Event


def history(rpc, **seen):
    key = "target_path" if rpc == "NodeUnpublishVolume" else "staging_target_path"
    request, seen = {"volume_id": "v1", key: "/k/t"}, {"rpc": rpc, "volume": "v1", "path": "/k/t"} | seen
    return [
        Event(1, 0.1, "invoke", "call", rpc, call="c1", process="kubelet n1", value=request),
        Event(2, 0.2, "info", "state", "path", process="n1", value=seen),
        Event(3, 0.3, "ok", "call", rpc, call="c1", process="kubelet n1"),
    ]


@pytest.mark.parametrize(
    ("rpc", "exists", "mounted", "told"),
    [
        ("NodeUnpublishVolume", True, False, "the path was still there"),
        ("NodeUnpublishVolume", True, True, "something was still mounted there"),
        ("NodeUnstageVolume", True, True, "something was still mounted there"),
        ("NodeUnstageVolume", True, False, ""),
        ("NodeUnpublishVolume", False, False, ""),
    ],
)
def test_what_was_taken_away_is_gone(rpc, exists, mounted, told):
    (found,) = check_history(history(rpc, exists=exists, mounted=mounted), only=["I6"])
    assert found.looked_at == 1
    assert [told in each.summary for each in found.violations] == ([True] if told else [])
    if told:
        assert found.violations[0].events == (1, 2, 3)
