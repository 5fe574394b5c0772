"""A file that is written, and found again or not."""

import pytest

from csisim.scenarios.expect import Unexpected
from csisim.scenarios.ledger import LEDGER, kept, written


@pytest.mark.csisim(mode="sim")
async def test_what_was_written_is_found_and_nothing_else_is_taken_for_it(cluster):
    volume_id = await written(cluster, "iscsi", pod="db", claim="rows", node="node-2", block=True)
    assert cluster.co.volume_of("rows").volume_handle == volume_id
    assert cluster.mounted("rows") == ["node-2"]
    await kept(cluster, "db")

    await cluster.write("db", "ledger", LEDGER + b", and more")
    with pytest.raises(
        Unexpected, match=r"pod db finds in its volume b'all we have'; it finds b'all we have, and more'"
    ):
        await kept(cluster, "db")
