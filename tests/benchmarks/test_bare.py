"""The yardstick server as a process of its own, under the benchmark's own load."""

import asyncio
from pathlib import Path

import grpc
import pytest

from benchmarks import load, servers


async def test_bare_server_creates_lists_and_deletes_through_the_generated_stub(tmp_path: Path) -> None:
    async with servers.bare(tmp_path, volumes=250) as target:
        volume_id = await load.create(target, "one")
        assert volume_id == await load.create(target, "one")
        assert len((await load.page(target, "")).entries) == load.PAGE
        await load.delete(target, volume_id)
        await load.delete(target, volume_id)


async def test_load_reports_pairs_and_the_cpu_time_of_the_server(tmp_path: Path) -> None:
    async with servers.bare(tmp_path) as target:
        measured = await load.pairs(target, 4, 0.2, "pair")
        assert measured.per_s > 0
        assert measured.cpu_s_per_rpc.keys() == {"bare"}
        # Every lane deletes what it created.
        assert list((await load.page(target, "")).entries) == []


async def test_populate_creates_every_number_once_whatever_the_lanes(tmp_path: Path) -> None:
    async with servers.bare(tmp_path) as target:
        assert await load.populate(target, 10, 60, lambda _done, _elapsed_s: None, concurrency=7) > 0
        names = [entry.volume.volume_id for entry in (await load.page(target, "")).entries]
        assert sorted(names) == [f"present-{number:06}" for number in range(10, 60)]


async def test_create_latencies_leave_nothing_behind(tmp_path: Path) -> None:
    async with servers.bare(tmp_path) as target:
        taken = await load.create_latencies(target, 5, "new")
        assert len(taken) == 5
        assert min(taken) > 0
        assert list((await load.page(target, "")).entries) == []


async def test_calls_that_are_not_measured_are_not_offered(tmp_path: Path) -> None:
    async with servers.bare(tmp_path) as target:
        from csisim.pb import csi_pb2

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await target.controller.GetCapacity(csi_pb2.GetCapacityRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_server_is_gone_after_the_context(tmp_path: Path) -> None:
    async with servers.bare(tmp_path) as target:
        pid = target.pids["bare"]
        assert servers.usage(pid).peak_bytes > 1 << 20
    with pytest.raises(FileNotFoundError):
        servers.usage(pid)


async def test_a_server_that_ends_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match=r"(?s)bare ended with status 2.*--volumes"):
            async with servers.bare(tmp_path, volumes="many"):  # type: ignore[arg-type]
                pass
