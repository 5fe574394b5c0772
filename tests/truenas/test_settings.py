"""Settings: refused with the reason, and never showing the key."""

import pytest

from csisim.truenas.client import NasSettings

URL = "ws://127.0.0.1:6000/api/current"
KEY = "1-secret"


@pytest.mark.parametrize(
    "url", ["", "http://nas/api/current", "ws://", "nas:80", "ws:///api", "ws://nas:99999/", "ws://nas:x/"]
)
def test_url_that_is_no_websocket_is_refused(url):
    with pytest.raises(ValueError, match="NAS url"):
        NasSettings(url=url, api_key=KEY)


@pytest.mark.parametrize("key", ["", "k\u00e9y", "key\n", "\udc80"])
def test_key_that_cannot_be_one_is_refused_without_showing_it(key):
    with pytest.raises(ValueError, match="NAS api_key") as caught:
        NasSettings(url=URL, api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_number_that_makes_no_sense_is_refused_by_name(value):
    with pytest.raises(ValueError, match="heartbeat_s"):
        NasSettings(url=URL, api_key=KEY, heartbeat_s=value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, "ws://127.0.0.1:6000"),
        ("wss://user:password@nas.example/api/current", "wss://nas.example:443"),
        ("ws://[::1]:81/", "ws://[::1]:81"),
        ("ws://nas", "ws://nas:80"),
    ],
)
def test_address_has_neither_path_nor_credentials(url, address):
    assert NasSettings(url=url, api_key=KEY).address == address


def test_key_is_not_in_the_representation():
    assert KEY not in repr(NasSettings(url=URL, api_key=KEY))
