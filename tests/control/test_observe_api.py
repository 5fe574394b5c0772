import json

from csisim import __version__
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing


async def test_status_says_what_is_controlled(http, world):
    world.plane.add(parse_rule("mount.umount: error(EBUSY)"))
    world.plane.decide(Passing("mount.umount"))

    status = (await http.get("/status")).json()

    assert status.pop("uptime_s") >= 0
    assert status.pop("now_s") >= world.history.since()[-1].at_s
    assert status == {
        "version": __version__,
        "driver": "csi.example.org",
        "endpoints": ["unix:///tmp/csi.sock"],
        "seed": 7,
        "rules": 1,
        "waiting": 0,
        "fired": 1,
        "last_seq": 1,
        "links": ["nas"],
    }


async def test_sites_tell_what_can_happen_and_what_did(http, world):
    world.plane.add(parse_rule("mount.umount: #2 error(EBUSY)"))
    for _ in range(3):
        world.plane.decide(Passing("mount.umount"))

    rows = {row["name"]: row for row in (await http.get("/sites")).json()}

    assert len(rows) == len(world.plane.catalogue.sites)
    site = rows["mount.umount"]
    assert (site["passed"], site["fired"]) == (3, 1)
    assert {"error", "hang", "lie"} <= set(site["actions"])
    assert {"vol", "node", "phase"} <= set(site["keys"])
    assert site["about"]
    assert [row["name"] for row in (await http.get("/sites", params={"pattern": "link.*"})).json()] == [
        "link.up",
        "link.down",
    ]


def fill(world, count=6):
    for number in range(count):
        world.history.add("invoke", ("rpc", "nas", "mount")[number % 3], f"f{number}")


async def test_events_are_paged_by_number_and_kind(http, world):
    fill(world)

    first = (await http.get("/events", params={"limit": 2})).json()
    rest = (await http.get("/events", params={"since": first["next"], "kind": ["rpc", "nas"]})).json()

    assert [event["seq"] for event in first["events"]] == [1, 2]
    assert [event["f"] for event in rest["events"]] == ["f3", "f4"]
    assert (rest["next"], rest["last_seq"]) == (6, 6)
    assert (await http.get("/events", params={"since": 6})).json()["events"] == []


async def test_all_events_are_found_however_many_there_are(http, world):
    fill(world, 1800)

    found = (await http.get("/events", params={"limit": 10_000, "kind": "mount"})).json()

    assert [event["seq"] for event in found["events"]] == list(range(3, 1801, 3))


async def test_history_is_one_event_per_line(http, world):
    fill(world, 1200)

    answer = await http.get("/history", params={"since": 3})

    assert answer.headers["content-type"] == "application/x-ndjson"
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [event["seq"] for event in events] == list(range(4, 1201))
    assert events[0] == world.history.since(3)[0].to_json()


async def test_a_bad_query_is_refused(http):
    for query in ("since=-1", "since=x", "limit=0", "limit=10001", "kind=bug", "since=1e999"):
        answer = await http.get(f"/events?{query}")

        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.json()["error"]
