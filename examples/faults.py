"""Drives the faults of a running csisim from Python: a volume is created although the first two answers are lost.

csisim serve --endpoint unix:///tmp/csi.sock --control 127.0.0.1:8474 &
CSISIM_CONTROL=http://127.0.0.1:8474 CSI_ENDPOINT=unix:///tmp/csi.sock python examples/faults.py
"""

import os

import grpc

from csisim.control.client import FaultClient
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc

REQUEST = csi.CreateVolumeRequest(
    name="pvc-example",
    volume_capabilities=[
        csi.VolumeCapability(
            mount=csi.VolumeCapability.MountVolume(),
            access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"),
        )
    ],
    parameters={"protocol": "nfs"},
)


def main() -> None:
    """Create with faults, look at what happened, and delete."""
    with grpc.insecure_channel(os.environ["CSI_ENDPOINT"]) as channel, FaultClient() as faults:
        controller = csi_pb2_grpc.ControllerStub(channel)
        # Made on the NAS, but the caller never hears of it.
        with faults.fault("rpc.CreateVolume.after{vol=pvc-example}: 2*error(UNAVAILABLE)", name="lost answer") as rule:
            for attempt in range(1, 5):
                try:
                    volume = controller.CreateVolume(REQUEST, timeout=10).volume
                except grpc.RpcError as error:
                    print(f"attempt {attempt}: {error.code().name}: {error.details()}")
                else:
                    print(f"attempt {attempt}: {volume.volume_id}")
                    break
            else:
                raise SystemExit("the volume was not created: is another rule in the way? See `csisim fault list`")
            firings = [event["value"] for event in faults.events(kinds=["fault"]).events]
        print(f"fired: {sum(firing['rule'] == rule.name for firing in firings)}")
        print(f"on the NAS: {faults.leftovers()}")
        controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume.volume_id), timeout=10)
        print(f"after DeleteVolume: {faults.leftovers()}")


if __name__ == "__main__":
    main()
