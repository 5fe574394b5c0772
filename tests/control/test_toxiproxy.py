"""The requests that Toxiproxy's clients make, and the answers that they read; paths with and without /toxiproxy."""

import pytest

from csisim import __version__

LATENCY = {"type": "latency", "attributes": {"latency": 100, "jitter": 10}}
SHOWN = {
    "attributes": {"latency": 100, "jitter": 10},
    "name": "latency_downstream",
    "type": "latency",
    "stream": "downstream",
    "toxicity": 1.0,
}


def rules(world):
    return {state.rule.name: str(state.rule) for state in world.plane.rules}


@pytest.mark.parametrize("root", ["", "/toxiproxy"])
async def test_the_link_is_the_one_proxy(http, root):
    nas = {"name": "nas", "listen": "127.0.0.1:6000", "upstream": "127.0.0.1:6000", "enabled": True, "toxics": []}
    assert (await http.get(f"{root}/proxies")).json() == {"nas": nas}
    assert (await http.get(f"{root}/proxies/nas")).json() == nas
    assert (await http.get(f"{root}/version")).json() == {"version": __version__}
    answer = await http.get(f"{root}/proxies/db")
    assert (answer.status_code, answer.json()) == (404, {"error": "proxy not found", "status": 404})


async def test_a_toxic_lives_as_a_rule(http, world):
    toxics = "/toxiproxy/proxies/nas/toxics"
    assert (await http.post(toxics, json=LATENCY)).json() == SHOWN
    assert rules(world) == {"toxic:latency_downstream": "link.down: delay(90ms..110ms)"}
    one = f"{toxics}/latency_downstream"
    assert (await http.get(one)).json() == SHOWN
    assert (await http.get(toxics)).json() == [SHOWN]
    again = await http.post(toxics, json=LATENCY)
    assert (again.status_code, again.json()["error"]) == (409, "toxic already exists")

    for method in ("POST", "PATCH"):
        changed = await http.request(method, one, json={"attributes": {"jitter": 0}, "toxicity": 0.5})
        assert changed.json() == SHOWN | {"attributes": {"latency": 100, "jitter": 0}, "toxicity": 0.5}
    assert rules(world) == {"toxic:latency_downstream": "link.down: 50%delay(100ms)"}

    assert (await http.delete(one)).status_code == 204
    assert (await http.delete(one)).json() == {"error": "toxic not found", "status": 404}
    assert rules(world) == {}


async def test_toxics_are_listed_upstream_first(http):
    for stream in ("downstream", "upstream"):
        await http.post("/proxies/nas/toxics", json=LATENCY | {"stream": stream})

    assert [toxic["stream"] for toxic in (await http.get("/proxies/nas")).json()["toxics"]] == [
        "upstream",
        "downstream",
    ]


async def test_a_toxic_whose_rule_is_taken_out_or_changed_elsewhere_is_gone(http, world):
    for name in ("a", "b", "c"):
        await http.post("/proxies/nas/toxics", json=LATENCY | {"name": name})
    await http.delete("/rules/toxic:a")
    await http.put("/rules/toxic:b", json={"rule": "link.up: off"})

    assert [toxic["name"] for toxic in (await http.get("/proxies/nas/toxics")).json()] == ["c"]
    assert (await http.post("/proxies/nas/toxics", json=LATENCY | {"name": "b"})).status_code == 409  # the rule's name


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_proxy_that_is_disabled_resets_every_connection_now_and_later(http, world, method):
    off = await http.request(method, "/proxies/nas", json={"enabled": False})
    await http.request(method, "/proxies/nas", json={"enabled": False})

    assert off.json()["enabled"] is False
    assert rules(world) == {"toxiproxy:disabled": "link.*: disconnect(rst)"}
    assert world.asked == [("disconnect-nas",)]
    assert (await http.request(method, "/proxies/nas", json={"enabled": True})).json()["enabled"] is True
    assert rules(world) == {}


async def test_its_reset_takes_out_toxics_and_enables_but_leaves_other_rules(http, world):
    await http.post("/rules", json={"rule": "mount.umount: error(EBUSY)", "name": "other"})
    await http.post("/proxies/nas/toxics", json=LATENCY)
    await http.post("/proxies/nas", json={"enabled": False})

    assert (await http.post("/toxiproxy/reset")).status_code == 204
    assert rules(world) == {"other": "mount.umount: error(EBUSY)"}
    assert (await http.get("/proxies/nas")).json()["enabled"] is True


async def test_the_end_of_a_timeout_closes_connections_as_a_toxiproxy_does(http, world):
    await http.post("/proxies/nas/toxics", json={"type": "timeout"})
    await http.delete("/proxies/nas/toxics/timeout_downstream")

    assert world.asked == [("disconnect-nas",)]


async def test_populate_takes_what_is_there_and_nothing_else(http):
    mine = {"name": "nas", "listen": "127.0.0.1:6000", "upstream": "127.0.0.1:6000", "enabled": False}
    answer = await http.post("/populate", json=[mine])
    assert (answer.status_code, answer.json()["proxies"][0]["enabled"]) == (201, False)
    mixed = [mine | {"enabled": True}, {"name": "db", "upstream": "x:1"}]
    assert (await http.post("/populate", json=mixed)).status_code == 404
    assert (await http.get("/proxies/nas")).json()["enabled"] is False
    assert (await http.post("/populate", json=[mine | {"upstream": "x:1"}])).status_code == 400
    assert (await http.post("/populate", json={"a": 1})).status_code == 400


async def test_proxies_cannot_be_made_moved_or_deleted(http, world):
    create = [await http.post("/proxies", json=body) for body in ({}, {"name": "nas"}, {"name": "db"}, [1])]
    assert [answer.status_code for answer in create] == [400, 409, 400, 400]
    assert create[0].json()["error"] == "missing required field: name"
    moved = await http.post("/proxies/nas", json={"listen": "0.0.0.0:1"})
    assert (moved.status_code, "cannot be changed" in moved.json()["error"]) == (400, True)
    assert (await http.delete("/proxies/nas")).status_code == 400
    assert (await http.post("/proxies/nas", json={"enabled": "no"})).status_code == 400
    assert (await http.post("/proxies/nas", json=[])).status_code == 400
    assert (await http.post("/proxies/nas/toxics", json=[])).status_code == 400
    world.links = {}
    assert (await http.get("/proxies")).json() == {}
    assert (await http.post("/proxies/nas/toxics", json=LATENCY)).status_code == 404
