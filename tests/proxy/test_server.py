"""Rules in front of a driver that knows nothing of them, and what is kept of its calls."""

import asyncio
import random

import grpc
import pytest
from grpc import StatusCode

from csisim.endpoint import Endpoint
from csisim.faults.grammar import parse_rule
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.proxy import Proxy, ProxySettings
from csisim.sockets import EndpointError
from tests.proxy.between import ALLOCATED, CREATE, PUBLISH, Held, answering, error_of, running

SNAPSHOT = "/csi.v1.Controller/CreateSnapshot"
LISTED = "/csi.v1.Controller/ListSnapshots"
DELETE = "/csi.v1.Controller/DeleteVolume"


def create(name="pvc-1", **fields):
    return csi.CreateVolumeRequest(name=name, **fields).SerializeToString()


async def test_an_error_before_the_call_keeps_it_from_the_driver(row):
    row.add('rpc.CreateVolume.before: error(UNAVAILABLE, "not today")')

    error = await error_of(row.unary(CREATE))

    assert (error.code(), error.details()) == (StatusCode.UNAVAILABLE, "not today")
    assert row.driver.calls == []


async def test_an_error_after_the_call_hides_what_the_driver_did(row):
    row.driver.on[CREATE] = answering(b"", trailing=(("x-a", "1"),))
    row.add("rpc.CreateVolume.after: error(DEADLINE_EXCEEDED)")

    error = await error_of(row.unary(CREATE))

    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    assert row.driver.calls == ["CreateVolume"]


async def test_rules_choose_by_volume_node_condition_and_code(row):
    row.driver.on[DELETE] = answering(b"", code=StatusCode.ABORTED, details="busy")
    row.add(
        "rpc.CreateVolume.before{vol=pvc-7*}: error(INTERNAL)",
        'rpc.CreateVolume.before{when="capacity_range.required_bytes > 100"}: error(OUT_OF_RANGE)',
        "rpc.ControllerPublishVolume.before{node=n2}: error(NOT_FOUND)",
        "rpc.DeleteVolume.after{code=ABORTED}: error(DATA_LOSS)",
    )
    publish = csi.ControllerPublishVolumeRequest

    assert (await error_of(row.unary(CREATE, create("pvc-70")))).code() is StatusCode.INTERNAL
    big = create("pvc-8", capacity_range=csi.CapacityRange(required_bytes=101))
    assert (await error_of(row.unary(CREATE, big))).code() is StatusCode.OUT_OF_RANGE
    assert await row.unary(CREATE, create("pvc-8")) == b""
    assert (
        await error_of(row.unary(PUBLISH, publish(node_id="n2").SerializeToString()))
    ).code() is StatusCode.NOT_FOUND
    assert await row.unary(PUBLISH, publish(node_id="n1").SerializeToString()) == b""
    assert (await error_of(row.unary(DELETE))).code() is StatusCode.DATA_LOSS


async def test_the_same_seed_hits_the_same_volumes_whatever_else_is_called(tmp_path_factory):
    async def hit(names):
        found = set()
        async with running(tmp_path_factory.mktemp("p"), "rpc.CreateVolume.before: 40%error(ABORTED)", seed=7) as row:
            for name in names:
                try:
                    await row.unary(CREATE, create(name))
                except grpc.aio.AioRpcError:
                    found.add(name)
        return found

    names = [f"pvc-{number}" for number in range(40)]
    few = await hit(names)
    mixed = [*names, *(f"other-{number}" for number in range(40))]
    random.Random(1).shuffle(mixed)

    assert 5 < len(few) < 35
    assert {name for name in await hit(mixed) if name.startswith("pvc")} == few


async def test_time_that_a_rule_takes_is_gone_for_the_driver(row):
    held = row.driver.on[CREATE] = Held()
    held.release.set()
    row.add("rpc.CreateVolume.before: delay(300ms)")

    await row.unary(CREATE, timeout=5)

    assert held.left_s < 4.8


async def test_an_answer_that_is_dropped_never_comes(row):
    row.add("rpc.CreateVolume.after: drop")

    error = await error_of(row.unary(CREATE, timeout=0.3))

    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    assert row.driver.calls == ["CreateVolume"]


