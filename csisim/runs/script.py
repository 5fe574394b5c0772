"""A testbed as chaos scripts use it: wait for what is to happen, look into volumes, take all down, and be judged."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

from google.protobuf.message import Message

from csisim.check.verdicts import Violation
from csisim.co.callers import Attempt, Caller, Role
from csisim.co.objects import Secret
from csisim.co.volume_requests import of_volume
from csisim.pb import csi_pb2 as csi
from csisim.reports.story import story
from csisim.runs import data, judge
from csisim.runs.classes import classes
from csisim.runs.handles import DriverHandle, FaultHandle
from csisim.runs.report import RunReport
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.runs.waiting import until

PROTOCOLS: Final = ("nfs", "iscsi", "nvmeof")
_WHO: Final = "script"
_SHORTEST_SECRET: Final = 4


class Broken(AssertionError):
    """A check found something, or could not decide; the text tells what happened, in order, and why it is wrong.

    Attributes:
        report: all verdicts.
    """

    def __init__(self, report: RunReport, text: str) -> None:
        self.report = report
        super().__init__(text)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What was found."""
        return self.report.violations


class Script(Testbed):
    """See the module. Every wait has a limit, after which it fails and says how things stand.

    Args:
        settings: of the testbed.
        protocols: that there is a storage class of, by that name; the first one is the default. With any there is a
            class for snapshots too.

    Attributes:
        driver: the driver's process.
        patience_s: the limit of each wait, by the loop's time.
        times: what a script multiplies times in its rules by: 1 simulated, less by the real clock.
    """

    def __init__(self, settings: TestbedSettings | None = None, protocols: Collection[str] = PROTOCOLS) -> None:
        super().__init__(settings)
        if strange := [each for each in protocols if each not in PROTOCOLS]:
            raise ValueError(f"{strange[0]!r} is no protocol: there are {', '.join(PROTOCOLS)}")
        self.driver = DriverHandle(self.cluster)
        self.patience_s = self.pace.wait_s
        self.times = self.pace.times
        self._protocols = tuple(protocols)
        self._by_hand: dict[str | None, Caller] = {}
        self._taken_down = False

    async def _start(self, stack: AsyncExitStack) -> None:
        await super()._start(stack)
        stack.push_async_callback(self._hang_up)
        self.co.apply(classes(self.settings.driver.driver_name, self._protocols))

    async def _hang_up(self) -> None:
        for caller in self._by_hand.values():
            await caller.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not turn up anywhere: the NAS's key, and what Secrets hold, but for what is too short to tell."""
        kept = self.co.api.all_of(Secret)
        values = [value for each in kept for value in each.data.values() if len(value) >= _SHORTEST_SECRET]
        return (*super().secrets, *values)

    @property
    def taken_down(self) -> bool:
        """Whether `teardown` came to its end."""
        return self._taken_down

    # --- waiting

    async def settled(self, timeout_s: float | None = None) -> None:
        """Wait until the orchestrator has everything as it is wanted; see `Testbed.settled`."""
        await super().settled(self.patience_s if timeout_s is None else timeout_s)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds, which is looked at after every event of the history.

        Args:
            condition: of the script's own.
            what: the same in words, for the error.

        Raises:
            csisim.runs.waiting.NotSeen: it does not come to hold.
        """
        await until(self.history, condition, lambda: f"it is not so that {what}", self.patience_s)

    async def fired(self, rules: FaultHandle, times: int = 1) -> None:
        """Wait until faults have happened, so often in all.

        Raises:
            csisim.runs.waiting.NotSeen: they do not.
        """
        await until(
            self.history, lambda: rules.fired >= times,
            lambda: f"{rules} fired {rules.fired} of {times} times", self.patience_s,
        )  # fmt: skip

    async def answered(self, rpc: str, code: str = "OK", times: int = 1) -> list[Attempt]:
        """Wait until callers have had an answer so often, from the beginning of the test on; gives these attempts.

        Args:
            rpc: method of the CSI.
            code: that its callers saw, DEADLINE_EXCEEDED of their own included.
            times: how often.

        Raises:
            csisim.runs.waiting.NotSeen: they do not get it.
        """

        def had() -> str:
            other = [each.code.name for each in self.attempts(rpc)]
            return f"{rpc} was answered {code} less than {times} times; its answers were {', '.join(other) or 'none'}"

        await until(self.history, lambda: len(self.attempts(rpc, code)) >= times, had, self.patience_s)
        return self.attempts(rpc, code)

    async def running(self, pod: str) -> None:
        """Wait until a pod runs, whatever else is still to be done.

        Raises:
            csisim.runs.waiting.NotSeen: it does not; says what everybody waits for.
        """

        def runs() -> bool:
            found = self.co.get("Pod", pod)
            return found is not None and found.running

        def why() -> str:
            waiting = "; ".join(f"{what}: {reason}" for what, reason in self.co.waiting().items())
            return f"pod {pod} does not run; {waiting}"

        await until(self.history, runs, why, self.patience_s)

    def attempts(self, rpc: str, code: str = "") -> list[Attempt]:
        """Calls of a method that have ended, of the orchestrator's first; with a code those that ended so."""
        ended = [*self.co.calls.attempts, *self.calls.attempts]
        return [each for each in ended if each.rpc == rpc and code in {"", each.code.name}]

    # --- what is in volumes

    async def write(self, pod: str, name: str, content: bytes, claim: str = "") -> None:
        """Write a file as a container of a running pod does.

        Args:
            pod: its name.
            name: of the file; on a raw block volume it picks a slot.
            content: at most 3584 bytes.
            claim: whose volume, where the pod has several.

        Raises:
            OSError: as Linux would. EIO, ETIMEDOUT, ECONNRESET: it may be there all the same.
        """
        node, mount = self.co.mount_of(pod, claim)
        await data.written(self.history, _WHO, self.nodes[node], mount.volume, mount.target, name, content)

    async def read(self, pod: str, name: str, claim: str = "") -> bytes | None:
        """Read it back; None where there is no such file. Arguments and errors as for `write`."""
        node, mount = self.co.mount_of(pod, claim)
        return await data.found(self.history, _WHO, self.nodes[node], mount.volume, mount.target, name)

    async def size_bytes(self, pod: str, claim: str = "") -> int:
        """What a running pod sees as the size of its volume's file system."""
        node, mount = self.co.mount_of(pod, claim)
        return (await self.nodes[node].host.mounter.statfs(mount.target)).total_bytes

    @contextmanager
    def open_file(self, pod: str, claim: str = "") -> Iterator[None]:
        """Have a file of a running pod's volume open, as a process does that outlives its pod."""
        node, mount = self.co.mount_of(pod, claim)
        with self.nodes[node].host.mounter.open(mount.target):
            yield

    def mounted(self, claim: str) -> list[str]:
        """The nodes on which a claim's volume is mounted, be it at one path or at several."""
        handle = self.co.volume_of(claim).volume_handle
        return [node.node_id for node in self.nodes.values() if any(handle in each.source for each in node.mounts())]

    # --- by hand

    async def call(self, request: Message, node: str | None = None) -> Any:
        """Make one CSI call past the orchestrator, as another client would; gives the answer.

        Args:
            request: its type says which method.
            node: whose socket; None for the controller's.

        Raises:
            csisim.co.callers.CallFailed: has the code, and whether it had its effect depends on that.
        """
        caller = self._by_hand.get(node)
        if caller is None:
            caller = self._by_hand[node] = self.caller(_WHO, node)
        rpc = type(request).__name__.removesuffix("Request")
        stubs = (caller.identity, caller.controller, caller.node, caller.group_controller, caller.snapshot_metadata)
        method = next(getattr(stub, rpc) for stub in stubs if hasattr(stub, rpc))
        about = getattr(request, "volume_id", "") or getattr(request, "name", "")
        return await caller.once(Role(_WHO, self.patience_s, frozenset()), method, request, about)

    def capability(self, claim: str) -> csi.VolumeCapability:
        """How a claim's volume is to be used, as calls have it."""
        return of_volume(self.co.volume_of(claim), multi_writer=True)

    async def foreign(self, name: str) -> None:
        """Have the NAS create a dataset that is somebody else's: from here on nobody may touch it."""
        await self.nas.call("pool.dataset.create", {"name": name})
        value = {"objects": [f"dataset {name}"]}
        self.history.add("info", "world", "foreign", process="world", value=value)

    # --- the end

    async def teardown(self) -> None:
        """Heal, let every wish come true, then have everything deleted: from here on nothing may be left.

        Raises:
            csisim.co.orchestrator.NotConverged: it does not come to that; names what it waits for.
        """
        await self.heal()
        self.phase("liveness")
        await self.conclude(self.patience_s)
        self._taken_down = True

    async def check(self, expected: Collection[str] | None = None) -> RunReport:
        """Heal, look, and judge everything that has happened.

        Args:
            expected: what may be left, as `leftovers` has it; after `teardown` nothing by default.

        Raises:
            Broken: something does not hold.
        """
        __tracebackhide__ = True
        report = await super().check(() if expected is None and self._taken_down else expected)
        report = replace(report, replay="")  # it is the test that does it again
        if report.verdict != "ok":
            raise Broken(report, story(report.to_json(), tuple(map(judge.plain, self.events()))))
        return report
