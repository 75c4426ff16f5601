"""A server of the local stack that was killed is started again, on the same files."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil  # type: ignore[import-untyped]
import structlog

log = structlog.get_logger()

PAUSE_SECONDS = 1.0


async def keep_up(
    name: str, ended: Callable[[], Awaitable[object]], start: Callable[[], Awaitable[object]]
) -> None:
    """Until cancelled. `start` is tried until it succeeds."""
    while True:
        await ended()
        log.warning("a server ended unasked and is started again", server=name)
        while not await _started(name, start):
            pass


async def _started(name: str, start: Callable[[], Awaitable[object]]) -> bool:
    try:
        await start()
    except Exception as error:  # noqa: BLE001  whatever it was: the next try may find it mended
        log.error("a server can't be started again", server=name, error=str(error))  # noqa: TRY400
        await asyncio.sleep(PAUSE_SECONDS)
        return False
    return True


async def process_ended(pid: int) -> None:
    """Waits for a process that is no child of ours, in a thread that nobody waits for."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait()
        with suppress(RuntimeError):  # the loop is closed: everything has ended
            loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait, daemon=True, name=f"wait-{pid}").start()
    await over.wait()