async def test_a_hanging_call_goes_on_after_a_reset(row):
    row.add("rpc.CreateVolume.before: hang(gate)")
    call = asyncio.ensure_future(row.unary(CREATE))
    while not row.proxy.plane.barriers.waiting():
        await asyncio.sleep(0.005)
    assert row.driver.calls == []

    row.proxy.plane.reset()

    assert await call == b""


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_the_callers_connection_can_be_cut(row, how):
    row.add(f"rpc.CreateVolume.after: #1 disconnect({how})")

    error = await error_of(row.unary(CREATE))

    assert error.code() is StatusCode.UNAVAILABLE
    assert row.driver.calls == ["CreateVolume"]
    while await row.unary(CREATE).code() is not StatusCode.OK:  # until its channel has noticed that too
        await asyncio.sleep(0.01)


async def test_a_snapshot_is_not_ready_until_the_third_look_and_nothing_else_is_changed(row):
    later = b"\x82\x7d\x05later"
    ready = csi.CreateSnapshotResponse(snapshot=csi.Snapshot(snapshot_id="s", ready_to_use=True)).SerializeToString()
    row.driver.on[SNAPSHOT] = answering(ready + later, trailing=(("x-a", "1"),))
    row.add("rpc.CreateSnapshot.after: ready(3)")
    request = csi.CreateSnapshotRequest(name="s").SerializeToString()

    for _ in range(2):
        call = row.unary(SNAPSHOT, request)
        answer = await call
        assert not csi.CreateSnapshotResponse.FromString(answer).snapshot.ready_to_use
        assert answer.endswith(later)
        assert ("x-a", "1") in [tuple(pair) for pair in await call.trailing_metadata()]
    assert await row.unary(SNAPSHOT, request) == ready + later


async def test_an_answer_that_cannot_be_read_cannot_be_made_unready(row):
    row.driver.on[LISTED] = answering(b"\xff\xff")
    row.add("rpc.ListSnapshots.after: ready(3)")

    assert await row.unary(LISTED) == b"\xff\xff"


async def test_streams_have_faults_before_their_first_and_after_their_last_message(row):
    async def two(requests, context):
        await context.write(b"one")
        await context.write(b"two")

    row.driver.on[ALLOCATED] = two
    row.add("rpc.GetMetadataAllocated.before: #2 error(ABORTED)", "rpc.GetMetadataAllocated.after: #1 error(DATA_LOSS)")

    responses = aiter(row.stream(ALLOCATED))
    assert [await anext(responses), await anext(responses)] == [b"one", b"two"]
    assert (await error_of(anext(responses))).code() is StatusCode.DATA_LOSS
    assert (await error_of(anext(aiter(row.stream(ALLOCATED))))).code() is StatusCode.ABORTED
    assert [part async for part in row.stream(ALLOCATED)] == [b"one", b"two"]
    assert row.driver.calls == ["GetMetadataAllocated"] * 2


async def test_a_call_may_bring_its_own_fault_and_the_driver_does_not_see_it(tmp_path):
    async with running(tmp_path, metadata=True) as row:
        asked = (("csisim-fault", "before: error(ABORTED)"), ("csisim-client", "me"))
        assert (await error_of(row.unary(CREATE, metadata=asked))).code() is StatusCode.ABORTED
        assert await row.unary(CREATE) == b""
        assert (
            await row.unary(CREATE, metadata=(("csisim-fault", "after{client=x}: error(ABORTED)"), ("k", "v"))) == b""
        )

        assert "csisim-fault" not in row.driver.metadata()
        assert row.driver.metadata()["k"] == "v"
        wrong = await error_of(row.unary(CREATE, metadata=(("csisim-fault", "before: crash"),)))
        assert wrong.code() is StatusCode.INVALID_ARGUMENT
        assert "crash cannot happen" in wrong.details()


async def test_unless_it_is_enabled_such_metadata_is_for_the_driver(row):
    assert await row.unary(CREATE, metadata=(("csisim-fault", "before: error(ABORTED)"),)) == b""

    assert row.driver.metadata()["csisim-fault"] == "before: error(ABORTED)"


async def test_every_call_is_in_the_history_without_its_secrets(row):
    answer = csi.CreateVolumeResponse(volume=csi.Volume(volume_id="v-1")).SerializeToString()
    row.driver.on[CREATE] = answering(answer)
    await row.unary(CREATE, create(secrets={"key": "canary"}))
    row.driver.on[CREATE] = answering(b"", code=StatusCode.NOT_FOUND, details="no pool")
    await error_of(row.unary(CREATE, create()))
    row.driver.on[CREATE] = answering(b"", code=StatusCode.UNAVAILABLE, details="later")
    await error_of(row.unary(CREATE, b"\xff"))
    assert [part async for part in row.stream(ALLOCATED)] == [b""]

    told = [(event["type"], event["f"], event["call"], event.get("value")) for event in row.events()]
    assert told == [
        ("invoke", "CreateVolume", "c1", {"name": "pvc-1", "secrets": "***stripped***"}),
        ("ok", "CreateVolume", "c1", {"volume": {"volume_id": "v-1"}}),
        ("invoke", "CreateVolume", "c2", {"name": "pvc-1"}),
        ("fail", "CreateVolume", "c2", {"code": "NOT_FOUND", "message": "no pool"}),
        ("invoke", "CreateVolume", "c3", None),
        ("info", "CreateVolume", "c3", {"code": "UNAVAILABLE", "message": "later"}),
        ("invoke", "GetMetadataAllocated", "c4", None),
        ("ok", "GetMetadataAllocated", "c4", None),
    ]


