"""One running driver with a control server for the scripts."""

import os
from collections.abc import Iterator

import grpc
import pytest

from csisim.control.client import FaultClient
from csisim.pb import csi_pb2, csi_pb2_grpc
from tests.support import processes


@pytest.fixture
def surroundings(serving: processes.Server) -> Iterator[dict[str, str]]:
    """The variables that an example is run with; afterwards all is healed, and a volume that it left is deleted."""
    control = processes.control_url(serving)
    endpoint = f"unix://{serving.directory / 'csi.sock'}"
    yield {**os.environ, "CSISIM_CONTROL": control, "CSI_ENDPOINT": endpoint}
    with FaultClient(control) as faults, grpc.insecure_channel(endpoint) as channel:
        faults.reset()
        left = [each.rpartition("/")[2] for each in faults.leftovers() if each.startswith("dataset ")]
        for volume_id in left:
            request = csi_pb2.DeleteVolumeRequest(volume_id=volume_id)
            csi_pb2_grpc.ControllerStub(channel).DeleteVolume(request, timeout=10)
