import asyncio

import pytest

from csisim.errors import NasIndeterminate
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing


@pytest.fixture
async def hanging(world):
    """A call that hangs at barrier `a/b c`."""
    world.plane.add(parse_rule("mount.umount: hang(a/b c)", name="h"))
    call = asyncio.create_task(world.plane.meet(Passing("mount.umount")))
    while not world.plane.barriers.waiting():
        await asyncio.sleep(0)
    yield call
    call.cancel()


async def test_a_barrier_is_listed_and_released(http, hanging):
    assert (await http.get("/barriers")).json() == [{"name": "a/b c", "waiting": 1}]
    assert (await http.post("/barriers/a%2Fb%20c/release")).json() == {"released": 1}
    assert await hanging is None
    assert (await http.get("/barriers")).json() == []
    assert (await http.post("/barriers/a%2Fb%20c/release")).json() == {"released": 0}


@pytest.mark.parametrize("heal", [("POST", "/reset"), ("DELETE", "/rules/h")])
async def test_a_reset_or_the_end_of_the_rule_releases_it_too(http, hanging, heal):
    await http.request(*heal)

    assert await hanging is None


async def test_a_crash_is_passed_on_and_answered_when_it_is_over(http, world):
    world.crashing = asyncio.Event()
    answer = asyncio.create_task(http.post("/crash", json={"what": "node", "node": "n2", "down_s": 1.5}))
    while not world.asked:
        await asyncio.sleep(0)
    assert world.asked == [("crash", "node", "n2", 1.5)]
    assert not answer.done()

    world.crashing.set()

    assert (await answer).status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        {"what": "world"},
        {"what": "nas", "down_s": -1},
        {"what": "nas", "down_s": 3601},
        {"what": "nas", "down_s": "NaN"},
        {"what": "nas", "when": 1},
        {"what": "node", "node": "nowhere"},
        [],
    ],
)
async def test_a_crash_that_cannot_be_is_refused(http, world, body):
    answer = await http.post("/crash", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]
    assert world.asked == []


async def test_the_nas_is_disconnected_where_there_is_one(http, world):
    assert (await http.post("/disconnect-nas")).json() == {"connections": 2}
    world.links = {}
    assert (await http.post("/disconnect-nas")).status_code == 422


async def test_leftovers_are_told_and_a_nas_that_is_away_is_not_an_empty_one(http, world):
    assert (await http.get("/leftovers")).json() == {"leftovers": ["dataset tank/csi/pvc-1"]}
    world.left = NasIndeterminate("pool.dataset.query", "no connection", sent=False)
    answer = await http.get("/leftovers")
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "the NAS could not be asked: pool.dataset.query: no connection",
    )
