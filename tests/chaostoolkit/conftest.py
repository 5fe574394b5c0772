"""One running driver with a control server for all tests here, healed after each."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import pytest

from csisim.chaostoolkit import actions
from csisim.chaostoolkit.connection import URL
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from tests.support import processes

WRITER = csi.VolumeCapability(
    mount=csi.VolumeCapability.MountVolume(),
    access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"),
)


@pytest.fixture
def here(serving: processes.Server) -> Iterator[dict[str, Any]]:
    """The configuration of an experiment on it."""
    configuration = {URL: processes.control_url(serving)}
    yield configuration
    actions.reset(configuration=configuration)


@pytest.fixture
def endpoint(serving: processes.Server) -> str:
    return f"unix://{serving.directory / 'csi.sock'}"


@pytest.fixture
def controller(endpoint: str) -> Iterator[csi_pb2_grpc.ControllerStub]:
    with grpc.insecure_channel(endpoint) as channel:
        yield csi_pb2_grpc.ControllerStub(channel)


class Volumes:
    """Creates and deletes on the running driver; whatever a test leaves is deleted after it."""

    def __init__(self, controller: csi_pb2_grpc.ControllerStub) -> None:
        self._controller = controller
        self._made: list[str] = []

    def create(self, name: str) -> str:
        self._made.append(name)
        request = csi.CreateVolumeRequest(name=name, volume_capabilities=[WRITER], parameters={"protocol": "nfs"})
        return self._controller.CreateVolume(request, timeout=10).volume.volume_id

    def delete(self, name: str) -> None:
        self._controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=name), timeout=10)

    def code_of_delete(self, name: str) -> str:
        try:
            self.delete(name)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def clean_up(self) -> None:
        for name in self._made:
            self.delete(name)


@pytest.fixture
def volumes(controller: csi_pb2_grpc.ControllerStub, here: dict[str, Any]) -> Iterator[Volumes]:
    found = Volumes(controller)
    yield found
    actions.reset(configuration=here)
    found.clean_up()


@pytest.fixture
def in_background() -> Callable[..., AbstractContextManager[Future[Any]]]:
    """Runs a call that blocks in a thread of its own."""

    @contextmanager
    def run(call: Callable[..., Any], *arguments: Any) -> Iterator[Future[Any]]:
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(call, *arguments)

    return run
