"""What is started in steps ends in the opposite order, however far it came."""

from contextlib import AsyncExitStack

import pytest

from csisim.started import Started


class Steps(Started):
    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.undone: list[str] = []

    async def _start(self, stack: AsyncExitStack) -> None:
        stack.callback(self.undone.append, "first")
        if self.fails:
            raise OSError("no port")
        stack.callback(self.undone.append, "second")


async def test_all_is_undone_in_the_opposite_order_after_the_block() -> None:
    steps = Steps()
    async with steps as entered:
        assert entered is steps
        assert steps.undone == []
    assert steps.undone == ["second", "first"]


async def test_what_was_begun_before_a_failure_is_undone_at_once() -> None:
    steps = Steps(fails=True)
    with pytest.raises(OSError, match="no port"):
        await steps.__aenter__()
    assert steps.undone == ["first"]
