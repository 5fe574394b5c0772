"""Where a driver listens: the address as data, parsed and checked without touching anything."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

# sun_path of sockaddr_un is 108 bytes with its terminator.
_MAX_PATH_BYTES = 107
_TCP = re.compile(r"tcp://(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:/\[\]]+)):(?P<port>[0-9]{1,5})/?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Unix socket (`path` set) or a loopback TCP port (`host` set; port 0 lets the system choose)."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_unix(self) -> bool:
        """Whether this is a Unix socket."""
        return bool(self.path)

    @property
    def target(self) -> str:
        """The address in the form that gRPC clients and servers take."""
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.target if self.path else f"tcp://{self.target}"

    def for_node(self, node_id: str) -> "Endpoint":
        """The endpoint of a further node: `<name>-<node>.sock` beside this socket, or another free TCP port.

        Raises:
            ValueError: the path would be too long for a socket.
        """
        if not self.path:
            return Endpoint(host=self.host, port=0)
        mine = PurePosixPath(self.path)
        return parse_endpoint(f"unix://{mine.with_name(f'{mine.stem}-{node_id}.sock')}")


def parse_endpoint(text: str) -> Endpoint:
    """`unix:///dir/csi.sock` (also `unix:/…` and a bare absolute path) or `tcp://127.0.0.1:port`.

    Raises:
        ValueError: says what is allowed.
    """
    found = parse_upstream(text)
    if found.is_unix and not found.path.endswith(".sock"):
        raise ValueError(f"{text!r}: the CSI specification wants a socket path that ends in .sock")
    return found


def parse_upstream(text: str) -> Endpoint:
    """Where somebody else's driver listens: the same, but for a socket of any name.

    Raises:
        ValueError: says what is allowed.
    """
    if text.startswith("tcp:"):
        return _parse_tcp(text)
    path = text
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix):
            path = text.removeprefix(prefix)
            break
    if not path.startswith("/") or any(ord(letter) < 0x20 for letter in path):
        raise ValueError(f"{text!r} is neither unix:///absolute/path.sock nor tcp://127.0.0.1:PORT")
    if ".." in PurePosixPath(path).parts:
        raise ValueError(f"{text!r}: the path may not contain ..")
    size = len(path.encode())
    if size > _MAX_PATH_BYTES:
        raise ValueError(f"{text!r}: a socket path has at most {_MAX_PATH_BYTES} bytes, this one has {size}")
    return Endpoint(path=path)


def _parse_tcp(text: str) -> Endpoint:
    match = _TCP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not tcp://HOST:PORT")
    host, port = match["v6"] or match["v4"], int(match["port"])
    host = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"{text!r}: calls are not encrypted, so only a loopback address (127.0.0.1, [::1]) is allowed")
    if port > 65535:
        raise ValueError(f"{text!r}: a port is at most 65535")
    return Endpoint(host=host, port=port)
