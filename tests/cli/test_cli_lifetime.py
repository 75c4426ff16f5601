"""How our processes stop: in order, at the first signal, also out of an unfinished start."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailroom.local.lifetime import run, run_until_told


class Story:
    """A service that tells what happens to it; it needs `seconds` to start."""

    def __init__(self, seconds: float = 0) -> None:
        self.told: list[str] = []
        self._seconds = seconds

    @asynccontextmanager
    async def service(self) -> AsyncIterator[str]:
        self.told.append("starts")
        try:
            await asyncio.sleep(self._seconds)
            yield "it"
        finally:
            await asyncio.sleep(0)
            self.told.append("ends")

    async def live(self, signum: signal.Signals) -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signum)
        await run_until_told(
            self.service(),
            up=lambda what: self.told.append(f"{what} is up"),
            stopping=lambda: self.told.append("stopping"),
        )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_order(signum: signal.Signals) -> None:
    story = Story()
    run(story.live(signum))
    assert story.told == ["starts", "it is up", "stopping", "ends"]


def test_a_signal_ends_an_unfinished_start() -> None:
    story = Story(seconds=60)
    run(story.live(signal.SIGINT))
    assert story.told == ["starts", "stopping", "ends"]


def test_an_error_of_the_service_is_the_callers() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise OSError("no room")
        yield

    with pytest.raises(OSError, match="no room"):
        run(run_until_told(broken(), up=lambda _: None, stopping=lambda: None))
