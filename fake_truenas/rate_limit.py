"""How often a client may call before it has logged in (TrueNAS API 25.10). Pure: the time is an argument."""

from dataclasses import dataclass

EXEMPT = frozenset({"core.set_options"})
"""Methods that are never counted."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit on calls that are made before a login; the defaults are the real server's.

    Attributes:
        calls: of one method from one address in a window; the next one is refused.
        window_s: begins with the first call and ends after this time, however many calls it saw.
        entries: pairs of method and address that are remembered. While that many are, every call is
            refused. Those whose window has ended are forgotten then.
        delay_s: a refusal is sent after a time from this range.

    Raises:
        ValueError: a limit below one, or times that cannot be.
    """

    calls: int = 20
    window_s: float = 60.0
    entries: int = 100
    delay_s: tuple[float, float] = (1.0, 10.0)

    def __post_init__(self) -> None:
        if self.calls < 1 or self.entries < 1 or self.window_s <= 0:
            raise ValueError(
                f"rate limit of {self.calls} calls in {self.window_s} s, {self.entries} entries: all are above zero"
            )
        if not 0 <= self.delay_s[0] <= self.delay_s[1]:
            raise ValueError(f"rate limit delay {self.delay_s}: a range of seconds, the shorter one first")


class RateLimiter:
    """Counts the calls of each (method, address) in windows of fixed length."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def exceeded(self, method: str, address: str | None, now: float) -> bool:
        """Count a call; whether it is one too many. Calls without an address (not from a network) never are.

        Args:
            method: full name.
            address: the client's, without its port.
            now: monotonic time in seconds.
        """
        if address is None or method in EXEMPT:
            return False
        key = (method, address)
        full = self.limit.entries
        if len(self._windows) >= full:
            self._forget_ended(now)
        if key not in self._windows and len(self._windows) >= full:
            return True
        began, calls = self._windows.get(key, (now, 0))
        if now - began >= self.limit.window_s:
            began, calls = now, 0
        self._windows[key] = (began, calls + 1)
        # The entry that fills the table is refused, and so are those known already: somebody knocks from everywhere.
        return calls + 1 > self.limit.calls or len(self._windows) >= full

    def _forget_ended(self, now: float) -> None:
        ended = [key for key, (began, _) in self._windows.items() if now - began >= self.limit.window_s]
        for key in ended:
            del self._windows[key]
