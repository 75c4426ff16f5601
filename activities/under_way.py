"""The state of a step that is under way: written as soon as somebody could see it.

A step that is over before that enters both its states in one statement; one that fails has its
state written first, so that the timeline says where.
"""

import asyncio
from types import TracebackType
from typing import Self

from mailroom.models.rows import Change
from mailroom.ports import EmailStore

# A page that shows a state for less only flickers.
VISIBLE_SECONDS = 1.0


class UnderWay:
    """`async with UnderWay(store, begun) as step: ...; store.enter(*await step.ended(done))`"""

    def __init__(self, store: EmailStore, begun: Change) -> None:
        self._store = store
        self._begun = begun
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(VISIBLE_SECONDS, self._write)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not await self._written():
            await self._store.enter(self._begun)
        self._timer.cancel()

    async def ended(self, done: Change) -> tuple[Change, ...]:
        """What is to be entered at the step's end: its beginning too, unless that is written."""
        return (done,) if await self._written() else (self._begun, done)

    def _write(self) -> None:
        self._writing = asyncio.create_task(self._store.enter(self._begun))

    async def _written(self) -> bool:
        self._timer.cancel()
        if self._writing is None:
            return False
        # A store that is away shows at the next write.
        await asyncio.wait([self._writing])
        return self._writing.exception() is None
