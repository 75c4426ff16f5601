"""`mailroom queue list --watch`: a list that stays up to date."""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from rich.console import Group
from rich.live import Live
from rich.text import Text

from mailroom.cli.client import PAGE, Bridge, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, messages, one_line
from mailroom.cli.queue_messages import of_all, table
from mailroom.cli.queue_submit import MESSAGES
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessagePage

SECONDS = 1.0

Shown = Callable[[MessagePage], None]


def watch(wanted: dict[str, Any], limit: int, output: Output) -> None:
    if limit > PAGE:
        raise Failure(f"--watch shows {PAGE} messages at most; give --limit.", ExitCode.USAGE)
    asyncio.run(_watch(wanted, limit, output))


async def _watch(wanted: dict[str, Any], limit: int, output: Output) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(RuntimeError):  # in a thread nobody presses Ctrl-C
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with bridge() as to:
        if output is Output.TABLE and messages().is_terminal:
            with Live(console=messages(), auto_refresh=False) as screen:
                await follow(to, wanted, limit, stop, lambda page: _draw(screen, page))
        else:
            await follow(to, wanted, limit, stop, Changes(output))


async def follow(
    to: Bridge, wanted: dict[str, Any], limit: int, stop: asyncio.Event, shown: Shown
) -> None:
    while not stop.is_set():
        shown(MessagePage.model_validate(await to.get(MESSAGES, limit=limit, **wanted)))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SECONDS)


def _draw(screen: Live, page: MessagePage) -> None:
    screen.update(Group(table(page.items), Text(), Text(of_all(page), style="dim")), refresh=True)


class Changes:
    """A line for each message that is new, or has changed."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last: dict[UUID, MessageQueueItem] = {}

    def __call__(self, page: MessagePage) -> None:
        for item in page.items:
            if self._last.get(item.id) != item:
                answer(self._line(item))
        self._last = {item.id: item for item in page.items}

    def _line(self, item: MessageQueueItem) -> str:
        if self._output is Output.JSON:
            return json.dumps(item.model_dump(mode="json", exclude_none=True), ensure_ascii=False)
        words = [str(item.id), item.status.replace("_", " "), one_line(item.recipient)]
        words += [f"{item.num_attempts} tries"] if item.num_attempts else []
        return "  ".join([*words, one_line(item.last_bounce_reason)]).rstrip()
