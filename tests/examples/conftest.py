"""One running driver with a control server for the scripts."""

import os
import re
from collections.abc import Iterator

import grpc
import pytest

from csisim.control.client import FaultClient
from csisim.pb import csi_pb2, csi_pb2_grpc
from tests.support import processes


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Server]:
    server = processes.driver(tmp_path_factory.mktemp("driver"), "--control", "127.0.0.1:0", "--fault-seed", "7")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def surroundings(serving: processes.Server) -> Iterator[dict[str, str]]:
    """The variables that an example is run with; afterwards all is healed, and a volume that it left is deleted."""
    found = re.search(r"^csisim control on (\S+)$", serving.stdout.read_text(), re.MULTILINE)
    assert found is not None
    endpoint = f"unix://{serving.directory / 'csi.sock'}"
    yield {**os.environ, "CSISIM_CONTROL": found[1], "CSI_ENDPOINT": endpoint}
    with FaultClient(found[1]) as faults, grpc.insecure_channel(endpoint) as channel:
        faults.reset()
        left = [each.rpartition("/")[2] for each in faults.leftovers() if each.startswith("dataset ")]
        for volume_id in left:
            request = csi_pb2.DeleteVolumeRequest(volume_id=volume_id)
            csi_pb2_grpc.ControllerStub(channel).DeleteVolume(request, timeout=10)
