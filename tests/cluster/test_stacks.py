"""Where something was called from."""

import asyncio

from csisim.cluster.stacks import calling_stack
from csisim.concurrency import together


async def inner():
    return calling_stack()


async def outer():
    return await inner()


async def test_coroutines_are_named_from_the_inside_out_by_file_line_and_function():
    stack = await outer()
    here = outer.__code__.co_firstlineno
    assert stack[:2] == (f"test_stacks.py:{here - 3} inner", f"test_stacks.py:{here + 1} outer")


async def test_a_stack_ends_where_its_task_begins():
    (stack,) = await together(outer())
    assert [frame.split()[-1] for frame in stack] == ["inner", "outer"]
    assert not any("asyncio" in frame or "/" in frame for frame in await asyncio.create_task(outer()))
