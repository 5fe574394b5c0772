import asyncio
import contextvars
import random

import pytest

from csisim.sim.direction import Conditions, Direction, Item, Mark
from csisim.sim.loop import SimLoop
from csisim.sim.run import simulate


class End:
    """Both ends of a direction."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.got: list[tuple[float, Item]] = []
        self.reads = True
        self.rooms = 0
        self.error: OSError | None = None

    def takes(self) -> bool:
        return self.reads

    def arrived(self, item: Item) -> None:
        self.got.append((asyncio.get_running_loop().time(), item))

    def room(self) -> None:
        self.rooms += 1

    def break_off(self, error: OSError) -> None:
        self.error = error


def direction(conditions: Conditions) -> tuple[Direction, End, dict[str, bool]]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    end, cut = End(), {"now": False}
    way = Direction(loop, conditions, random.Random(1), "1 up", lambda: cut["now"])
    way.between(end, end)
    return way, end, cut


def test_what_was_sent_first_arrives_first_whatever_the_latency() -> None:
    async def program() -> list[Item]:
        way, end, _ = direction(Conditions(latency_s=(0.0, 1.0)))
        for number in range(200):
            way.put(b"%d" % number)
            await asyncio.sleep(0.001)
        way.put(Mark.FIN)
        await asyncio.sleep(2)
        times = [at for at, _ in end.got]
        assert times == sorted(times)
        return [item for _, item in end.got]

    assert simulate(program).result == [*(b"%d" % number for number in range(200)), Mark.FIN]


def test_a_window_that_is_full_holds_the_rest_at_the_sender() -> None:
    async def program() -> None:
        way, end, _ = direction(Conditions(window_bytes=10, latency_s=(0.1, 0.1)))
        end.reads = False
        way.put(bytes(25))
        way.put(Mark.RST)
        await asyncio.sleep(1)
        assert (way.unsent_bytes, way.unread_bytes, end.got) == (15, 10, [])
        assert not way.is_reset
        end.reads = True
        way.pump()
        await asyncio.sleep(1)
        assert [len(item) if isinstance(item, bytes) else item for _, item in end.got] == [10, 10, 5, Mark.RST]
        assert way.unsent_bytes == 0

    assert simulate(program).error is None


def test_a_write_may_arrive_in_pieces_and_none_is_lost() -> None:
    async def program() -> list[bytes]:
        way, end, _ = direction(Conditions(split=1.0))
        way.put(b"0123456789")
        await asyncio.sleep(1)
        return [item for _, item in end.got if isinstance(item, bytes)]

    pieces = simulate(program).result or []
    assert len(pieces) > 1
    assert b"".join(pieces) == b"0123456789"


def test_what_was_held_up_is_sent_again_in_order() -> None:
    async def program() -> None:
        way, end, cut = direction(Conditions(latency_s=(0.1, 0.2)))
        way.put(b"a")
        cut["now"] = True
        way.put(b"b")
        await asyncio.sleep(5)
        assert end.got == []
        way.held = True
        cut["now"] = False
        way.go_on()
        await asyncio.sleep(5)
        assert end.got == []
        way.held = False
        way.go_on()
        await asyncio.sleep(5)
        assert [item for _, item in end.got] == [b"a", b"b"]
        assert 10.1 <= end.got[0][0] <= 10.2
        assert end.error is None

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error


@pytest.mark.parametrize(("heals_after_s", "gives_up"), [(99, False), (101, True)])
def test_the_sender_gives_up_only_after_its_time(heals_after_s: float, gives_up: bool) -> None:
    async def program() -> bool:
        way, end, cut = direction(Conditions(give_up_s=100))
        cut["now"] = True
        way.put(b"a")
        await asyncio.sleep(heals_after_s)
        cut["now"] = False
        way.go_on()
        await asyncio.sleep(1000)
        return isinstance(end.error, TimeoutError)

    assert simulate(program).result is gives_up
