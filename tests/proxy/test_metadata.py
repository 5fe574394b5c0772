import pytest

from csisim.proxy.metadata import forwarded


def test_pairs_keep_their_order_repeats_and_bytes():
    given = (("b", "1"), ("a", "2"), ("b", "3"), ("x-bin", b"\x00\xff"))

    assert forwarded(given) == given


@pytest.mark.parametrize(
    "key",
    ["connection", "te", "content-type", "user-agent", "transfer-encoding", "host", ":authority", ":path",
     "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-status", "grpc-message", "grpc-internal-x"],
)  # fmt: skip
def test_what_belongs_to_one_connection_stays(key):
    assert forwarded([(key, "x"), ("kept", "y")]) == (("kept", "y"),)


@pytest.mark.parametrize(
    "key", ["authorization", "grpc-status-details-bin", "grpc-trace-bin", "traceparent", "csisim-fault", "grpcx"]
)
def test_what_speaks_of_the_call_goes_on(key):
    assert forwarded([(key, "x")]) == ((key, "x"),)


def test_keys_can_be_withheld():
    assert forwarded([("csisim-fault", "x"), ("kept", "y")], without=["csisim-fault"]) == (("kept", "y"),)


def test_no_metadata_is_none():
    assert forwarded(None) == forwarded(()) == ()
