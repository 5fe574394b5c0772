"""What the cost oracle says of drivers that are wasteful, and of calls that it must not judge."""

import asyncio
from dataclasses import replace
from typing import Any

from csisim.check.cost import Costs, check_cost, table
from csisim.check.index import index
from csisim.check.verdicts import Violation
from csisim.driver import node_staging
from csisim.driver.device_wait import wait_for_device
from csisim.driver.exports import NfsExport
from csisim.driver.node_staging import Staging
from csisim.driver.provisioning import Provisioner
from csisim.driver.snapshots import Snapshots, record_of
from csisim.driver.volumes import Volumes
from csisim.errors import AlreadyExists
from csisim.events import Event
from csisim.pb import csi_pb2 as csi
from csisim.truenas.client import NasClient
from tests.support.traced import Client, Traced, traced


async def three_volumes_and_snapshots(client: Client) -> None:
    for number in range(3):
        await client(client.create(f"v-{number}"))
        await client(csi.CreateSnapshotRequest(name=f"s-{number}", source_volume_id=f"v-{number}"))


def found(program: Any, **options: Any) -> tuple[Traced, tuple[Violation, ...]]:
    run = traced(program, **options)
    result = check_cost(run.index)
    assert result.check == "cost"
    return run, result.violations


async def delete_a_snapshot(client: Client) -> None:
    await three_volumes_and_snapshots(client)
    await client(csi.DeleteSnapshotRequest(snapshot_id="v-1@s-1"))


def test_fetching_all_snapshots_to_find_one(monkeypatch):
    async def find(self: Snapshots, snapshot_id: Any) -> Any:
        prefix = self._volumes.dataset_id("")
        rows = await self._storage.snapshots_after(prefix, "", 0)
        return next((record_of(row) for row in rows if row.id == f"{prefix}{snapshot_id}"), None)

    assert found(delete_a_snapshot)[1] == ()
    monkeypatch.setattr(Snapshots, "find", find)
    run, (violation,) = found(delete_a_snapshot)
    assert violation.summary == (
        'DeleteSnapshot(v-1@s-1), changed: pool.snapshot.query with filters [["id", "^", "tank/csi/"]] '
        "and limit 500 looks at everything there is"
    )
    assert len(violation.events) == 4
    numbers = {event["seq"] for event in run.values}
    assert set(violation.events) <= numbers


def test_a_list_without_pages(monkeypatch):
    async def list_them(client: Client) -> None:
        await three_volumes_and_snapshots(client)
        await client(csi.ListVolumesRequest(max_entries=1))

    whole = Volumes.page

    async def page(self: Volumes, after: str, limit: int) -> Any:
        volumes = await whole(self, after, 0)
        return volumes[:limit] if limit else volumes

    assert found(list_them)[1] == ()
    monkeypatch.setattr(Volumes, "page", page)
    _, (violation,) = found(list_them)
    assert violation.summary == "ListVolumes(), same: pool.dataset.query gave 3 rows for a page of 1"


def test_scanning_all_shares_for_one_path(monkeypatch):
    async def again(client: Client) -> None:
        await client(client.create("v"))
        await client(client.create("v"))

    async def scan(self: NfsExport, path: str, _component: str) -> Any:
        return next((row for row in await self._shares.rows() if row["path"] == path), None)

    assert found(again)[1] == ()
    monkeypatch.setattr(NfsExport, "_only_share", scan)
    _, (violation,) = found(again)
    assert violation.summary == (
        "CreateVolume(v), same, nfs: sharing.nfs.query with filters [] and limit none looks at everything there is"
    )


def test_property_updates_that_change_nothing(monkeypatch):
    async def modify_twice(client: Client) -> None:
        await client(client.create("v"))
        for _ in range(2):
            await client(csi.ControllerModifyVolumeRequest(volume_id="v", mutable_parameters={"sync": "always"}))

    async def always(self: Volumes, volume: Any, settings: Any) -> None:
        await self._update(volume, settings=settings)

    assert found(modify_twice)[1] == ()
    monkeypatch.setattr(Volumes, "modify", always)
    _, violations = found(modify_twice)
    assert sorted(violation.summary.partition(": ")[2] for violation in violations) == [
        "made 2 calls of the NAS (2 counted), at most 1 were due: pool.dataset.query, pool.dataset.update",
        "pool.dataset.update changed nothing",
    ]


