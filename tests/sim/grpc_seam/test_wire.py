import hashlib
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2
from csisim.sim.grpc_seam.wire import Status, raw_metadata, serialized, too_large


def test_maps_are_serialized_in_one_order() -> None:
    message = csi_pb2.CreateVolumeRequest(parameters={f"key{number}": "x" for number in range(30)})
    body = serialized(csi_pb2.CreateVolumeRequest.SerializeToString, message)
    # The digest says that it is the same in every process: without the cure this fails in nearly every one.
    assert hashlib.blake2b(body, digest_size=8).hexdigest() == "4dbb900f27fc77ee"
    assert csi_pb2.CreateVolumeRequest.FromString(body) == message


def test_other_serializers_and_other_messages_go_their_own_way() -> None:
    assert serialized(bytes, b"raw") == b"raw"
    with pytest.raises(TypeError, match="SerializeToString"):
        serialized(csi_pb2.CreateVolumeRequest.SerializeToString, 5)


def test_metadata_is_pairs_of_text_or_bytes() -> None:
    assert raw_metadata(None) == ()
    assert raw_metadata([("a", "1"), ("b-bin", b"\x00"), ("c", b"text")]) == (
        ("a", "1"),
        ("b-bin", b"\x00"),
        ("c", "text"),
    )


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        (("A", "1"), grpc.aio.InternalError),
        (("", "1"), grpc.aio.InternalError),
        (("a-bin", "1"), TypeError),
        (("a", 1), TypeError),
    ],
)
def test_what_grpc_does_not_send_is_refused(pair: tuple[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        raw_metadata([pair])


def test_a_message_may_have_4_mib() -> None:
    assert too_large("CLIENT", 4 << 20) is None
    assert too_large("SERVER", (4 << 20) + 1) == Status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (4194305 vs. 4194304)"
    )
