"""`mailroom queue watch`: how messages go out, as they do."""

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import Bridge, bridge
from mailroom.cli.mails import age
from mailroom.cli.output import answer, messages, one_line, plain_table, say
from mailroom.cli.queue_messages import STYLES, status_text
from mailroom.models.outbound.listing import Overview, QueueDepth
from mailroom.models.outbound.transitions import ENDED
from mailroom.models.outbound.words import MessageQueueStatus as S
from mailroom.models.outbound.words import QueueState

OVERVIEW = "/queue/overview"
SECONDS = 1.0
# The rate is that of the last seconds, so that it follows what happens.
RATE_SECONDS = 10.0
# A campaign that is still being submitted may have nothing to do for a moment.
QUIET_LOOKS = 3
BAR_WIDTH, QUEUES_SHOWN = 60, 10

Shown = Callable[[Overview, float], None]


class Rate:
    """Messages that ended, per second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, ended: int, now: float) -> float:
        self._seen.append((now, ended))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        began, before = self._seen[0]
        return max(0.0, (ended - before) / (now - began)) if now > began else 0.0


def watch(campaign: str | None) -> None:
    last = asyncio.run(_watch(campaign))
    if last is None or waiting(last.messages_by_status):
        return  # somebody pressed Ctrl-C
    say("Nothing waits." if last.messages_by_status else "There is no message.")


def waiting(counts: Mapping[S, int]) -> int:
    return sum(number for status, number in counts.items() if status not in ENDED)


async def _watch(campaign: str | None) -> Overview | None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(RuntimeError):  # in a thread nobody presses Ctrl-C
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with bridge() as to:
        if messages().is_terminal:
            with Live(console=messages(), auto_refresh=False) as screen:
                return await _follow(
                    to, campaign, stop, lambda *now: screen.update(page(*now), refresh=True)
                )
        return await _follow(to, campaign, stop, _Lines())


async def _follow(
    to: Bridge, campaign: str | None, stop: asyncio.Event, shown: Shown
) -> Overview | None:
    rate, overview, quiet = Rate(), None, 0
    asked = {"campaign_id": campaign} if campaign else {}
    while not stop.is_set():
        overview = Overview.model_validate(await to.get(OVERVIEW, **asked))
        counts = overview.messages_by_status
        ended = sum(counts.values()) - waiting(counts)
        shown(overview, rate.after(ended, monotonic()))
        quiet = 0 if waiting(counts) else quiet + 1
        if quiet == QUIET_LOOKS or not counts:
            break
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SECONDS)
    return overview


class _Lines:
    """A line for each change."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, overview: Overview, rate: float) -> None:
        line = ", ".join(
            f"{number:,} {status.replace('_', ' ')}" for status, number in _counts(overview)
        )
        if line and line != self._last:
            answer(f"{line}; {rate:.0f} per second")
            self._last = line


def _counts(overview: Overview) -> list[tuple[S, int]]:
    counts = overview.messages_by_status
    return [(status, counts[status]) for status in S if counts.get(status)]


def page(overview: Overview, rate: float) -> RenderableType:
    counts = _counts(overview)
    total = sum(number for _, number in counts)
    table = plain_table("Status", "Messages")
    table.columns[1].justify = "right"
    for status, number in counts:
        table.add_row(status_text(status), f"{number:,}")
    about = Text(f"{total:,} messages, {rate:.0f} per second", style="bold")
    shown: list[RenderableType] = [about, bar(counts), table]
    if overview.queues:
        shown += [Text(), _queues(overview.queues[:QUEUES_SHOWN])]
    return Group(*shown)


def bar(counts: list[tuple[S, int]], width: int = BAR_WIDTH) -> Text:
    """Each status has its part; its name stands below, for who doesn't see colours."""
    total = sum(number for _, number in counts) or 1
    line, shown, used = Text(), 0, 0
    for status, number in counts:
        shown += number
        end = round(width * shown / total)
        line.append("█" * (end - used), style=STYLES.get(status, "dim"))
        used = end
    return line


def _queues(queues: list[QueueDepth]) -> Table:
    table = plain_table("Queue", "State", "Waiting", "Held", "Oldest", "Reason", "Last error")
    for column in table.columns:
        column.no_wrap = column.header not in ("Reason", "Last error")
    for one in queues:
        table.add_row(
            Text(one_line(one.queue_name)),
            Text(one.state, style="" if one.state is QueueState.ACTIVE else "yellow"),
            f"{one.waiting:,}",
            f"{one.held:,}" if one.held else "-",
            age(one.oldest, datetime.now(UTC)),
            Text(one_line(one.reason)[:60]),
            Text(one_line(one.last_error)[:80]),
        )
    return table
