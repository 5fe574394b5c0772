"""Callers against a real gRPC server that fails as it is told."""

import asyncio
import contextlib
import random

import grpc
import pytest
from grpc import StatusCode

from csisim.co.callers import (
    ATTACHER,
    KUBELET,
    PROVISIONER,
    Caller,
    CallFailed,
    Calls,
    GaveUp,
    Patience,
    Role,
    _options,
    dial,
)
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.secrets import stripped

PROBE = csi.ProbeRequest()


class Failing(csi_pb2_grpc.IdentityServicer, csi_pb2_grpc.SnapshotMetadataServicer):
    """Answers with these codes in turn, then with OK."""

    def __init__(self):
        self.codes = []

    async def Probe(self, request, context):  # noqa: N802 - the protocol's name
        await self._maybe_fail(context)
        return csi.ProbeResponse()

    async def GetMetadataAllocated(self, request, context):  # noqa: N802 - the protocol's name
        yield csi.GetMetadataAllocatedResponse(volume_capacity_bytes=1)
        await self._maybe_fail(context)
        yield csi.GetMetadataAllocatedResponse(volume_capacity_bytes=2)

    async def _maybe_fail(self, context):
        if self.codes:
            await context.abort(self.codes.pop(0), "as told")


@pytest.fixture
async def driver(tmp_path):
    servicer = Failing()
    server = grpc.aio.server()
    csi_pb2_grpc.add_IdentityServicer_to_server(servicer, server)
    csi_pb2_grpc.add_SnapshotMetadataServicer_to_server(servicer, server)
    servicer.target = f"unix://{tmp_path}/csi.sock"
    server.add_insecure_port(servicer.target)
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def caller(driver):
    caller = Caller(dial(driver.target), Calls(), random.Random(1))
    yield caller
    await caller.close()


@pytest.fixture
async def history_of(driver):
    made = []

    def make(**options):
        history = History(asyncio.get_running_loop().time)
        history.describe = stripped
        patience = Patience(backoff_s=0.0)
        made.append(Caller(dial(driver.target), Calls(), random.Random(1), patience, history=history, **options))
        return made[-1], history

    yield make
    for caller in made:
        await caller.close()


def codes(caller):
    return [attempt.code for attempt in caller._calls.attempts]


async def test_codes_that_mean_still_running_are_repeated_and_every_attempt_is_kept(driver, caller):
    driver.codes = [StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED]
    wanted = [*driver.codes, StatusCode.OK]

    await caller.call(PROVISIONER, caller.identity.Probe, PROBE, "pvc-1")

    assert codes(caller) == wanted
    assert {(each.rpc, each.subject) for each in caller._calls.attempts} == {("Probe", "pvc-1")}
    assert all(each.ended_s >= each.started_s for each in caller._calls.attempts)


@pytest.mark.parametrize("code", [StatusCode.INTERNAL, StatusCode.NOT_FOUND, StatusCode.RESOURCE_EXHAUSTED])
async def test_a_final_code_ends_it_for_the_provisioner(driver, caller, code):
    driver.codes = [code]

    with pytest.raises(GaveUp, match=f"provisioner gave up on Probe\\(pvc-1\\) after 1 attempts: {code.name}: as told"):
        await caller.call(PROVISIONER, caller.identity.Probe, PROBE, "pvc-1")


async def test_the_attacher_waits_for_resources_and_kubelet_for_anything(driver, caller):
    driver.codes = [StatusCode.RESOURCE_EXHAUSTED]
    await caller.call(ATTACHER, caller.identity.Probe, PROBE, "x")
    driver.codes = [StatusCode.INTERNAL, StatusCode.FAILED_PRECONDITION]
    await caller.call(KUBELET, caller.identity.Probe, PROBE, "x")

    assert codes(caller).count(StatusCode.OK) == 2


async def test_patience_ends(driver, caller):
    role = Role("impatient", 5.0, frozenset({StatusCode.ABORTED}), attempts=3)
    driver.codes = [StatusCode.ABORTED] * 5

    with pytest.raises(GaveUp, match="after 3 attempts"):
        await caller.call(role, caller.identity.Probe, PROBE, "x")
    assert codes(caller) == [StatusCode.ABORTED] * 3


