"""How to reach the NAS, and how patient to be with it."""

import math
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class NasSettings:
    """Settings of one NAS client.

    Attributes:
        url: JSON-RPC endpoint, `ws://host[:port]/api/current` or `wss://...`. The NAS revokes keys that it sees over a
            plain connection from elsewhere than its own host.
        api_key: `<id>-<64 characters>`; never logged, never part of an error.
        in_flight: calls sent and not yet answered. The NAS refuses the 21st; the rest is room for login and subscribe.
        call_timeout_s: for one call, where the caller's deadline is not sooner.
        job_timeout_s: the same for a job, from its start to its end.
        connect_timeout_s: TCP, TLS and upgrade together; also for the login.
        wait_connected_s: how long a call waits for a connection that is down.
        close_timeout_s: how long `close` waits for the NAS to say goodbye.
        heartbeat_s: between pings; the proxy in front of the NAS cuts connections after 60 s without a byte from it.
        heartbeat_timeout_s: how long after a ping the first byte may take.
        overdue_s: how long the answer to a call that was given up may be missing before the connection is ended: a lost
            answer holds a slot, and keeps open whether the call had its effect.
        landing_s: how long after the end of a connection a call that was out may still take effect. The NAS finishes
            what it has begun; whatever is slower than this lands unseen.
        backoff_s: delay before the first reconnect; doubles with each failure.
        backoff_max_s: the longest such delay.
        backoff_refused_s: the shortest delay after a refused login; the NAS allows 20 attempts a minute.
        stable_s: a session that lasted this long starts the backoff anew.
        query_attempts: how often a read is tried at most.
        job_poll_s: first delay between looks at a job whose events do not come; doubles up to ten times this.
        max_message_bytes: largest reply taken; a larger one ends the connection.
        max_request_bytes: largest request sent; the NAS ends connections that send more.
    """

    url: str
    api_key: str = field(repr=False)
    in_flight: int = 16
    call_timeout_s: float = 30.0
    job_timeout_s: float = 300.0
    connect_timeout_s: float = 10.0
    wait_connected_s: float = 5.0
    close_timeout_s: float = 2.0
    heartbeat_s: float = 20.0
    heartbeat_timeout_s: float = 10.0
    overdue_s: float = 15.0
    landing_s: float = 1.0
    backoff_s: float = 0.1
    backoff_max_s: float = 5.0
    backoff_refused_s: float = 5.0
    stable_s: float = 5.0
    query_attempts: int = 3
    job_poll_s: float = 1.0
    max_message_bytes: int = 64 * 1024 * 1024
    max_request_bytes: int = 65_536

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            # Not shown: it may hold a password.
            raise ValueError("NAS url is not a websocket's: give ws://host[:port]/api/current or wss://...")
        if not self.api_key or not self.api_key.isascii() or not self.api_key.isprintable():
            raise ValueError("NAS api_key is empty or has characters that no key has: create one in the NAS's web UI")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, (int, float)) and not (math.isfinite(value) and value > 0):
                raise ValueError(f"NAS setting {each.name} is {value}: give a number above zero")

    @property
    def address(self) -> str:
        """`ws://host:port` for messages: no path, no credentials."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"