async def stage(client: Client) -> None:
    volume = (await client(client.create("v"))).volume
    published = await client(client.publish("v", "a"))
    await client(
        csi.NodeStageVolumeRequest(
            volume_id="v",
            staging_target_path="/k/staging",
            volume_capability=client.capability,
            volume_context=volume.volume_context,
            publish_context=published.publish_context,
        )
    )


def test_a_device_that_is_looked_for_by_walking(monkeypatch):
    mount = Staging._mount

    async def walks(self: Staging, record: Any) -> None:
        for number in range(8):
            await self._host.mounter.exists(f"/dev/disk/by-path/{number}")
        await mount(self, record)

    assert found(stage, protocol="iscsi")[1] == ()
    monkeypatch.setattr(Staging, "_mount", walks)
    _, (violation,) = found(stage, protocol="iscsi")
    assert "asked 12 things of the machine's paths and mounts, at most 7 were due" in violation.summary


def test_a_time_out_that_is_noticed_half_a_second_late(monkeypatch):
    async def late(*args: Any) -> None:
        try:
            await wait_for_device(*args)
        finally:
            await asyncio.sleep(0.5)

    never = {"protocol": "nvmeof", "device_delay_s": 1e6}
    assert found(stage, **never)[1] == ()
    monkeypatch.setattr(node_staging, "wait_for_device", late)
    run, (violation,) = found(stage, **never)
    assert run.of("rpc", "NodeStageVolume")[1]["type"] != "ok"
    assert "0.5" in violation.summary
    assert "longer than the device time-out" in violation.summary
    # Of a call that a rule has held up nobody can tell whose time it was.
    [place] = [number for number, event in enumerate(run.events) if event.seq == violation.events[0]]
    event = run.events[place]
    fault = Event(event.seq, event.at_s, "info", "fault", "rpc.NodeStageVolume.before", value={"action": "delay(1s)"})
    held_up = [*run.events[: place + 1], fault, *run.events[place + 1 :]]
    renumbered = [replace(each, seq=number) for number, each in enumerate(held_up, 1)]
    assert check_cost(index(renumbered)).violations == ()


def test_a_wait_that_ends_sooner_than_the_device_time_out(monkeypatch):
    async def hasty(devices: Any, device: str, _timeout_s: float) -> None:
        await wait_for_device(devices, device, 30.0)

    async def in_a_hurry(client: Client) -> None:
        await client(client.create("v"))
        await client(client.publish("v", "a"))
        volume = (await client(client.create("v"))).volume
        request = csi.NodeStageVolumeRequest(
            volume_id="v", staging_target_path="/k/staging", volume_capability=client.capability,
            volume_context=volume.volume_context, publish_context={"readonly": "false"},
        )  # fmt: skip
        await client(request, timeout_s=20.0)

    never = {"protocol": "iscsi", "device_delay_s": 1e6}
    monkeypatch.setattr(node_staging, "wait_for_device", hasty)
    _, (violation,) = found(stage, **never)
    assert "gave up after 30" in violation.summary
    assert "it was to wait 60 s, and had 5" in violation.summary
    # The caller's own time may end sooner.
    run, violations = found(in_a_hurry, **never)
    assert run.of("rpc", "NodeStageVolume")[1]["value"]["code"] == "DEADLINE_EXCEEDED"
    assert violations == ()


def test_calls_that_wait_for_one_another_on_the_socket(monkeypatch):
    async def create(client: Client) -> None:
        await client(client.create("v"))

    turn, call = asyncio.Lock(), NasClient._call

    async def serial(self: NasClient, *args: Any) -> Any:
        async with turn:
            return await call(self, *args)

    assert found(create, protocol="iscsi")[1] == ()
    monkeypatch.setattr(NasClient, "_call", serial)
    _, violations = found(create, protocol="iscsi")
    assert {"late, with a free slot on the socket" in each.summary for each in violations} == {True}