async def test_a_stream_that_breaks_is_begun_anew(driver, caller):
    driver.codes = [StatusCode.UNAVAILABLE]

    replies = await caller.stream(
        PROVISIONER, caller.snapshot_metadata.GetMetadataAllocated, csi.GetMetadataAllocatedRequest(), "s"
    )

    assert [reply.volume_capacity_bytes for reply in replies] == [1, 2]
    assert codes(caller) == [StatusCode.UNAVAILABLE, StatusCode.OK]


async def test_a_server_that_is_away_is_unavailable(tmp_path):
    caller = Caller(dial(f"unix://{tmp_path}/nobody.sock"), Calls(), random.Random(1))
    role = Role("impatient", 5.0, frozenset(), attempts=1)

    with pytest.raises(GaveUp, match="UNAVAILABLE"):
        await caller.call(role, caller.identity.Probe, PROBE, "x")
    await caller.close()


async def test_a_caller_in_a_hurry_gives_each_attempt_its_own_time(driver):
    hanging = asyncio.Event()

    async def hang(context):
        if not hanging.is_set():
            hanging.set()
            await asyncio.sleep(60)

    driver._maybe_fail = hang
    caller = Caller(dial(driver.target), Calls(), random.Random(1), Patience(timeout_s=0.05, backoff_s=0.0))

    await caller.call(KUBELET, caller.identity.Probe, PROBE, "x")

    assert codes(caller) == [StatusCode.DEADLINE_EXCEEDED, StatusCode.OK]
    await caller.close()


def test_how_soon_a_caller_connects_again_is_a_setting_of_its_channel():
    assert _options(Patience()) == []
    assert set(dict(_options(Patience(reconnect_s=0.02))).values()) == {20}


async def test_who_gave_up_tells_the_last_attempt(driver, caller):
    driver.codes = [StatusCode.INTERNAL]

    with pytest.raises(GaveUp) as caught:
        await caller.call(PROVISIONER, caller.identity.Probe, PROBE, "x")
    assert (caught.value.attempt.code, caught.value.attempt.message) == (StatusCode.INTERNAL, "as told")


async def test_every_attempt_is_an_invoke_and_an_end_in_the_history(driver, history_of):
    caller, history = history_of(name="client-1")
    driver.codes = [StatusCode.UNAVAILABLE, StatusCode.FAILED_PRECONDITION]

    await caller.call(KUBELET, caller.identity.Probe, PROBE, "x")

    seen = [event.to_json() for event in history.since()]
    assert [(each["type"], each["kind"], each["f"], each["process"]) for each in seen] == [
        (type_, "call", "Probe", "client-1") for type_ in ("invoke", "info", "invoke", "fail", "invoke", "ok")
    ]
    assert [each["call"] for each in seen] == ["c1", "c1", "c2", "c2", "c3", "c3"]
    assert seen[1]["value"] == {"code": "UNAVAILABLE", "message": "as told"}


@pytest.mark.parametrize(
    "code", [StatusCode.CANCELLED, StatusCode.UNKNOWN, StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL]
)
async def test_codes_that_tell_nothing_are_info(driver, history_of, code):
    caller, history = history_of()
    driver.codes = [code]
    with pytest.raises(CallFailed, match=f"Probe\\(x\\): {code.name}: as told"):
        await caller.once(PROVISIONER, caller.identity.Probe, PROBE, "x")
    assert [event.type for event in history.since()] == ["invoke", "info"]
    assert history.since()[0].process == "provisioner"


async def test_a_caller_that_is_cancelled_knows_nothing(driver, history_of):
    caller, history = history_of()
    arrived = asyncio.Event()

    async def hang(_context):
        arrived.set()
        await asyncio.sleep(60)

    driver._maybe_fail = hang
    call = asyncio.create_task(caller.once(KUBELET, caller.identity.Probe, PROBE, "x"))
    await arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [event.type for event in history.since()] == ["invoke", "info"]
    assert codes(caller) == [StatusCode.CANCELLED]


async def test_calls_are_made_within_what_they_are_given(driver, history_of):
    within = []

    @contextlib.contextmanager
    def around(call, subject):
        within.append((call, subject))
        yield
        within.append("left")

    caller, history = history_of(around=around)
    request = csi.GetMetadataAllocatedRequest()
    await caller.stream(PROVISIONER, caller.snapshot_metadata.GetMetadataAllocated, request, "s")
    assert within == [("c1", "s"), "left"]
    assert history.since()[-1].to_json()["value"] == {"messages": 2}
