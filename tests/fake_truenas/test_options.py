"""What the texts of the flags mean."""

import pytest
from typer.testing import CliRunner

from fake_truenas.__main__ import app
from fake_truenas.config import Pool
from fake_truenas.options import parse_listen, parse_pool


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:6000", ("::1", 6000)), ("nas.example:65535", ("nas.example", 65535))],
)
def test_listen_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "6000", ":6000", "host:", "host:x", "host:65536", "::1:6000", "host:-1", "host:\u0661"]
)
def test_wrong_listen_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("tank:1TiB", Pool("tank", 1 << 40)),
        ("a-b:64MiB", Pool("a-b", 1 << 26)),
        ("p:1073741824", Pool("p", 1 << 30)),
        ("p:2T", Pool("p", 2 << 40)),
    ],
)
def test_pools(text: str, pool: Pool) -> None:
    assert parse_pool(text) == pool


@pytest.mark.parametrize(
    "text", ["tank", "tank:", ":1TiB", "tank:big", "1tank:1TiB", "tank/x:1TiB", "tank:1KiB", "mirror:1TiB", "tank:-1"]
)
def test_wrong_pools_are_refused_by_the_command_too(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not NAME:SIZE|is not a size|pool name|64 MiB or more"):
        parse_pool(text)
    result = CliRunner().invoke(app, ["--pool", text, "--api-key", "1-x"])
    assert result.exit_code == 2
