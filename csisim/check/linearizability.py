"""Is there one order of all operations that explains every answer? A checker for any model, on its own.

An operation takes effect at one instant between its invocation and its completion. The search is Wing and Gong's as
Lowe and Porcupine improved it: depth first over what may come next, with a memory of the pairs (what is placed, state)
that led nowhere, each partition for itself. What never completed may take effect at any time after its invocation, or
never.

    result = check(operations, Register())
    result.verdict                  # ok, violation or unknown: the budget never makes it ok
    print(result.text())            # for a violation: the longest order found, and what cannot follow
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from csisim.check.verdicts import Verdict

State = TypeVar("State", bound=Hashable)

DEFAULT_BUDGET: Final = 200_000
_MOST_TOLD: Final = 40


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one process.

    Attributes:
        process: who asked for it.
        f: its name.
        value: what was asked for.
        result: what was answered; of a pending one it says nothing.
        invoked_s: when it began, in seconds or in any other unit.
        completed_s: when its answer came; None where it is pending for ever, whatever its type.
        type: ok, or fail where it was refused; info is pending for ever.
        invoked_seq, completed_seq: which of two things at one time came first. Without them they overlap.
    """

    process: str
    f: str
    value: Any
    result: Any
    invoked_s: float
    completed_s: float | None
    type: Literal["ok", "fail", "info"] = "ok"
    invoked_seq: int = 0
    completed_seq: int = 0

    @property
    def pending(self) -> bool:
        """Whether nobody knows if it had its effect."""
        return self.completed_s is None or self.type == "info"

    def __str__(self) -> str:
        until = "no answer" if self.completed_s is None else f"{self.completed_s:g}s"
        asked = "" if self.value is None else f"({self.value})"
        told = "is pending" if self.pending else f"{self.type} {self.result}"
        return f"[{self.invoked_s:g}s to {until}] {self.process}: {self.f}{asked} -> {told}"