async def test_a_fault_is_in_the_history_with_the_call_that_it_hit(row):
    row.add("rpc.CreateVolume.before: error(ABORTED)")
    await error_of(row.unary(CREATE, create()))

    fault = row.events("fault")[0]
    assert (fault["f"], fault["parent"], fault["value"]["vol"]) == ("rpc.CreateVolume.before", "c1", "pvc-1")


async def test_the_history_keeps_as_much_as_it_is_told(tmp_path):
    async with running(tmp_path, history_limit=3) as row:
        for _ in range(5):
            await row.unary(CREATE)

    assert [event["seq"] for event in row.events()] == [8, 9, 10]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("mount.umount: error(EBUSY)", "there is no site 'mount.umount'; the families are rpc"),
        ("rpc.CreateVolume.before: crash", "crash cannot happen"),
        ("rpc.CreateVolume.before: exhaust(attach)", "exhaust cannot happen"),
    ],
)
async def test_a_rule_that_a_proxy_cannot_honour_is_refused_before_anything_is_there(tmp_path, rule, says):
    settings = ProxySettings(
        listen=Endpoint(path=str(tmp_path / "p.sock")),
        upstream=Endpoint(path=str(tmp_path / "d.sock")),
        faults=FaultSettings(rules=(parse_rule(rule),)),
    )

    with pytest.raises(ValueError, match=says):
        Proxy(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_in_front_of_itself_is_refused():
    with pytest.raises(ValueError, match="both"):
        ProxySettings(listen=Endpoint(path="/x.sock"), upstream=Endpoint(path="/x.sock"))


async def test_a_live_socket_stays_with_its_owner(row, tmp_path):
    second = Proxy(ProxySettings(listen=row.proxy.endpoint, upstream=Endpoint(path=str(tmp_path / "d.sock"))))

    with pytest.raises(EndpointError, match="another process is listening"):
        async with second:
            raise AssertionError("it listens")
    assert await row.unary(CREATE) == b""


async def test_between_tcp_ports(tmp_path):
    async with running(tmp_path) as row:
        settings = ProxySettings(listen=Endpoint(host="127.0.0.1"), upstream=row.proxy.endpoint, grace_period_s=0)
        async with Proxy(settings) as second:
            port = second.endpoint.port
            assert second.endpoints == (f"tcp://127.0.0.1:{port}",)
            second.plane.add(parse_rule("rpc.CreateVolume.after: #2 disconnect(rst)"))
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                assert await channel.unary_unary(CREATE)(b"", timeout=10) == b""
                assert (await error_of(channel.unary_unary(CREATE)(b"", timeout=10))).code() is StatusCode.UNAVAILABLE


async def test_stopping_waits_for_running_calls_and_then_cancels_them(row):
    held = row.driver.on[CREATE] = Held()
    call = row.unary(CREATE)
    await held.reached.wait()
    patient = asyncio.create_task(row.proxy.stop_serving(60))
    await asyncio.sleep(0)
    assert not patient.done()

    await row.proxy.stop_serving(0)

    await patient
    await asyncio.wait_for(held.ended.wait(), 10)
    assert (await error_of(call)).code() in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


async def test_a_call_that_a_rule_holds_up_does_not_hold_up_the_end(row):
    row.add("rpc.CreateVolume.before: hang")
    call = asyncio.ensure_future(row.unary(CREATE))
    while not row.proxy.plane.barriers.waiting():
        await asyncio.sleep(0.005)

    await row.proxy.stop_serving(60)

    assert await call == b""


async def test_what_only_a_driver_has_is_refused(row):
    assert (row.proxy.driver_name, dict(row.proxy.links)) == ("", {})
    with pytest.raises(ValueError, match="driver cannot be crashed"):
        await row.proxy.crash("driver", "", 0.0)
    with pytest.raises(ValueError, match="left behind"):
        await row.proxy.leftovers()
    with pytest.raises(ValueError, match="NAS"):
        row.proxy.disconnect_nas()
