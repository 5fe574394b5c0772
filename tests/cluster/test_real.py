import random
from datetime import UTC, datetime

import grpc
import pytest

from csisim.cluster.real import RealSurroundings
from csisim.cluster.settings import ClusterError
from csisim.driver.server import Services
from csisim.endpoint import Endpoint
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from fake_truenas import Nas, NasConfig


class Identity(csi_pb2_grpc.IdentityServicer):
    async def Probe(self, request, context):  # noqa: N802 - the protocol's name
        return csi.ProbeResponse()


async def test_a_listener_serves_until_it_is_stopped(tmp_path):
    endpoint = Endpoint(path=str(tmp_path / "csi.sock"))
    listener = await RealSurroundings().listen(Services(identity=Identity()), (), endpoint)
    assert listener.endpoint == endpoint
    async with grpc.aio.insecure_channel(endpoint.target) as channel:
        await csi_pb2_grpc.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=10)

    await listener.stop(1.0)
    await listener.stop(0.0)

    assert list(tmp_path.iterdir()) == []


async def test_the_embedded_nas_is_on_loopback_alone():
    nas = Nas(NasConfig(api_key="1-k"), rng=random.Random(1), clock=lambda: 0.0)
    server = await RealSurroundings().serve_nas(nas)

    assert server.host == "127.0.0.1"
    assert server.port > 0
    await server.close()
    nas.close()


async def test_a_nas_that_cannot_listen_is_told_plainly():
    class Deaf:
        async def serve(self, host, port):
            raise OSError(98, "Address already in use")

    with pytest.raises(ClusterError, match=r"cannot listen on 127\.0\.0\.1: Address already in use"):
        await RealSurroundings().serve_nas(Deaf())


def test_wall_time_is_seconds_since_the_epoch():
    before = datetime.now(UTC).timestamp()

    assert before <= RealSurroundings().wall_time_s() <= datetime.now(UTC).timestamp()
