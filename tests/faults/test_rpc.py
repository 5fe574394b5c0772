"""Rules around a served method, without a server: what it is given, and what comes of its answer."""

import asyncio
from contextlib import aclosing

import grpc
import pytest

from csisim.errors import Aborted, CsiError, InjectedStatus
from csisim.events import History
from csisim.faults.calls import current_call
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import FaultPlane
from csisim.faults.rpc import RpcFaults
from csisim.faults.sites import Catalogue, process_sites, rpc_sites
from csisim.pb import csi_pb2 as csi
from csisim.raw import RawMessage

REQUEST = csi.CreateVolumeRequest(name="pvc-1")
RESPONSE = csi.CreateVolumeResponse(volume=csi.Volume(volume_id="pvc-1"))


class Context:
    """What a server knows of a call."""

    def __init__(self, *metadata):
        self.metadata = metadata

    def invocation_metadata(self):
        return self.metadata

    def time_remaining(self):
        return None

    def peer(self):
        return "unix:"


class Surgeon:
    """Notes what it is asked to do."""

    def __init__(self):
        self.done = []

    def disconnect(self, peer, how):
        self.done.append(("disconnect", peer, how))

    def crash(self, what, node, down_s):
        self.done.append(("crash", what, node, down_s))


class World:
    """One server of a node with its rules; `around(...)` serves one call and gives its answer."""

    def __init__(self, *rules, metadata=False, history=True):
        now = asyncio.get_running_loop().time
        self.plane = FaultPlane(Catalogue([*rpc_sites(local=True), *process_sites()]), seed=1, now=now)
        self.plane.add_all(map(parse_rule, rules))
        self.surgeon = Surgeon()
        self.history = History(now)
        self.served = 0
        self.calls = []
        self.faults = RpcFaults(
            self.plane, self.surgeon, lambda message: {"name": getattr(message, "name", "")},
            lambda error: error.code if isinstance(error, CsiError) else grpc.StatusCode.INTERNAL,
            history=self.history if history else None, node="n1", metadata=metadata,
        )  # fmt: skip

    async def around(self, method="CreateVolume", request=REQUEST, answer=RESPONSE, context=None):
        async def serve():
            self.served += 1
            self.calls.append(current_call())
            if isinstance(answer, Exception):
                raise answer
            return answer

        return await self.faults.unary(method, request, context or Context(), serve)

    def stream(self, *parts, context=None):
        async def serve():
            self.served += 1
            for part in parts:
                self.calls.append(current_call())
                if isinstance(part, Exception):
                    raise part
                yield part

        request = csi.GetMetadataAllocatedRequest(snapshot_id="s1")
        return self.faults.stream("GetMetadataAllocated", request, context or Context(), serve)

    def told(self):
        return [(event.type, event.f, event.to_json().get("value")) for event in self.history.since()]


async def waiting(world):
    """Until a call waits for ever; gives what it waits at."""
    while not world.plane.barriers.waiting():
        await asyncio.sleep(0)
    return next(iter(world.plane.barriers.waiting()))


async def test_without_rules_the_answer_is_the_servers_own():
    world = World()

    assert await world.around() is RESPONSE
    assert world.calls[0].vol == "pvc-1"
    assert world.calls[0].node == "n1"
    assert current_call() is None
    assert world.told() == [("invoke", "CreateVolume", {"name": "pvc-1"}), ("ok", "CreateVolume", {"name": ""})]


async def test_an_error_before_keeps_the_method_from_being_served():
    world = World("rpc.CreateVolume.before: error(NOT_FOUND, gone)")

    with pytest.raises(InjectedStatus, match="gone") as caught:
        await world.around()

    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert world.served == 0
    assert world.told()[1] == ("fail", "CreateVolume", {"code": "NOT_FOUND", "message": "gone"})


async def test_an_error_after_comes_when_it_was_served():
    world = World("rpc.CreateVolume.after: error(UNAVAILABLE)")

    with pytest.raises(InjectedStatus, match="injected by rule-1"):
        await world.around()

    assert world.served == 1
    assert world.told()[1][0] == "info"


async def test_after_knows_how_the_method_ended():
    world = World("rpc.CreateVolume.after{code=ABORTED}: error(DATA_LOSS)")

    assert await world.around() is RESPONSE
    with pytest.raises(InjectedStatus) as caught:
        await world.around(answer=Aborted("busy"))
    with pytest.raises(ValueError, match="defect"):
        await world.around(answer=ValueError("defect"))

    assert caught.value.code is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize(
    ("what", "text"), [("attach", "no attachment slot is left on this node"), ("rate", "too many calls")]
)
async def test_what_is_used_up_is_told_as_such(what, text):
    with pytest.raises(InjectedStatus, match=text) as caught:
        await World(f"rpc.ControllerPublishVolume.before: exhaust({what})").around("ControllerPublishVolume")

    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_dropped_answer_waits_for_ever_or_for_a_reset():
    world = World("rpc.CreateVolume.after: drop")
    call = asyncio.ensure_future(world.around())
    assert await waiting(world) == "no answer to c1"

    world.plane.reset()

    with pytest.raises(InjectedStatus, match="dropped by rule-1") as caught:
        await call
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_that_goes_away_ends_what_waits():
    world = World("rpc.CreateVolume.before: hang(gate)")
    call = asyncio.ensure_future(world.around())
    assert await waiting(world) == "gate"

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert world.plane.barriers.waiting() == {}
    assert world.told()[1] == ("info", "CreateVolume", {"code": "CANCELLED"})


