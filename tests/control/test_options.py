import pytest

from csisim.control.options import ControlOptions, is_loopback, parse_control_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8474", ("127.0.0.1", 8474)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104 - only parsed
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_control_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "8474", ":8474", "127.0.0.1", "127.0.0.1:65536", "::1:80", "example.org:80", "127.0.0.1:x", "[a]:1"]
)
def test_anything_else_is_refused_with_the_value(text):
    with pytest.raises(ValueError, match="is not HOST:PORT") as caught:
        parse_control_address(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(("host", "local"), [("127.9.9.9", True), ("::1", True), ("localhost", True), ("::", False)])
def test_loopback_is_this_machine_alone(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::"])  # noqa: S104 - refused
def test_other_machines_reach_it_only_with_a_token_and_where_that_is_allowed(host):
    with pytest.raises(ValueError, match="allow it with --control-allow-remote"):
        ControlOptions(host=host)
    with pytest.raises(ValueError, match="allow it with --control-allow-remote"):
        ControlOptions(host=host, token="12345678")
    with pytest.raises(ValueError, match="that needs a token"):
        ControlOptions(host=host, allow_remote=True)
    assert not ControlOptions(host=host, allow_remote=True, token="12345678").is_local


@pytest.mark.parametrize("token", ["short", "with space", "x" * 201, "ünicode-token"])
def test_a_token_that_no_header_carries_is_refused_without_telling_it(token):
    with pytest.raises(ValueError, match="8 to 200") as caught:
        ControlOptions(token=token)
    assert token not in str(caught.value)


def test_the_token_is_not_in_the_repr():
    assert "12345678" not in repr(ControlOptions(token="12345678"))
