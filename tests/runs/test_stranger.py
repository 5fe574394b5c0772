"""Meeting a driver: who it is, and clear words where there is nobody, or somebody else."""

import random
import re
import socket as sockets
import stat

import grpc
import pytest

from csisim.co.callers import Caller, Calls, Role
from csisim.endpoint import Endpoint
from csisim.pb import csi_pb2 as csi
from csisim.runs.stranger import CannotDrive, Wire, meet
from tests.support.stranger import Rpc, Stranger


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("d") / "s.sock"


async def test_who_it_is_and_what_it_can_do(socket):
    async with Stranger(socket) as stranger:
        known = await meet(stranger.plan(), random.Random(1))
    assert (known.info.name, known.version, dict(known.node_ids)) == ("stranger.example", "7", {"one": "i-0001"})
    assert known.can(Rpc.CREATE_DELETE_VOLUME, Rpc.CLONE_VOLUME)
    assert not known.can(Rpc.CREATE_DELETE_VOLUME, Rpc.MODIFY_VOLUME)


async def fails(plan, told):
    with pytest.raises(CannotDrive, match=re.escape(told)):
        await meet(plan, random.Random(1))


async def test_no_socket_no_listener_and_no_socket_at_all(socket):
    plan = Stranger(socket).plan()
    await fails(plan, "there is no such socket")
    with sockets.socket(sockets.AF_UNIX) as left:
        left.bind(str(socket))
    assert stat.S_ISSOCK(socket.stat().st_mode)
    await fails(plan, "nobody listens there")
    socket.unlink()
    socket.touch()
    await fails(plan, "something else than a socket")


async def test_a_port_that_nobody_listens_on(socket):
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = Endpoint(host="127.0.0.1", port=free.getsockname()[1])
        await fails(Stranger(socket).plan(controller=where, nodes={}), f"{where}: nobody listens there")


async def test_something_that_is_no_csi_driver(socket):
    server = grpc.aio.server()
    server.add_insecure_port(f"unix://{socket}")
    await server.start()
    try:
        await fails(Stranger(socket).plan(), "does not answer as a CSI driver does: Probe(driver): UNIMPLEMENTED")
    finally:
        await server.stop(0)


async def test_a_driver_that_cannot_create_volumes(socket):
    async with Stranger(socket, controller=[Rpc.LIST_VOLUMES]) as stranger:
        await fails(stranger.plan(), "no CREATE_DELETE_VOLUME")
    async with Stranger(socket, services=[]) as stranger:
        await fails(stranger.plan(), "no CONTROLLER_SERVICE")


async def test_two_names_for_one_node(socket):
    async with Stranger(socket) as stranger:
        here = stranger.plan().controller
        await fails(stranger.plan(nodes={"one": here, "two": here}), "that it is 'i-0001', which another node is")


async def test_what_goes_over_the_wire_is_known(socket, tmp_path):
    ended = []
    async with Stranger(socket) as stranger:
        plan = stranger.plan()
        wire = Wire(plan, await meet(plan, random.Random(1)), lambda node, request: ended.append((node, request)))
        role = Role("test", 5.0, frozenset())
        controller = Caller(wire.channel(None), Calls(), random.Random(1))
        node = Caller(wire.channel("i-0001"), Calls(), random.Random(1))
        create = csi.CreateVolumeRequest(name="pvc-1")
        made = await controller.once(role, controller.controller.CreateVolume, create, "pvc-1")
        staging = csi.NodeStageVolumeRequest(volume_id=made.volume.volume_id, staging_target_path="/s")
        await node.once(role, node.node.NodeStageVolume, staging, "pvc-1")
        publish = csi.NodePublishVolumeRequest(volume_id=made.volume.volume_id, target_path=str(tmp_path / "t"))
        await node.once(role, node.node.NodePublishVolume, publish, "pvc-1")
        assert wire.volumes == {made.volume.volume_id: "pvc-1"}
        assert wire.creates == {("CreateVolumeRequest", "pvc-1"): create}
        assert wire.held == {
            ("staged", made.volume.volume_id, "i-0001"): ("i-0001", staging),
            ("published", publish.target_path, "i-0001"): ("i-0001", publish),
        }
        away = csi.NodeUnpublishVolumeRequest(volume_id=made.volume.volume_id, target_path=publish.target_path)
        await node.once(role, node.node.NodeUnpublishVolume, away, "pvc-1")
        await controller.close()
        await node.close()
    assert list(wire.held) == [("staged", made.volume.volume_id, "i-0001")]
    assert ended == [("i-0001", away)]
