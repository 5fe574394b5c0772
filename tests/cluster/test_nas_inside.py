"""Asking the embedded NAS from inside."""

import random

import pytest

from csisim.cluster import Cluster, ClusterSettings
from csisim.cluster.nas_inside import NasInside, Refused
from csisim.faults.settings import FaultSettings


async def test_it_answers_past_every_fault_site():
    async with Cluster(ClusterSettings(), rng=random.Random(1), faults=FaultSettings()) as cluster:
        inside = NasInside(lambda: cluster.nas)
        before = dict(cluster.injection.plane.passed)
        rows = await inside.query("pool.dataset.query", [["id", "=", "tank"]])
        assert [row["id"] for row in rows] == ["tank"]
        assert cluster.injection.plane.passed == before
        with pytest.raises(Refused, match=r"pool.dataset.delete: .*tank/none"):
            await inside.query("pool.dataset.delete", "tank/none")


async def test_a_nas_that_is_somewhere_else_cannot_be_asked():
    with pytest.raises(Refused, match=r"system.info: the NAS is not in this process"):
        await NasInside(lambda: None).query("system.info")
