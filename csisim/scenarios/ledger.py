"""How most scenarios begin and end: a pod writes a file to a volume, and a pod finds it there."""

from typing import Final

from csisim.runs.script import Script
from csisim.scenarios.expect import expect

LEDGER: Final = b"all we have"


async def written(
    cluster: Script,
    storage_class: str = "",
    *,
    pod: str = "web",
    claim: str = "data",
    node: str = "node-1",
    block: bool = False,
    content: bytes = LEDGER,
) -> str:
    """Have a pod run with a new volume, and a file in it; gives the volume's id.

    Args:
        cluster: the testbed.
        storage_class: of the claim; the default one where none is given.
        pod: name of the one that writes.
        claim: name of the one that it uses.
        node: where the pod runs.
        block: the volume is a raw device.
        content: of the file.
    """
    cluster.co.create_claim(claim, storage_class=storage_class, block=block)
    cluster.co.create_pod(pod, claim, node=node)
    await cluster.settled()
    await cluster.write(pod, "ledger", content)
    return cluster.co.volume_of(claim).volume_handle


async def kept(cluster: Script, pod: str, content: bytes = LEDGER) -> None:
    """Go on only if a pod finds the file as it was written.

    Raises:
        Unexpected: it does not.
        OSError: it cannot be read.
    """
    found = await cluster.read(pod, "ledger")
    expect(found == content, f"pod {pod} finds in its volume {content!r}; it finds {found!r}")