def test_an_operation_whose_worker_has_failed_without_a_word(monkeypatch):
    async def refused(client: Client) -> None:
        await client(client.create("v"))
        await client(client.create("v", gib=2), timeout_s=15.0)
        await asyncio.sleep(1)

    create = Provisioner.create

    async def silent(self: Provisioner, request: Any) -> Any:
        try:
            return await create(self, request)
        except AlreadyExists:
            await asyncio.Event().wait()

    assert found(refused)[1] == ()
    monkeypatch.setattr(Provisioner, "create", silent)
    run, (violation,) = found(refused)
    assert "in which it waited for nothing" in violation.summary
    # On a machine that is too busy for the call, nobody can tell.
    last = run.events[-1]
    for spans, expected in (([[0.0, 5.0]], 0), ([[100.0, 5.0]], 1)):
        stalled = Event(last.seq + 1, last.at_s, "info", "state", "stalled", value={"spans": spans})
        assert len(check_cost(index([*run.events, stalled])).violations) == expected


def test_a_call_of_the_nas_that_arrives_after_its_rpc_has_ended_is_nothing_that_was_waited_for():
    publish, query, update = "ControllerPublishVolume", "pool.dataset.query", "pool.dataset.update"
    events = [
        Event(1, 1.0, "invoke", "rpc", publish, "c1", "node-1"),
        Event(2, 1.001, "invoke", "nas", query, "c2", "nas", "c1", {"params": [[["id", "=", "tank/v"]]]}),
        Event(3, 1.006, "ok", "nas", query, "c2", "nas", "c1"),
        Event(4, 1.007, "info", "rpc", publish, "c1", "node-1", value={"code": "CANCELLED"}),
        Event(5, 10.65, "invoke", "nas", update, "c3", "nas", "c1"),
        Event(6, 10.66, "ok", "nas", update, "c3", "nas", "c1"),
    ]
    (cost,) = index(events).derived(Costs).all
    assert [call.id for call in cost.nas] == ["c2", "c3"]
    assert round(cost.waited_s, 6) == 0.002
    assert check_cost(index(events)).violations == ()


def test_calls_around_which_something_was_wrong_are_not_judged(monkeypatch):
    async def lost_answer(client: Client) -> None:
        await client(client.create("first"))
        await client(client.create("v"))

    rules = ["nas.pool.dataset.create.reply: #4 disconnect(rst)"]
    run = traced(lost_answer, rules=rules)
    (cost, *_) = [cost for cost in run.index.derived(Costs).all if cost.rpc.request["name"] == "v"]
    assert run.index.faults
    assert cost.rpc.ok
    assert cost.counted > 2
    assert check_cost(run.index).violations == ()
    assert check_cost(run.index).looked_at == 1


def test_a_clone_that_meets_what_an_earlier_attempt_left_is_not_judged():
    async def stale(client: Client) -> None:
        await client(client.create("v"))
        nas = client.cluster.nas
        assert nas is not None
        left = {"dataset": "tank/csi/v", "name": "clone_copy", "properties": {"csisim:clone_for": "copy"}}
        await nas.call("pool.snapshot.create", left)
        await client(client.create("copy", volume="v"))

    run, violations = found(stale)
    assert run.of("nas", "pool.snapshot.create", type="fail")
    assert violations == ()
    assert check_cost(run.index).looked_at == 1


def test_a_minute_after_the_last_trouble_calls_are_judged_again():
    async def later(client: Client) -> None:
        await client(client.create("first"))
        await asyncio.sleep(30)
        await client(client.create("second"))
        await asyncio.sleep(31)
        await client(client.create("third"))

    run = traced(later, rules=["nas.pool.dataset.create.reply: 1*delay(1s)"])
    assert check_cost(run.index).looked_at == 1


def test_a_history_without_tracing_tells_nothing_about_cost():
    run = traced(delete_a_snapshot, trace=False)
    result = check_cost(run.index)
    assert (result.verdict, result.looked_at) == ("ok", 0)


def test_a_call_that_never_ended_is_in_the_table_and_not_judged():
    seen = index([Event(1, 0.0, "invoke", "rpc", "DeleteVolume", "c1", "a", value={"volume_id": "v"})])
    assert check_cost(seen).looked_at == 0
    (row,) = table(seen)
    assert (row["rpc"], row["code"], row["count"], row["nas_calls"]) == ("DeleteVolume", "", 1, [0, 0, 0])
    assert "latency_s" not in row
