"""Work that nobody waits for, and that is done again by others where it fails."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

log = structlog.get_logger()


@dataclass
class Errands:
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_done(work))
        # A task that nobody holds may be collected before it ends.
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _done(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("an errand failed; the next scan does it")
