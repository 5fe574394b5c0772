"""Kubelet's volume manager against a driver that answers as it is told."""

import asyncio

import pytest
from grpc import StatusCode

from csisim.co.driver_info import NodeRpc
from csisim.co.objects import CSINode, Pod
from csisim.co.orchestrator import NotConverged
from tests.co.scripted import NODE, Driver, kubernetes, simulated

ON_NODES = ("NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume")


async def running(co, **more):
    co.create_claim("a", **more)
    co.create_pod("p", "a", node="n1")
    await co.settled(10)


@simulated
async def test_a_volume_is_staged_published_unpublished_and_unstaged_and_leaves_nothing():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        stage, publish = driver.requests("NodeStageVolume")[0], driver.requests("NodePublishVolume")[0]
        handle = co.get("PersistentVolumeClaim", "a").volume_name
        uid = co.get("Pod", "p").uid
        base = "/var/lib/kubelet"
        assert stage.staging_target_path.startswith(f"{base}/plugins/kubernetes.io/csi/csi.example.org/")
        assert publish.target_path == f"{base}/pods/{uid}/volumes/kubernetes.io~csi/{handle}/mount"
        assert publish.staging_target_path == stage.staging_target_path
        assert publish.volume_capability == stage.volume_capability
        assert co.leftovers().keys() == {"n1"}
        co.delete("Pod", "p")
        await co.settled(10)
        assert driver.methods(*ON_NODES) == list(ON_NODES)
        assert co.leftovers() == {}


@simulated
async def test_a_raw_volume_has_paths_of_its_own():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co, block=True)
        handle = co.get("PersistentVolumeClaim", "a").volume_name
        below = "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices"
        assert driver.requests("NodeStageVolume")[0].staging_target_path == f"{below}/staging/{handle}"
        target = driver.requests("NodePublishVolume")[0].target_path
        assert target == f"{below}/publish/{handle}/{co.get('Pod', 'p').uid}"
        assert not co.sides["n1"].paths.is_directory(target)
        await co.everything_absent(60)
        assert co.leftovers() == {}


@simulated
async def test_pauses_are_those_of_kubelet():
    driver = Driver()
    driver.codes["NodeStageVolume"] = [StatusCode.INTERNAL] * 4
    async with kubernetes(driver) as co:
        await running(co)
        assert driver.times("NodeStageVolume") == [0, 0.5, 1.5, 3.5, 7.5]


@simulated
async def test_after_a_final_error_nothing_is_unstaged_and_after_an_unknown_one_it_is():
    for code, undone in ((StatusCode.INTERNAL, []), (StatusCode.DEADLINE_EXCEEDED, ["NodeUnstageVolume"])):
        driver = Driver()
        driver.codes["NodeStageVolume"] = [code] * 50
        async with kubernetes(driver) as co:
            co.create_claim("a")
            co.create_pod("p", "a", node="n1")
            await asyncio.sleep(2)
            co.delete("Pod", "p")
            await co.settled(10)
            assert driver.methods("NodeUnstageVolume", "NodeUnpublishVolume") == undone
            assert co.leftovers() == {}


@simulated
async def test_a_publish_whose_end_is_unknown_is_undone_when_the_pod_goes():
    driver = Driver()
    driver.codes["NodePublishVolume"] = [StatusCode.UNAVAILABLE] * 50
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await asyncio.sleep(2)
        co.delete("Pod", "p")
        await co.settled(10)
        assert driver.methods("NodeUnpublishVolume", "NodeUnstageVolume") == [
            "NodeUnpublishVolume",
            "NodeUnstageVolume",
        ]


@simulated
async def test_a_publish_that_failed_for_good_is_not_undone():
    driver = Driver()
    driver.codes["NodePublishVolume"] = [StatusCode.FAILED_PRECONDITION] * 50
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await asyncio.sleep(2)
        co.delete("Pod", "p")
        await co.settled(10)
        assert driver.methods("NodeUnpublishVolume", "NodeUnstageVolume") == ["NodeUnstageVolume"]
        assert co.leftovers() == {}


@simulated
async def test_two_pods_share_what_is_staged_once():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        co.create_pod("q", "a", node="n1")
        await co.settled(10)
        assert driver.methods(*ON_NODES) == ["NodeStageVolume", "NodePublishVolume", "NodePublishVolume"]
        co.delete("Pod", "p")
        await co.settled(10)
        assert driver.methods(*ON_NODES)[3:] == ["NodeUnpublishVolume"]


@simulated
async def test_pods_that_go_together_are_unpublished_together_and_one_failure_holds_only_its_own():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        co.create_pod("q", "a", node="n1")
        await co.settled(10)
        start_s = asyncio.get_running_loop().time()
        driver.codes["NodeUnpublishVolume"] = [StatusCode.ABORTED]
        driver.lets_go["NodeUnpublishVolume"] = asyncio.Event()
        co.delete("Pod", "p")
        co.delete("Pod", "q")
        await asyncio.sleep(1)
        assert len(driver.methods("NodeUnpublishVolume")) == 2
        driver.lets_go["NodeUnpublishVolume"].set()
        await asyncio.sleep(0.1)
        assert len(co.api.all_of(Pod)) == 1
        await co.settled(30)
        assert [round(each - start_s, 3) for each in driver.times("NodeUnpublishVolume")] == [0, 0, 1.5]
        assert driver.methods("NodeUnstageVolume") == ["NodeUnstageVolume"]


