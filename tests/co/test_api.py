"""The store of API objects."""

import random

import pytest

from csisim.co.api import AlreadyExists, Api, NotFound
from csisim.co.objects import Node, Pod, VolumeSnapshot
from tests.co.scripted import pod, simulated


@simulated
async def test_uids_come_from_the_random_numbers_and_differ_for_each_object():
    first, second = Api(random.Random(1)), Api(random.Random(1))
    assert first.create(pod("p")).uid == second.create(pod("p")).uid
    known = first.at(Pod, "default/p")
    first.force_delete(known)
    assert first.create(pod("p")).uid != known.uid


@simulated
async def test_a_name_is_taken_once_per_kind_and_namespace():
    api = Api(random.Random(1))
    api.create(pod("p"))
    api.create(pod("p", namespace="other"))
    api.create(VolumeSnapshot(name="p", source_claim_name="c"))
    with pytest.raises(AlreadyExists, match="Pod default/p already exists"):
        api.create(pod("p"))
    assert [each.key for each in api.all_of(Pod)] == ["default/p", "other/p"]
    assert api.get(Pod, "p") is None
    assert api.get(Pod, "p", "other").namespace == "other"


@simulated
async def test_what_has_finalizers_stays_until_the_last_is_gone():
    api = Api(random.Random(1))
    told = []
    unwatch = api.watch(lambda changed, gone: told.append((changed.key, changed.deleting, gone)))
    made = api.add_finalizer(api.create(pod("p")), "a")
    api.delete(made)
    api.delete(made)
    assert api.at(Pod, made.key).deleting
    assert api.add_finalizer(made, "late").finalizers == ("a",)
    api.remove_finalizer(made, "a")
    assert api.at(Pod, made.key) is None
    assert told == [("default/p", False, False)] * 2 + [("default/p", True, False), ("default/p", True, True)]
    unwatch()
    api.create(pod("q"))
    assert len(told) == 4


@simulated
async def test_changes_go_to_the_object_as_it_is_now_and_not_to_its_successor():
    api = Api(random.Random(1))
    old = api.create(pod("p"))
    api.patch(old, node_name="n1")
    assert api.patch(old, running=True).node_name == "n1"
    before = api.at(Pod, old.key).resource_version
    assert api.patch(old, running=True).resource_version == before
    api.force_delete(old)
    api.create(pod("p"))
    with pytest.raises(NotFound, match="Pod default/p is gone"):
        api.patch(old, running=False)
    api.delete(old)
    api.remove_finalizer(old, "a")
    assert api.get(Pod, "p", "default", uid=old.uid) is None
    assert not api.at(Pod, "default/p").deleting


@simulated
async def test_the_same_event_is_counted():
    api = Api(random.Random(1))
    node = api.create(Node(name="n1"))
    for message in ("a", "b", "a"):
        api.event(node, "Warning", "Failed", message)
    assert [(each.message, each.count) for each in api.events("Node n1")] == [("b", 1), ("a", 2)]
    assert api.events("Node n2") == []
