"""A crash that a rule asks for from inside of a call ends that call, and nothing of the call lives on."""

import asyncio
import random

import grpc
import pytest

from csisim.cluster import Cluster, ClusterSettings
from csisim.faults.grammar import parse_rule
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc


@pytest.mark.parametrize("what", ["driver", "node"])
async def test_what_is_started_after_a_crash_does_not_inherit_the_time_of_the_call_that_was_its_victim(what):
    timeout_s = 0.4
    async with Cluster(ClusterSettings(grace_period_s=1), rng=random.Random(1), faults=FaultSettings()) as cluster:
        assert cluster.injection is not None
        cluster.injection.plane.add(parse_rule(f"rpc.ListVolumes.before: #1 crash({what})"))
        loop = asyncio.get_running_loop()
        async with grpc.aio.insecure_channel(cluster.endpoint.target) as channel:
            stub = csi_pb2_grpc.ControllerStub(channel)
            started_s = loop.time()
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.ListVolumes(csi.ListVolumesRequest(), timeout=timeout_s)
            await cluster.recovered()
            await asyncio.sleep(started_s + timeout_s - loop.time())

            await stub.ListVolumes(csi.ListVolumesRequest(), timeout=10, wait_for_ready=True)
