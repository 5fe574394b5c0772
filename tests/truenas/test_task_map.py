"""The task map, read from threads while the loop writes."""

import threading
from dataclasses import FrozenInstanceError

import pytest

from csisim.truenas.task_map import NasTask, TaskMap


def test_upsert_replaces_in_place_and_remove_forgets():
    tasks = TaskMap()
    for number in (1, 2, 3):
        tasks.upsert(NasTask(number, "m", 0.5, 1))
    tasks.upsert(NasTask(2, "m", 0.5, 1, given_up=True))
    assert [(task.id, task.given_up) for task in tasks.snapshot()] == [(1, False), (2, True), (3, False)]
    tasks.remove(1)
    tasks.remove(1)
    assert tasks.count() == 2


def test_what_leaves_the_map_cannot_change_it():
    tasks = TaskMap()
    tasks.upsert(NasTask(1, "m", 0.0, 1))
    before = tasks.snapshot()
    tasks.remove(1)
    assert len(before) == 1
    with pytest.raises(FrozenInstanceError):
        before[0].method = "other"


def test_reads_from_other_threads_are_consistent_while_the_map_changes():
    tasks = TaskMap()
    done = threading.Event()
    problems = []
    reads = []

    def read():
        count = 0
        try:
            while not done.is_set():
                seen = tasks.snapshot()
                ids = [task.id for task in seen]
                # The writer keeps a window of consecutive ids: anything else is a torn read.
                if ids and ids != list(range(ids[0], ids[0] + len(ids))):
                    problems.append(ids)
                if tasks.count() > 9:
                    problems.append("count")
                count += 1
        except RuntimeError as error:
            problems.append(error)
        reads.append(count)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(5_000):
        tasks.upsert(NasTask(number, "m", 0.0, 1))
        tasks.upsert(NasTask(number, "m", 0.0, 1, given_up=True))
        tasks.remove(number - 8)
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert len(reads) == 4
    assert tasks.count() == 8