@simulated
async def test_a_restarted_kubelet_publishes_again_for_pods_that_run_and_takes_down_the_rest():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        co.create_claim("b")
        co.create_pod("q", "b", node="n1")
        await co.settled(10)
        await co.crash("kubelet n1")
        co.delete("Pod", "q")
        await asyncio.sleep(10)
        assert co.get("Pod", "q").deleting
        before = len(driver.calls)
        await co.restart("kubelet n1")
        await co.settled(30)
        after = [(method, request.volume_id) for _, method, request in driver.calls[before:] if method in ON_NODES]
        a, b = (co.api.at(type(co.get("PersistentVolumeClaim", name)), f"default/{name}").volume_name for name in "ab")
        assert sorted(after) == sorted(
            [("NodeStageVolume", a), ("NodePublishVolume", a), ("NodeUnpublishVolume", b), ("NodeUnstageVolume", b)]
        )


@simulated
async def test_a_kubelet_that_crashes_in_the_middle_of_a_call_undoes_it():
    driver = Driver()
    driver.lets_go["NodePublishVolume"] = asyncio.Event()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await asyncio.sleep(1)
        assert driver.methods("NodePublishVolume") == ["NodePublishVolume"]
        await co.crash("kubelet n1")
        co.delete("Pod", "p")
        await co.restart("kubelet n1")
        await co.settled(30)
        assert driver.methods(*ON_NODES) == list(ON_NODES)
        assert co.leftovers() == {}


@simulated
async def test_after_a_reboot_pods_run_again_where_they_were():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        await co.power_off("n1")
        await asyncio.sleep(5)
        await co.power_on("n1")
        await asyncio.sleep(0.1)
        await co.settled(30)
        assert co.get("Pod", "p").running
        assert driver.methods(*ON_NODES) == ["NodeStageVolume", "NodePublishVolume"] * 2


@simulated
async def test_without_staging_volumes_are_only_published():
    driver = Driver(node=tuple(each for each in NODE if each != NodeRpc.STAGE_UNSTAGE_VOLUME))
    async with kubernetes(driver) as co:
        await running(co)
        assert driver.requests("NodePublishVolume")[0].staging_target_path == ""
        await co.everything_absent(30)
        assert driver.methods(*ON_NODES) == ["NodePublishVolume", "NodeUnpublishVolume"]


@simulated
async def test_a_volume_is_not_mounted_before_it_is_attached():
    driver = Driver()
    driver.codes["ControllerPublishVolume"] = [StatusCode.UNAVAILABLE] * 30
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        with pytest.raises(NotConverged):
            await co.settled(30)
        assert driver.methods(*ON_NODES) == []


@simulated
async def test_the_driver_tells_its_limits_and_topology_when_it_is_registered():
    driver = Driver(topology=True, count=7)
    async with kubernetes(driver) as co:
        await co.settled(5)
        found = co.api.all_of(CSINode)
        assert [(each.name, each.node_id, each.count, each.topology) for each in found] == [
            (name, name, 7, {"zone": name}) for name in ("n1", "n2")
        ]


@simulated
async def test_statistics_are_asked_for_now_and_then_and_errors_change_nothing():
    driver = Driver(node=(*NODE, NodeRpc.GET_VOLUME_STATS))
    driver.codes["NodeGetVolumeStats"] = [StatusCode.INTERNAL]
    async with kubernetes(driver) as co:
        await running(co)
        await asyncio.sleep(125)
        assert len(driver.methods("NodeGetVolumeStats")) == 2
        assert co.get("Pod", "p").running


@simulated
async def test_failed_unmounts_hold_the_pod_and_keep_their_pauses():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        start_s = asyncio.get_running_loop().time()
        driver.codes["NodeUnpublishVolume"] = [StatusCode.INTERNAL, StatusCode.UNAVAILABLE]
        driver.codes["NodeUnstageVolume"] = [StatusCode.INTERNAL]
        co.delete("Pod", "p")
        await asyncio.sleep(1)
        assert co.get("Pod", "p").deleting
        await co.settled(30)
        assert [round(each - start_s, 3) for each in driver.times("NodeUnpublishVolume")] == [0, 0.5, 1.5]
        assert len(driver.methods("NodeUnstageVolume")) == 2


@simulated
async def test_nothing_is_unpublished_while_the_volume_is_being_mounted_for_another_pod():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        driver.codes["NodeUnpublishVolume"] = [StatusCode.INTERNAL]
        driver.lets_go["NodePublishVolume"] = asyncio.Event()
        co.delete("Pod", "p")
        await asyncio.sleep(0.1)
        co.create_pod("q", "a", node="n1")
        await asyncio.sleep(20)
        assert driver.methods("NodePublishVolume", "NodeUnpublishVolume")[1:] == [
            "NodeUnpublishVolume",
            "NodePublishVolume",
        ]
        driver.lets_go["NodePublishVolume"].set()
        await co.settled(10)
        assert driver.methods("NodeUnpublishVolume", "NodeUnstageVolume") == ["NodeUnpublishVolume"] * 2


@simulated
async def test_what_a_kubelet_found_on_disk_stays_uncertain_after_a_final_error_and_is_undone():
    driver = Driver()
    async with kubernetes(driver) as co:
        await running(co)
        driver.codes["NodePublishVolume"] = [StatusCode.FAILED_PRECONDITION] * 50
        await co.restart("kubelet n1")
        await asyncio.sleep(2)
        assert co.leftovers() != {}
        co.delete("Pod", "p")
        await co.settled(10)
        assert driver.methods("NodeUnpublishVolume", "NodeUnstageVolume") == [
            "NodeUnpublishVolume",
            "NodeUnstageVolume",
        ]
        assert co.leftovers() == {}
