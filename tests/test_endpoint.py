import re

import pytest

from csisim.endpoint import Endpoint, parse_endpoint, parse_upstream


@pytest.mark.parametrize("text", ["unix:///run/csi/csi.sock", "unix:/run/csi/csi.sock", "/run/csi/csi.sock"])
def test_a_unix_socket_is_given_by_url_or_path(text):
    found = parse_endpoint(text)

    assert found == Endpoint(path="/run/csi/csi.sock")
    assert found.is_unix
    assert found.target == str(found) == "unix:///run/csi/csi.sock"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("tcp://127.0.0.1:9000", "127.0.0.1:9000"),
        ("tcp://localhost:9000", "127.0.0.1:9000"),
        ("tcp://127.8.8.8:0", "127.8.8.8:0"),
        ("tcp://[::1]:9000/", "[::1]:9000"),
    ],
)
def test_a_loopback_port_is_allowed(text, target):
    found = parse_endpoint(text)

    assert not found.is_unix
    assert found.target == target
    assert str(found) == f"tcp://{target}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither"),
        ("http://x", "neither"),
        ("unix://relative.sock", "neither"),
        ("unix:///run/a\nb.sock", "neither"),
        ("unix:///run/a\0b.sock", "neither"),
        ("unix:///run/csi", r"ends in \.sock"),
        ("unix:///run/../etc/x.sock", r"\.\."),
        ("/" + "x" * 102 + ".sock", "108"),
        ("/" + "é" * 52 + ".sock", "at most 107 bytes"),
        ("tcp://10.0.0.1:9000", "loopback"),
        ("tcp://0.0.0.0:9000", "loopback"),
        ("tcp://example.com:9000", "loopback"),
        ("tcp://127.0.0.1", "HOST:PORT"),
        ("tcp://127.0.0.1:65536", "65535"),
    ],
)
def test_what_is_refused_says_what_is_allowed(text, says):
    with pytest.raises(ValueError, match=says):
        parse_endpoint(text)


def test_the_longest_socket_path_is_allowed():
    assert parse_endpoint("/" + "x" * 101 + ".sock").is_unix


def test_further_nodes_are_served_beside_the_main_socket():
    assert parse_endpoint("/run/csi/my.csi.sock").for_node("node-2").path == "/run/csi/my.csi-node-2.sock"
    assert parse_endpoint("tcp://127.0.0.1:9000").for_node("node-2").target == "127.0.0.1:0"


def test_a_further_node_whose_path_would_be_too_long_is_refused():
    with pytest.raises(ValueError, match="107"):
        parse_endpoint("/" + "x" * 101 + ".sock").for_node("n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unix:///run/x/plugin", Endpoint(path="/run/x/plugin")),
        ("/run/x.sock", Endpoint(path="/run/x.sock")),
        ("tcp://127.0.0.1:10000", Endpoint(host="127.0.0.1", port=10000)),
    ],
)
def test_somebody_elses_socket_may_have_any_name(text, found):
    assert parse_upstream(text) == found


@pytest.mark.parametrize("text", ["plugin", "unix:///run/../x", "tcp://10.0.0.1:1", "/" + "x" * 107])
def test_where_somebody_else_listens_is_checked_too(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_upstream(text)
