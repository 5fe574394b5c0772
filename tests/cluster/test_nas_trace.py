"""The truth about the NAS, against the NAS; and what is not told."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from csisim.check.races import Races
from csisim.cluster.inventory import nas_leftovers
from csisim.cluster.nas_inside import NasInside
from csisim.cluster.nas_trace import NasTrace
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.sim.strategies import RandomWalk
from fake_truenas import Call, Nas, NasConfig
from tests.support.traced import Client, traced, turmoil

ROOT = "tank/csi"


@pytest.mark.parametrize(("protocol", "seed"), [("nfs", 1), ("iscsi", 2), ("nvmeof", 3)])
def test_what_was_created_and_not_destroyed_is_what_is_there(protocol, seed):
    async def leftovers(client: Client) -> list[str]:
        await turmoil(client, seed=seed)
        await asyncio.sleep(60)  # until what was given up has come to its end too
        return await nas_leftovers(NasInside(lambda: client.cluster.nas), ROOT)

    rules = ["nas.pool.snapshot.create.apply: 10%error(EIO)", "nas.pool.dataset.delete.apply: 20%lie(ok)"]
    run = traced(leftovers, protocol=protocol, seed=seed, strategy=RandomWalk, rules=rules)
    there: dict[str, None] = {}
    for event in run.of("truth", process="nas"):
        name = event["value"]["object"]
        assert (name in there) is (event["f"] == "destroyed"), event
        if event["f"] == "created":
            there[name] = None
        else:
            del there[name]
    assert len(run.of("truth", "destroyed", process="nas")) > 5
    of_volumes = [name for name in there if name != f"dataset {ROOT}" and not name.startswith(f"snapshot {ROOT}@")]
    left = [name for name in run.result if not name.startswith(f"snapshot {ROOT}@")]
    assert sorted(of_volumes) == sorted(left)


def test_truth_tells_for_which_call_of_the_nas_it_happened():
    async def create(client: Client) -> None:
        await client(client.create("pvc-1"))

    run = traced(create)
    (share,) = [each for each in run.of("truth", "created") if each["value"]["object"].startswith("nfs share")]
    (call,) = run.of("nas", "sharing.nfs.create", type="invoke")
    assert share["parent"] == call["call"]
    assert share["seq"] > call["seq"]


def test_a_promotion_is_the_end_of_one_name_and_the_beginning_of_another():
    async def promote(client: Client) -> None:
        await client(client.create("pvc-1"))
        await client(client.create("pvc-2", volume="pvc-1"))
        await client(csi.DeleteVolumeRequest(volume_id="pvc-1"))

    run = traced(promote)
    old, new = f"snapshot {ROOT}/pvc-1@clone_pvc-2", f"snapshot {ROOT}/pvc-2@clone_pvc-2"
    moved = [each for each in run.of("truth") if {"moved_to", "moved_from"} & each["value"].keys()]
    assert [(each["f"], each["value"]) for each in moved] == [
        ("destroyed", {"object": old, "moved_to": new}),
        ("created", {"object": new, "moved_from": old}),
    ]


@pytest.fixture
async def trace():
    nas = Nas(NasConfig(api_key="1-" + "k" * 64), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    history = History(lambda: 0.0)
    trace = NasTrace(history, Races(), lambda: 0.0)
    trace.watch(nas)

    def params(method, *given):
        trace.invoke(Call(method, list(given), 1, SimpleNamespace(), SimpleNamespace()), "c1")
        return history.since()[-1].to_json()["value"]["params"]

    yield params
    nas.close()


async def test_secrets_are_taken_out_of_parameters_and_filters(trace):
    auth = {"tag": 1, "user": "u", "secret": "hush-hush-hush", "peeruser": "p", "peersecret": "hush-hush-too"}
    (shown,) = trace("iscsi.auth.create", auth)
    assert shown["user"] == "u"
    assert {shown["secret"], shown["peersecret"]} == {"********"}
    shown = trace("iscsi.auth.query", [["OR", [["secret", "=", "hush-hush-hush"], ["tag", "=", 1]]]], {})
    assert shown[0] == [["OR", [["secret", "=", "********"], ["tag", "=", 1]]]]
    assert trace("auth.login_ex", {"mechanism": "API_KEY_PLAIN", "api_key": "hush"})[0]["api_key"] == "********"


async def test_of_a_method_that_does_not_exist_nothing_is_shown(trace):
    assert trace("no.such.method", "hush") == []
