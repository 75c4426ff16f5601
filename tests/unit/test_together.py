"""Questions that come at the same time are asked together; nobody waits for company."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from mailroom.adapters.together import LONGEST_RUN, Together


class Desk:
    """Doubles numbers, one pile at a time, each when it is told to."""

    def __init__(self) -> None:
        self.piles: list[dict[str, int]] = []
        self.begun = asyncio.Semaphore(0)
        self.goes_on = asyncio.Semaphore(0)
        self.unknown: set[str] = set()
        self.away = False
        self.closed = False
        self.opened = 0

    @asynccontextmanager
    async def open(
        self,
    ) -> AsyncIterator[Callable[[Mapping[str, int]], Awaitable[Mapping[str, int]]]]:
        if self.closed:
            raise ConnectionError("nobody is there")
        self.opened += 1
        yield self.work

    async def work(self, asked: Mapping[str, int]) -> Mapping[str, int]:
        self.piles.append(dict(asked))
        self.begun.release()
        await self.goes_on.acquire()
        if self.away:
            raise ConnectionError("the server is gone")
        return {about: 2 * n for about, n in asked.items() if about not in self.unknown}


def asked(together: Together[str, int, int], about: str, n: int) -> "asyncio.Task[int | None]":
    return asyncio.create_task(together.ask(about, n))


async def test_what_comes_meanwhile_is_the_next_pile() -> None:
    desk = Desk()
    together = Together(desk.open, 100)
    first = asked(together, "a", 1)
    await desk.begun.acquire()
    others = [asked(together, about, n) for about, n in [("b", 2), ("c", 3)]]
    await asyncio.sleep(0)
    desk.goes_on.release()
    assert await first == 2
    desk.goes_on.release()
    assert await asyncio.gather(*others) == [4, 6]
    assert desk.piles == [{"a": 1}, {"b": 2, "c": 3}]
    desk.goes_on.release()
    assert await together.ask("d", 4) == 8


async def test_a_pile_has_its_limit_and_who_came_first_is_in_it() -> None:
    desk = Desk()
    together = Together(desk.open, 2)
    answers = [asked(together, f"{n}", n) for n in range(5)]
    for _ in range(3):
        desk.goes_on.release()
    assert await asyncio.gather(*answers) == [0, 2, 4, 6, 8]
    assert desk.piles == [{"0": 0, "1": 1}, {"2": 2, "3": 3}, {"4": 4}]


async def test_two_about_the_same_follow_each_other() -> None:
    desk = Desk()
    together = Together(desk.open, 100)
    answers = [asked(together, "a", 1), asked(together, "a", 2), asked(together, "b", 3)]
    desk.goes_on.release()
    desk.goes_on.release()
    assert await asyncio.gather(*answers) == [2, 4, 6]
    assert desk.piles == [{"a": 1, "b": 3}, {"a": 2}]


async def test_one_that_is_not_answered_keeps_no_other_from_its_answer() -> None:
    desk = Desk()
    desk.unknown = {"a"}
    together = Together(desk.open, 100)
    answers = [asked(together, "a", 1), asked(together, "b", 2)]
    desk.goes_on.release()
    assert await asyncio.gather(*answers) == [None, 4]


async def test_a_failure_is_told_to_those_in_the_pile_and_to_no_others() -> None:
    desk = Desk()
    together = Together(desk.open, 2)
    answers = [asked(together, f"{n}", n) for n in range(3)]
    await desk.begun.acquire()
    desk.away = True
    desk.goes_on.release()
    await desk.begun.acquire()
    desk.away = False
    desk.goes_on.release()
    for failed in answers[:2]:
        with pytest.raises(ConnectionError):
            await failed
    assert await answers[2] == 4


async def test_who_no_longer_waits_is_not_asked_for_and_stops_no_other() -> None:
    desk = Desk()
    together = Together(desk.open, 100)
    working = asked(together, "a", 1)
    await desk.begun.acquire()
    left, stays = asked(together, "b", 2), asked(together, "c", 3)
    await asyncio.sleep(0)
    left.cancel()
    working.cancel()
    await asyncio.wait({left, working})
    desk.goes_on.release()
    desk.goes_on.release()
    assert await stays == 6
    assert desk.piles == [{"a": 1}, {"c": 3}]


async def test_where_it_can_not_begin_those_that_wait_are_told() -> None:
    desk = Desk()
    desk.closed = True
    together = Together(desk.open, 2)
    answers = [asked(together, f"{n}", n) for n in range(3)]
    for failed in answers:
        with pytest.raises(ConnectionError):
            await failed
    desk.closed = False
    desk.goes_on.release()
    assert await together.ask("a", 1) == 2


async def test_what_it_works_with_is_let_go_now_and_then_however_much_waits() -> None:
    desk = Desk()
    together = Together(desk.open, 1)
    answers = [asked(together, f"{n}", n) for n in range(LONGEST_RUN + 1)]
    for _ in answers:
        desk.goes_on.release()
    await asyncio.gather(*answers)
    assert desk.opened == 2
