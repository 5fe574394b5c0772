"""What the bodies of scenarios say when something is not as it must be."""

from typing import Any, Final

from google.protobuf.message import Message

from csisim.co.callers import CallFailed
from csisim.runs.script import Script

_WEDGED_S: Final = 300.0


class Unexpected(AssertionError):
    """Something is not as the scenario says that it must be; says what."""


def expect(condition: object, what: str) -> None:
    """Go on only if it is so.

    Args:
        condition: true if it is.
        what: must be so, in words, such as "the next pod reads what the first one wrote".

    Raises:
        Unexpected: it is not.
    """
    if not condition:
        raise Unexpected(f"it is not so that {what}")


async def refused(cluster: Script, request: Message, node: str | None, code: str, saying: str = "") -> str:
    """Make a call that must be refused; gives the message.

    Args:
        cluster: the testbed.
        request: of the call.
        node: whose socket; None for the controller's.
        code: that it must be answered with, such as FAILED_PRECONDITION.
        saying: what the message must have in it.

    Raises:
        Unexpected: it is answered otherwise.
    """
    rpc = type(request).__name__.removesuffix("Request")
    try:
        await cluster.call(request, node)
    except CallFailed as error:
        if error.code.name != code or saying not in str(error):
            wanted = f"{code} with {saying!r}" if saying else code
            raise Unexpected(f"{rpc} must be refused with {wanted}; it was with: {error}") from None
        return str(error)
    raise Unexpected(f"{rpc} must be refused with {code}; it was answered OK")


async def allowed(cluster: Script, request: Message, node: str | None = None) -> Any:
    """Make a call that must not be refused; gives the answer.

    Raises:
        Unexpected: it is.
    """
    rpc = type(request).__name__.removesuffix("Request")
    try:
        return await cluster.call(request, node)
    except CallFailed as error:
        raise Unexpected(f"{rpc} must be answered OK; it was refused with: {error}") from None


async def recovered(cluster: Script) -> None:
    """Wait until everything is as it is wanted, for some minutes: what is wedged for so long stays so.

    Raises:
        csisim.co.orchestrator.NotConverged: it has not come to that.
    """
    await cluster.settled(min(_WEDGED_S, cluster.patience_s))
