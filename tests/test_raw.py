import pytest

from csisim.pb import csi_pb2 as csi
from csisim.raw import RawMessage, decoded

LATER = b"\x82\x7d\x05later"


def test_bytes_are_decoded_when_somebody_looks():
    raw = RawMessage(csi.Volume(volume_id="v").SerializeToString(), csi.Volume)

    assert raw.message.volume_id == "v"
    assert raw.message is raw.message
    assert raw.malformed == ""


@pytest.mark.parametrize("data", [b"\xff", b"\x12\x02\xff\xfe"], ids=["cut off", "not UTF-8"])
def test_malformed_bytes_are_an_empty_message_and_stay_as_they_are(data):
    raw = RawMessage(data, csi.Volume)

    assert raw.message == csi.Volume()
    assert raw.malformed
    assert raw.data == data


def test_a_replacement_keeps_what_its_type_does_not_know():
    raw = RawMessage(csi.Volume(volume_id="v").SerializeToString() + LATER, csi.Volume)
    changed = csi.Volume.FromString(raw.data)
    changed.volume_id = "w"

    raw.replace(changed)

    assert raw.data == csi.Volume(volume_id="w").SerializeToString() + LATER
    assert raw.message.volume_id == "w"


def test_a_message_is_itself():
    message = csi.Volume(volume_id="v")

    assert decoded(message) is message
    assert decoded(RawMessage(message.SerializeToString(), csi.Volume)) == message
