"""When to try again: delays on loop time from an injected random stream, and mutations brought to a known end."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_base

from csisim.deadline import remaining_s
from csisim.errors import NasIndeterminate, NasRefused, NasTimeout

T = TypeVar("T")


class JitteredBackoff(wait_base):
    """Doubling delays: `base_s`, twice that, and so on up to `max_s`, each times a random factor from 0.5 to 1."""

    def __init__(self, rng: random.Random, *, base_s: float, max_s: float) -> None:
        self._rng = rng
        self._base_s = base_s
        self._max_s = max_s

    def __call__(self, retry_state: RetryCallState) -> float:
        """As tenacity asks: the delay after the attempt that failed."""
        return self.delay_s(retry_state.attempt_number)

    def delay_s(self, failures: int) -> float:
        """The delay after so many failures in a row (1 or more)."""
        # The exponent is capped too: a NAS that stays away for days must not overflow a float.
        ceiling_s = min(self._max_s, self._base_s * 2.0 ** min(failures - 1, 60))
        return ceiling_s * self._rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast.

    Attributes:
        attempts: in total, the first one included.
        backoff: the delays between them.
        patience_s: no attempt starts later than this after the first, nor after the caller's deadline.
    """

    attempts: int
    backoff: JitteredBackoff
    patience_s: float = 3600.0


async def settle(do: Callable[[], Awaitable[T]], lookup: Callable[[], Awaitable[T | None]], policy: RetryPolicy) -> T:
    """Carry out a mutation to a known end: looked up after a lost answer, never repeated blindly.

    Args:
        do: performs the mutation and returns what it made. It runs again only if it certainly had no effect
            (`sent` is False), or if `lookup` did not find any.
        lookup: finds what `do` makes, None where it is not there. It only reads.
        policy: attempts and delays; the caller's deadline ends them sooner.

    Returns:
        What `do` returned, or what `lookup` found in its place.

    Raises:
        NasRefused: the NAS said no, and there is nothing to find.
        NasIndeterminate: attempts or time ran out; `sent` is True if any attempt may have had its effect.
    """
    lost: NasIndeterminate | None = None

    async def attempt() -> T:
        nonlocal lost
        if lost is not None and (found := await lookup()) is not None:
            return found
        try:
            return await do()
        except NasIndeterminate as error:
            lost = error if error.sent else lost
            raise
        except NasRefused:
            # The attempt whose answer was lost may have landed after the look-up: "exists" is then our own object.
            if lost is not None and (found := await lookup()) is not None:
                return found
            raise

    try:
        try:
            return await attempt()
        except NasIndeterminate as error:
            return await retry(error, attempt, policy, lambda _: True)
    except NasIndeterminate as error:
        if lost is not None and not error.sent:
            # The last attempt sent nothing, an earlier one did: the whole stays open.
            kind = NasTimeout if isinstance(error, NasTimeout) else NasIndeterminate
            raise kind(lost.method, f"{lost.reason}; then {error}", sent=True) from error
        raise


async def retry(
    first: NasIndeterminate,
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    again: Callable[[NasIndeterminate], bool],
) -> T:
    """Go on after a first attempt that ended with `first`: the usual case, success at once, pays for none of this.

    Args:
        first: what the first attempt raised.
        attempt: the next ones.
        policy: attempts and delays.
        again: whether such an error is worth another attempt.

    Raises:
        NasIndeterminate: the last attempt's.
    """
    failed: NasIndeterminate | None = first
    loop = asyncio.get_running_loop()
    ends = loop.time() + remaining_s(policy.patience_s)

    async def next_attempt() -> T:
        nonlocal failed
        if failed is not None:
            error, failed = failed, None
            raise error
        return await attempt()

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= policy.attempts or loop.time() + state.upcoming_sleep >= ends

    retrying = AsyncRetrying(
        sleep=asyncio.sleep,
        wait=policy.backoff,
        stop=stop,
        retry=retry_if_exception(lambda error: isinstance(error, NasIndeterminate) and again(error)),
        reraise=True,
    )
    return await retrying(next_attempt)
