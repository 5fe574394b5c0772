"""The question of `csisim.check.linearizability` answered by trying every order; models and histories to ask it of."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from csisim.check.linearizability import Model, Operation, check
from csisim.check.volume_model import VolumeModel
from csisim.check.volume_operations import Answered, Asked

GIB = 1 << 30


def is_linearizable(operations: Sequence[Operation], model: Model[Any]) -> bool:
    """Whether some order of all completed and any of the pending operations explains every answer.

    Shares nothing with the checker but the model: no partitions, no memory, no idea of what is pure. States that may
    follow are kept together as a set, where the checker takes them one by one.
    """
    return _goes_on(tuple(operations), {model.init(): None}, model)


def _goes_on(left: tuple[Operation, ...], states: dict[Any, None], model: Model[Any]) -> bool:
    if all(each.pending for each in left):
        return True
    for index, operation in enumerate(left):
        others = left[:index] + left[index + 1 :]
        if any(_ended(other) < operation.invoked_s for other in others):
            continue
        after = dict.fromkeys(each for state in states for each in model.step(state, operation))
        if after and _goes_on(others, after, model):
            return True
    return False


def _ended(operation: Operation) -> float:
    return float("inf") if operation.pending or operation.completed_s is None else operation.completed_s


class Register(Model[int]):
    """One register for each key, zero at first; the value is (key, argument)."""

    def init(self) -> int:
        return 0

    def step(self, state: int, operation: Operation) -> Iterable[int]:
        argument, result = operation.value[1], operation.result
        if operation.f == "write":
            return (argument,)
        if operation.f == "read":
            return (state,) if operation.pending or result == state else ()
        before, after = argument
        fits = operation.pending or result is (state == before)
        return () if not fits else (after,) if state == before else (state,)

    def partition(self, operation: Operation) -> str:
        return str(operation.value[0])

    def pure(self, operation: Operation) -> bool:
        return operation.f == "read" or (operation.result is False and not operation.pending)


class Registers(Model[tuple[tuple[str, int], ...]]):
    """All registers in one state, in no partitions."""

    def init(self) -> tuple[tuple[str, int], ...]:
        return ()

    def step(self, state: tuple[tuple[str, int], ...], operation: Operation) -> Iterable[tuple[tuple[str, int], ...]]:
        known, key = dict(state), operation.value[0]
        for after in Register().step(known.get(key, 0), operation):
            yield tuple(sorted((known | {key: after}).items()))


class Bag(Model[frozenset[int]]):
    """A set; `take` removes any one element and does not always tell which, so that several states may follow."""

    def init(self) -> frozenset[int]:
        return frozenset()

    def step(self, state: frozenset[int], operation: Operation) -> Iterable[frozenset[int]]:
        item, result = operation.value, operation.result
        if operation.f == "add":
            return (state | {item},)
        if operation.f == "take":
            if operation.pending or result == "something":
                return [state - {each} for each in sorted(state)]
            return (state - {result},) if result in state else ()
        fits = operation.pending or result is (item in state)
        return () if not fits else (state - {item},) if operation.f == "remove" else (state,)

    def pure(self, operation: Operation) -> bool:
        return operation.f == "has"


@dataclass(frozen=True, slots=True)
class Kind:
    """How histories of a model are made.

    Attributes:
        choose: what is called next, and with what.
        answers: all answers that such a call may ever get, each with its type.
        reference: the model for the brute force, if another.
    """

    model: Model[Any]
    choose: Callable[[random.Random], tuple[str, Any]]
    answers: Callable[[str, Any], Sequence[tuple[Any, Any]]]
    reference: Model[Any] | None = None


def _choose_register(rng: random.Random) -> tuple[str, Any]:
    f = rng.choice(("write", "read", "cas"))
    argument = {"write": rng.randint(0, 2), "read": None, "cas": (rng.randint(0, 2), rng.randint(0, 2))}[f]
    return f, (rng.choice("xxy"), argument)


def _answer_register(f: str, _: Any) -> Sequence[tuple[Any, Any]]:
    results = {"write": (None,), "read": (0, 1, 2), "cas": (True, False)}[f]
    return [("ok", each) for each in results]


def _choose_bag(rng: random.Random) -> tuple[str, Any]:
    f = rng.choice(("add", "add", "remove", "has", "take", "take"))
    return f, None if f == "take" else rng.randint(0, 2)


def _answer_bag(f: str, _: Any) -> Sequence[tuple[Any, Any]]:
    results: dict[str, tuple[Any, ...]] = {"add": (None,), "take": (0, 1, 2, "something", "something", "something")}
    return [("ok", each) for each in results.get(f, (True, False))]


def _choose_volume(rng: random.Random) -> tuple[str, Any]:
    node = rng.choice(("n1", "n2"))
    named, known = Asked("v"), Asked("v", id="v")
    size = rng.choice((1, 2)) * GIB
    calls: list[tuple[str, Asked]] = [
        ("CreateVolume", replace(named, required_bytes=size, how=rng.choice("ab"))),
        ("CreateVolume", replace(named, required_bytes=GIB, how="a")),
        ("DeleteVolume", known),
        ("ControllerPublishVolume", replace(known, node=node, how=rng.choice("rw"), shared=rng.random() < 0.5)),
        ("ControllerUnpublishVolume", replace(known, node=rng.choice(("", node)))),
        ("ControllerExpandVolume", replace(known, required_bytes=size)),
        ("ControllerGetVolume", known),
        ("CreateSnapshot", replace(known, snapshot="s")),
        ("DeleteSnapshot", replace(named, snapshot="s", snapshot_id="v@s", rivals=rng.random() < 0.3)),
        ("NodeStageVolume", replace(known, node=node, path="/stage")),
        ("NodeUnstageVolume", replace(known, node=node, path="/stage")),
        ("NodePublishVolume", replace(known, node=node, path="/pod", staging="/stage", how=rng.choice("rw"))),
        ("NodeUnpublishVolume", replace(known, node=node, path="/pod")),
        ("reboot", replace(named, node=node)),
    ]
    return rng.choice(calls)


def _answer_volume(f: str, _: Any) -> Sequence[tuple[Any, Any]]:
    codes = ("ABORTED", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")
    refused = [] if f == "reboot" else [("fail", Answered(code)) for code in codes]
    sizes = [Answered(capacity_bytes=size * GIB) for size in (1, 2)]
    told: dict[str, list[Answered]] = {
        "CreateVolume": [replace(each, id="v") for each in sizes],
        "ControllerExpandVolume": sizes,
        "ControllerGetVolume": [replace(each, nodes=nodes) for each in sizes for nodes in ((), ("n1",), ("n1", "n2"))],
        "CreateSnapshot": [Answered(id="v@s")],
    }
    return [*refused, *[("ok", each) for each in told.get(f, [Answered()])] * 3]


KINDS = {
    "registers": Kind(Register(), _choose_register, _answer_register, Registers()),
    "bag": Kind(Bag(), _choose_bag, _answer_bag),
    "volume": Kind(VolumeModel(), _choose_volume, _answer_volume),
}


def history(rng: random.Random, kind: Kind, size: int, *, mutate: bool) -> list[Operation]:
    """A history that has an order because it was made along one; with `mutate`, one answer of it may be wrong.

    Operations take effect one after the other, and their intervals are drawn around that. Some never complete, with or
    without their effect.
    """
    known: dict[str, Any] = {}
    made: list[Operation] = []
    lossy, reach = rng.choice((0.1, 0.5)), rng.choice(((1, 4, 12), (4, 25, 45)))
    for number in range(1, size + 1):
        f, value = kind.choose(rng)
        key = str(kind.model.partition(Operation("", f, value, None, 0, 0)))
        state = known.get(key, kind.model.init())
        begin, end = (number * 10.0 + sign * rng.choice(reach) for sign in (-1, 1))
        if rng.random() < lossy:
            lost = Operation("p", f, value, None, begin, None, "info")
            effects = [state, *kind.model.step(state, lost)]
            known[key] = rng.choice(effects)
            made.append(lost)
            continue
        answered = [Operation("p", f, value, result, begin, end, type_) for type_, result in kind.answers(f, value)]
        possible = [(each, after) for each in answered for after in kind.model.step(state, each)]
        if possible:
            operation, known[key] = rng.choice(possible)
            made.append(operation)
    completed = [index for index, each in enumerate(made) if not each.pending]
    if mutate and completed:
        index = rng.choice(completed)
        each = made[index]
        answers = kind.answers(each.f, each.value)
        others = [(type_, result) for type_, result in answers if result != each.result] or answers
        type_, result = rng.choice(others)
        made[index] = replace(each, type=type_, result=result)
    rng.shuffle(made)
    return made


@dataclass(slots=True)
class Agreement:
    """How often the checker and the brute force were asked, and what they said."""

    asked: int = 0
    linearizable: int = 0
    differing: list[str] | None = None


def compare(seed: int, count: int, *, largest: int = 7) -> Agreement:
    """Ask both about histories of all kinds, made so that they have an order, or with one answer changed."""
    rng = random.Random(seed)
    found = Agreement(differing=[])
    assert found.differing is not None
    for number in range(count):
        name, kind = list(KINDS.items())[number % len(KINDS)]
        mutate = number // len(KINDS) % 2 == 1
        operations = history(rng, kind, rng.randint(2, largest), mutate=mutate)
        expected = is_linearizable(operations, kind.reference or kind.model)
        verdict = check(operations, kind.model).verdict
        found.asked += 1
        found.linearizable += expected
        if verdict != ("ok" if expected else "violation") or not (mutate or expected):
            lines = "\n".join(f"  {each}" for each in operations)
            found.differing.append(f"{name}, number {number}: brute force {expected}, checker {verdict}\n{lines}")
    return found
