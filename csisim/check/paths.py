"""What somebody saw of a path right after the driver said that it was unpublished or unstaged, for I6.

Of a driver that is not ours nothing else is known of its machine: events `state` `path`, whose process is the node.
"""

from csisim.check.findings import Findings, at
from csisim.check.index import Call, Index, value_of
from csisim.events import Event


def look_at_paths(index: Index, found: Findings) -> None:
    """What was unpublished is gone, and nothing is mounted there; on what was unstaged nothing is mounted."""
    for event in index.state:
        if event.f != "path":
            continue
        value = value_of(event)
        found.looked_at += 1
        rpc, path = str(value.get("rpc", "")), str(value.get("path", ""))
        if value.get("mounted"):
            wrong = "something was still mounted there"
        elif value.get("exists") and rpc == "NodeUnpublishVolume":
            wrong = "the path was still there"
        else:
            continue
        call = _call(index, event, rpc, path)
        found.add(
            f"At {at(event.at_s)} the {rpc} of volume {value.get('volume')} succeeded at {path} on {event.process}, and"
            f" {wrong}.",
            (*(call.events if call else ()), event.seq), event.at_s,
        )  # fmt: skip


def _call(index: Index, event: Event, rpc: str, path: str) -> Call | None:
    """The call after whose work the path was looked at."""
    for call in index.steps:
        paths = {call.request.get("target_path"), call.request.get("staging_target_path")}
        if call.f == rpc and path in paths and call.begin < event.seq < call.end:
            return call
    return None
