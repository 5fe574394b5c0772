"""Bytes that a workload writes to its volume and reads back, noted in the history."""

import errno
import hashlib

from csisim.events import History, Type
from csisim.runs.handles import TestNode

_SHA_DIGITS = 16
_UNKNOWN = frozenset({errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET})
"""Errors that do not tell whether bytes were written."""


def sha(content: bytes) -> str:
    """How the history names bytes."""
    return hashlib.sha256(content).hexdigest()[:_SHA_DIGITS]


async def write(
    history: History, process: str, node: TestNode, volume_id: str, target: str, name: str, content: bytes
) -> bool:
    """As `written`; False where it was refused."""
    try:
        await written(history, process, node, volume_id, target, name, content)
    except OSError:
        return False
    return True


async def written(
    history: History, process: str, node: TestNode, volume_id: str, target: str, name: str, content: bytes
) -> None:
    """Write a file of a volume.

    Args:
        history: gets two events.
        process: who writes.
        node: where.
        volume_id: what is believed to be at the path.
        target: the published path.
        name: of the file.
        content: all of it.

    Raises:
        OSError: it was refused. EIO, ETIMEDOUT, ECONNRESET: it may be there all the same.
    """
    call = history.new_call()
    about = {"volume": volume_id, "node": node.node_id, "path": target, "file": name}
    history.add("invoke", "data", "write", call=call, process=process, value=about | {"sha": sha(content)})
    try:
        await node.write(target, name, content)
    except OSError as error:
        type_: Type = "info" if error.errno in _UNKNOWN else "fail"
        history.add(type_, "data", "write", call=call, process=process, value=_errno(error))
        raise
    history.add("ok", "data", "write", call=call, process=process)


async def read(history: History, process: str, node: TestNode, volume_id: str, target: str, name: str) -> bytes | None:
    """As `found`; None also where reading was refused."""
    try:
        return await found(history, process, node, volume_id, target, name)
    except OSError:
        return None


async def found(history: History, process: str, node: TestNode, volume_id: str, target: str, name: str) -> bytes | None:
    """Read a file of a volume back; None where there is no such file. Arguments as for `written`.

    Raises:
        OSError: reading was refused.
    """
    call = history.new_call()
    about = {"volume": volume_id, "node": node.node_id, "path": target, "file": name, "sha": ""}
    history.add("invoke", "data", "read", call=call, process=process, value=about)
    try:
        content = await node.read(target, name)
    except OSError as error:
        history.add("fail", "data", "read", call=call, process=process, value=_errno(error))
        raise
    history.add("ok", "data", "read", call=call, process=process, value={"sha": sha(content) if content else ""})
    return content


def _errno(error: OSError) -> dict[str, str]:
    return {"errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