@pytest.mark.parametrize(
    ("rule", "done"),
    [
        ("rpc.CreateVolume.before: disconnect(blackhole)", ("disconnect", "unix:", "blackhole")),
        ("rpc.CreateVolume.after: crash(node, 2s)", ("crash", "node", "n1", 2.0)),
        ("rpc.CreateVolume.before: crash", ("crash", "driver", "n1", None)),
    ],
)
async def test_the_surgeon_is_called_and_no_answer_leaves(rule, done):
    world = World(rule)
    call = asyncio.ensure_future(world.around())
    await waiting(world)

    assert world.surgeon.done == [done]
    call.cancel()


async def test_processes_are_passed_with_every_call():
    world = World("process.node: #2 crash(reboot)", "process.driver: #3 crash(driver, 1s)")
    for _ in range(3):
        await world.around()

    assert world.surgeon.done == [("crash", "reboot", "n1", None), ("crash", "driver", "n1", 1.0)]


async def test_snapshots_are_not_ready_until_enough_looks_were_taken():
    world = World("rpc.CreateSnapshot.after: ready(2)", "rpc.ListSnapshots.after: ready(2)")
    snapshot = csi.Snapshot(snapshot_id="s", ready_to_use=True)
    one = csi.CreateSnapshotRequest(name="s")
    for ready in (False, True):
        made = await world.around("CreateSnapshot", one, csi.CreateSnapshotResponse(snapshot=snapshot))
        entry = csi.ListSnapshotsResponse.Entry(snapshot=snapshot)
        listed = await world.around(
            "ListSnapshots", csi.ListSnapshotsRequest(), csi.ListSnapshotsResponse(entries=[entry, entry])
        )
        assert made.snapshot.ready_to_use is ready
        assert [each.snapshot.ready_to_use for each in listed.entries] == [ready, ready]


async def test_bytes_are_changed_only_where_a_rule_says_so():
    later = b"\x82\x7d\x05later"
    data = csi.CreateSnapshotResponse(snapshot=csi.Snapshot(ready_to_use=True)).SerializeToString() + later
    world = World("rpc.CreateSnapshot.after: 1*ready(9)")
    request = csi.CreateSnapshotRequest(name="s")

    changed = await world.around("CreateSnapshot", request, RawMessage(data, csi.CreateSnapshotResponse))
    kept = await world.around("CreateSnapshot", request, RawMessage(data, csi.CreateSnapshotResponse))

    assert not changed.message.snapshot.ready_to_use
    assert changed.data.endswith(later)
    assert kept.data == data


async def test_a_call_brings_its_own_faults():
    world = World(metadata=True)
    asks = Context(("csisim-fault", "after: #2 error(ABORTED)"), ("csisim-fault", "rpc.*.before: delay(1us)"))

    assert await world.around(context=asks) is RESPONSE
    both = Context(("csisim-fault", "before{client=me}: error(ABORTED)"), ("csisim-client", "me"))
    with pytest.raises(InjectedStatus) as caught:
        await world.around(context=both)
    assert caught.value.code is grpc.StatusCode.ABORTED
    assert world.plane.rules == ()


@pytest.mark.parametrize("text", ["nonsense", "before: error(EBUSY)", "mount.umount: error(EBUSY)"])
async def test_a_wrong_fault_of_its_own_is_the_callers_mistake(text):
    world = World(metadata=True)

    with pytest.raises(InjectedStatus, match="csisim-fault: ") as caught:
        await world.around(context=Context(("csisim-fault", text)))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert world.served == 0


async def test_unless_it_is_enabled_metadata_is_not_read():
    assert await World().around(context=Context(("csisim-fault", "before: error(ABORTED)"))) is RESPONSE


async def test_without_a_history_calls_have_ids_all_the_same():
    world = World(history=False)
    await world.around()
    await world.around()

    assert [call.call_id for call in world.calls] == ["c1", "c2"]


async def test_a_stream_passes_both_sites_and_its_server_knows_the_call():
    world = World("rpc.GetMetadataAllocated.after: #2 error(DATA_LOSS)")

    assert [part async for part in world.stream(b"", b"two")] == [b"", b"two"]
    assert [call.snap for call in world.calls] == ["s1", "s1"]
    responses = world.stream(b"one")
    assert await anext(responses) == b"one"
    with pytest.raises(InjectedStatus):
        await anext(responses)
    assert [kind for kind, _, _ in world.told()] == ["invoke", "ok", "invoke", "fail"]


async def test_a_stream_that_fails_passes_after_with_its_code():
    world = World("rpc.GetMetadataAllocated.after{code=ABORTED}: error(DATA_LOSS)")

    with pytest.raises(InjectedStatus) as caught:
        assert [part async for part in world.stream(b"one", Aborted("busy"))] == []

    assert caught.value.code is grpc.StatusCode.DATA_LOSS


async def test_a_stream_may_be_given_up_from_another_task():
    world = World()
    responses = world.stream(b"one", b"two")
    async with aclosing(responses):
        assert await asyncio.create_task(anext(responses)) == b"one"

    assert [kind for kind, _, _ in world.told()] == ["invoke", "info"]


async def test_a_crash_of_the_nas_does_not_take_the_answer_of_a_driver_that_lives():
    world = World("rpc.CreateVolume.before: crash(nas)", "rpc.CreateVolume.after: crash(nas, 2s)")

    assert await world.around() == RESPONSE
    assert world.surgeon.done == [("crash", "nas", "n1", None), ("crash", "nas", "n1", 2.0)]
