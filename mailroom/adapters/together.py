"""What is asked at the same time is done together, as databases commit in groups.

While one piece of work is under way, the questions that come wait, and are the next one. Nobody
waits for company: a question that comes alone is asked alone, and at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")
R = TypeVar("R")

# What work is done with is let go after so many pieces: others may wait for it.
LONGEST_RUN = 50


@dataclass(frozen=True, eq=False)
class _Asked(Generic[K, A, R]):
    about: K
    question: A
    answer: "asyncio.Future[R | None]"

    def tell(self, answer: R | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Together(Generic[K, A, R]):
    def __init__(
        self,
        begin: Callable[
            [], AbstractAsyncContextManager[Callable[[Mapping[K, A]], Awaitable[Mapping[K, R]]]]
        ],
        most: int,
    ) -> None:
        """The work gets `most` questions at once, and answers those of them that it can. `begin`
        is for a run of it, as long as something waits."""
        self._begin = begin
        self._most = most
        self._waiting: list[_Asked[K, A, R]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, about: K, question: A) -> R | None:
        """None: it was not answered together with others. Raises what the work raised, for each
        that was in it."""
        answer: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(about, question, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._until_done())
        return await answer

    async def _until_done(self) -> None:
        try:
            while self._waiting:
                await self._run()
        finally:
            self._working = None

    async def _run(self) -> None:
        taken: dict[K, _Asked[K, A, R]] = {}
        try:
            async with self._begin() as work:
                for _ in range(LONGEST_RUN):
                    if not (taken := self._take()):
                        return
                    answers = await work({about: one.question for about, one in taken.items()})
                    for about, one in taken.items():
                        one.tell(answers.get(about))
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            for one in (taken or self._take()).values():
                one.fail(error)

    def _take(self) -> dict[K, _Asked[K, A, R]]:
        """Those that came first. Who stopped waiting asks nothing any more; two about the same
        thing follow each other, as if each had come alone."""
        taken: dict[K, _Asked[K, A, R]] = {}
        later = []
        for one in self._waiting:
            if one.answer.done():
                continue
            if one.about in taken or len(taken) == self._most:
                later.append(one)
            else:
                taken[one.about] = one
        self._waiting = later
        return taken
