"""Where the control server listens and what it puts up with."""

import ipaddress
import re
from dataclasses import dataclass, field

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/\s]+)):([0-9]{1,5})")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Settings of a control server.

    Attributes:
        host: an IP address or localhost.
        port: 0 takes a free one.
        token: what callers have to show; "" for none.
        max_body_bytes: of a request.
        max_streams: readers of the event stream at the same time.
        max_connections: all of them.
        heartbeat_s: after so much silence a stream says that it is alive.
        read_timeout_s: how long a request may take to arrive.

    Raises:
        ValueError: other machines could reach it, and it has no token or was not allowed to be reached.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default="", repr=False)
    allow_remote: bool = False
    max_body_bytes: int = 1 << 20
    max_streams: int = 32
    max_connections: int = 256
    heartbeat_s: float = 15.0
    read_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if self.token and not _TOKEN.fullmatch(self.token):
            raise ValueError("the control token has 8 to 200 characters out of A-Z a-z 0-9 . _ ~ + / = -")
        if self.is_local:
            return
        if not self.allow_remote:
            raise ValueError(
                f"{self.host!r} can be reached from other machines: listen on 127.0.0.1, "
                "or allow it with --control-allow-remote and a token"
            )
        if not self.token:
            raise ValueError(f"{self.host!r} can be reached from other machines: that needs a token")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)


def parse_control_address(text: str) -> tuple[str, int]:
    """Host and port from `127.0.0.1:8080`, `localhost:0` or `[::1]:8080`.

    Raises:
        ValueError: says what is allowed.
    """
    match = _ADDRESS.fullmatch(text)
    host = "" if match is None else match[1] or match[2]
    try:
        if match is None or int(match[3]) > 65535:
            raise ValueError
        if host != "localhost":
            ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r} is not HOST:PORT such as 127.0.0.1:8474, localhost:0 or [::1]:0") from None
    return host, int(match[3])


def is_loopback(host: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