class Model(Generic[State]):
    """What operations do, one at a time. States are immutable and hashable."""

    def init(self) -> State:
        """The state before the first operation."""
        raise NotImplementedError

    def step(self, state: State, operation: Operation) -> Iterable[State]:
        """The states that may follow, in an order that does not change; none where the answer is impossible here.

        Of a pending operation only process, f and value count: all effects that it can have.
        """
        raise NotImplementedError

    def partition(self, operation: Operation) -> Hashable:  # noqa: ARG002 - for those who override it
        """Operations of different partitions have nothing to do with each other."""
        return None

    def pure(self, operation: Operation) -> bool:  # noqa: ARG002
        """Whether it changes nothing in ANY state, as reads do. To change nothing in some states is not enough."""
        return False

    def alike(self, operation: Operation) -> Hashable:
        """What pending operations share that always have the same effects: of them the first invoked is tried first.

        A model that does not look at the process leaves it out: many callers that ask for the same thing while nobody
        answers are as one then, in place of every choice among them.
        """
        return operation.process, operation.f, operation.value

    def describe(self, state: State) -> str:
        """A state for people."""
        return str(state)

    def explain(self, state: State, operation: Operation) -> str:  # noqa: ARG002
        """Why the operation's answer is impossible in this state; "" where the state tells it all."""
        return ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A partition for which there is no order.

    Attributes:
        partition: which one.
        prefix: the longest order of operations that was found.
        state: after it.
        stuck: completed operations, one of which would have to come next; none can. The first is overdue: it had been
            answered before what else could be placed was asked for.
        reasons: of each of these, why it cannot be.
    """

    partition: Hashable
    prefix: tuple[Operation, ...]
    state: str
    stuck: tuple[Operation, ...]
    reasons: tuple[str, ...]

    def text(self) -> str:
        """For people: the order, the state, what cannot follow."""
        skipped = max(0, len(self.prefix) - _MOST_TOLD)
        lines = [f"{self.partition}: no order of these operations explains all answers.", "longest order found:"]
        lines += [f"  ({skipped} operations before)"] if skipped else []
        lines += [f"  {number}. {each}" for number, each in enumerate(self.prefix[skipped:], skipped + 1)] or ["  none"]
        lines += [f"state after it: {self.state}", "one of these would have to come next, and none can:"]
        for each, reason in zip(self.stuck, self.reasons, strict=True):
            lines += [f"  {each}", *([f"    {reason}"] if reason else [])]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        operations: how many were judged.
        partitions: in how many parts.
        explored: how many pairs (what is placed, state) it took.
        failures: one for each partition without an order.
        undecided: partitions whose budget ran out.
    """

    operations: int
    partitions: int
    explored: int
    failures: tuple[Failure, ...] = ()
    undecided: tuple[Hashable, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Where one partition has no order, nothing that is undecided can mend it."""
        return "violation" if self.failures else "unknown" if self.undecided else "ok"

    def text(self) -> str:
        """For people."""
        undecided = [f"{each}: not decided, the budget ran out" for each in self.undecided]
        told = [*(each.text() for each in self.failures), *undecided]
        return "\n\n".join(told) or f"{self.operations} operations in {self.partitions} partitions: linearizable"


def check(operations: Iterable[Operation], model: Model[Any], *, budget: int = DEFAULT_BUDGET) -> Checked:
    """Look for an order.

    Args:
        operations: in any order.
        model: what they do.
        budget: how many pairs (what is placed, state) each partition may take; beyond it is unknown.

    Raises:
        ValueError: an operation that completed before it was invoked.
    """
    parts: dict[Hashable, list[Operation]] = {}
    count = 0
    for operation in operations:
        count += 1
        if operation.completed_s is not None and operation.completed_s < operation.invoked_s:
            raise ValueError(f"completed before it was invoked: {operation}; check the times")
        parts.setdefault(model.partition(operation), []).append(operation)
    explored = 0
    failures: list[Failure] = []
    undecided: list[Hashable] = []
    for key, members in parts.items():
        search = _Search(members, model, budget)
        found = search.run()
        explored += search.explored
        if found is None:
            undecided.append(key)
        elif not found:
            failures.append(search.failure(key))
    return Checked(count, len(parts), explored, tuple(failures), tuple(undecided))


class _Search(Generic[State]):
    """One partition.

    Completed operations come first, by invocation: operation i begins at entry i and ends at entry count + i of a
    linked list over time, as in Lowe's checker. Pending ones follow by number. They are tried last: most never had an
    effect, or have been repeated since.
    """

    def __init__(self, operations: Sequence[Operation], model: Model[State], budget: int) -> None:
        done = sorted((each for each in operations if not each.pending), key=_begin)
        self.count = count = len(done)
        # A pending operation that changes nothing need not be placed at all.
        self.operations = [
            *done,
            *sorted((each for each in operations if each.pending and not model.pure(each)), key=_begin),
        ]
        self.model = model
        self.budget = budget
        self.explored = 0
        # At one time, beginnings come first: what touches overlaps, unless the numbers tell an order.
        entries = [(each.invoked_s, each.invoked_seq, 0, index) for index, each in enumerate(done)]
        entries += [(each.completed_s or 0.0, each.completed_seq, 1, count + index) for index, each in enumerate(done)]
        entries.sort()
        order = [entry for *_, entry in entries]
        # The slot after the last is head and tail of the list.
        self.head = head = 2 * count
        self.next = [head] * (head + 1)
        self.previous = [head] * (head + 1)
        for before, after in zip([head, *order], [*order, head], strict=True):
            self.next[before] = after
            self.previous[after] = before
        self.pure = [model.pure(each) for each in done]
        self.any_pure = any(self.pure)
        self.twins = self._twins()
        self.path: list[int] = []
        self.best: tuple[int, tuple[int, ...], State, tuple[int, ...]] = (-1, (), model.init(), ())

    def _twins(self) -> dict[int, int]:
        """Of pending operations that are alike, each one's predecessor: it is enough to try them in order."""
        last: dict[Hashable, int] = {}
        twins: dict[int, int] = {}
        for index in range(self.count, len(self.operations)):
            key = self.model.alike(self.operations[index])
            try:
                if key in last:
                    twins[index] = last[key]
                last[key] = index
            except TypeError:  # a value that has no hash has no twin
                continue
        return twins

    def run(self) -> bool | None:
        """Whether there is an order; None where the budget ran out."""
        state = self.model.init()
        moves = [self._moves(state, 0)]
        states = [state]
        placed, used = 0, 0  # bit masks of the completed and the pending operations
        seen: dict[tuple[int, State], list[int]] = {}
        while True:
            if self.next[self.head] == self.head:
                return True
            if self.explored >= self.budget:
                return None
            for index, after in moves[-1]:
                mask, pending = (placed | 1 << index, used) if index < self.count else (placed, used | 1 << index)
                if _is_new(seen, (mask, after), pending):
                    break
            else:
                self._remember(states[-1])
                moves.pop()
                states.pop()
                if not moves:
                    return False
                index = self.path.pop()
                if index < self.count:
                    placed ^= 1 << index
                    self._put_back(index)
                else:
                    used ^= 1 << index
                continue
            self.explored += 1
            placed, used = mask, pending
            self.path.append(index)
            if index < self.count:
                self._take_out(index)
            states.append(after)
            moves.append(self._moves(after, used))

    def _moves(self, state: State, used: int) -> Iterator[tuple[int, State]]:
        """What may come next, with the state after it. Read on only while the list is as it was at the beginning."""
        step, operations, count, following = self.model.step, self.operations, self.count, self.next
        if self.any_pure:
            entry = following[self.head]
            while entry < count:
                if self.pure[entry] and tuple(step(state, operations[entry])) == (state,):
                    # It fits here and changes nothing, so that whatever fits later fits behind it as well.
                    yield entry, state
                    return
                entry = following[entry]
        entry = following[self.head]
        while entry < count:
            for after in step(state, operations[entry]):
                yield entry, after
            entry = following[entry]
        first_end = _end(operations[entry - count])
        for index in range(count, len(operations)):
            operation = operations[index]
            if _begin(operation) > first_end:
                return
            twin = self.twins.get(index)
            if used >> index & 1 or not (twin is None or used >> twin & 1):
                continue
            for after in step(state, operation):
                if after != state:  # without an effect it need not be placed
                    yield index, after

    def _take_out(self, index: int) -> None:
        for entry in (index, index + self.count):
            before, after = self.previous[entry], self.next[entry]
            self.next[before] = after
            self.previous[after] = before

    def _put_back(self, index: int) -> None:
        for entry in (index + self.count, index):
            self.next[self.previous[entry]] = entry
            self.previous[self.next[entry]] = entry

    def _remember(self, state: State) -> None:
        """Keep the longest order: it is what a failure is told by."""
        placed = sum(1 for index in self.path if index < self.count)
        # Of orders that come equally far, the one that supposes the fewest effects of pending operations.
        if (placed, -len(self.path)) <= (self.best[0], -len(self.best[1])):
            return
        stuck = []
        entry = self.next[self.head]
        while entry < self.count:
            stuck.append(entry)
            entry = self.next[entry]
        overdue = entry - self.count
        stuck.sort(key=lambda index: index != overdue)
        self.best = (placed, tuple(self.path), state, tuple(stuck))

    def failure(self, partition: Hashable) -> Failure:
        """The longest order and what cannot follow it."""
        _, path, state, stuck = self.best
        operations = tuple(self.operations[index] for index in stuck)
        return Failure(
            partition,
            tuple(self.operations[index] for index in path),
            self.model.describe(state),
            operations,
            tuple(self.model.explain(state, each) for each in operations),
        )


def _is_new(seen: dict[tuple[int, Any], list[int]], key: tuple[int, Any], pending: int) -> bool:
    """Whether a pair is worth a look: not where it led nowhere with no more of the pending operations used up."""
    known = seen.get(key)
    if known is None:
        seen[key] = [pending]
        return True
    for each in known:
        if each & pending == each:
            return False
    known[:] = [each for each in known if each & pending != pending]
    known.append(pending)
    return True


def _begin(operation: Operation) -> tuple[float, int]:
    return operation.invoked_s, operation.invoked_seq


def _end(operation: Operation) -> tuple[float, int]:
    return operation.completed_s or 0.0, operation.completed_seq
