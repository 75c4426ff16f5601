"""How long a process of ours lives: until a person or the system asks it to stop."""

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

LAST_THREADS_SECONDS = 0.2

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for work that connects to Temporal."""
    return asyncio.run(_with_last_threads(work))


async def _with_last_threads(work: Coroutine[Any, Any, T]) -> T:
    """The SDK's threads end a moment after its last call; an interpreter that finalises before
    that can abort (exit 134, seen in 16 of 76 runs, and in none with this pause)."""
    try:
        return await work
    finally:
        await asyncio.sleep(LAST_THREADS_SECONDS)


def _set_aside_what_stays() -> None:
    """What was imported is never garbage. Counted as living objects it would put off the
    collection of workflows that have left the cache until they are a quarter of it."""
    gc.collect()
    gc.freeze()


async def run_until_told(
    service: AbstractAsyncContextManager[T],
    *,
    up: Callable[[T], None],
    stopping: Callable[[], None],
) -> None:
    """Runs `service` until the first SIGINT or SIGTERM, which also ends an unfinished start.

    `up` is called once it runs, `stopping` before it stops. Further signals change nothing:
    a stop in order is under way.
    """
    told = asyncio.Event()
    running = False

    async def life() -> None:
        nonlocal running
        async with service as what:
            _set_aside_what_stays()
            running = True
            up(what)
            await told.wait()

    def tell() -> None:
        if told.is_set():
            return
        told.set()
        stopping()
        if not running:
            task.cancel()

    task = asyncio.create_task(life())
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, tell)
    try:
        await task
    except asyncio.CancelledError:
        if not told.is_set():
            raise
