"""`mailroom daemon queue`, `enable` and `disable`: the queues of agent mail."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.adapters.settings import Settings
from mailroom.cli.client import bridge
from mailroom.cli.errors import Failure
from mailroom.cli.mails import SUBJECT_LENGTH, age, local
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, show
from mailroom.cli.spool_folder import SHORT
from mailroom.models.agent_mail import Priority

TITLES = {
    "inbound": "Inbound",
    "outbound": "Outbound, waiting for the next try",
    "dead_letter": "Dead letters",
}
STATE_SECONDS = 5.0


class Item(BaseModel):
    id: str
    sender: str = Field(alias="from")
    to: str
    subject: str
    priority: Priority
    attempts: int
    last_attempt: AwareDatetime | None
    queued_at: AwareDatetime
    retry_at: AwareDatetime | None = None
    error: str | None


class Queue(BaseModel):
    total: int
    items: list[Item]


class Queues(BaseModel):
    """What `/mail/queues` answers."""

    enabled: bool
    inbound: Queue
    outbound: Queue
    dead_letter: Queue


def show_queues(limit: int, output: Output) -> None:
    found = asyncio.run(_fetch(limit))
    if output is Output.JSON:
        print_json(found)
    else:
        show(*_page(Queues.model_validate(found)))


async def _fetch(limit: int) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.get("/mail/queues", limit=limit)
        return found


def switch(output: Output, *, enabled: bool) -> None:
    found = asyncio.run(_switch(enabled=enabled))
    if output is Output.JSON:
        print_json(found)
    else:
        answer(f"Letters {sentence(enabled=found['enabled'])}.")


async def _switch(*, enabled: bool) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.put("/mail/processing", json={"enabled": enabled})
        return found


def sentence(*, enabled: bool) -> str:
    return "are delivered" if enabled else "wait: processing is disabled"


async def processing(settings: Settings) -> bool | None:
    """None where the bridge can't be asked."""
    try:
        async with asyncio.timeout(STATE_SECONDS), bridge(settings) as to:
            return bool((await to.get("/mail/processing"))["enabled"])
    except (Failure, TimeoutError, KeyError, TypeError):
        return None


def _page(queues: Queues) -> Iterator[RenderableType]:
    yield Text(f"Letters {sentence(enabled=queues.enabled)}.")
    for name, title in TITLES.items():
        queue: Queue = getattr(queues, name)
        more = f", the first {len(queue.items):,}" if queue.total > len(queue.items) else ""
        yield Text(f"\n{title}: {queue.total:,}{more}", style="bold")
        if queue.items:
            yield _table(queue, retries=name == "outbound")


def _table(queue: Queue, *, retries: bool) -> Table:
    again = ("Tried again",) if retries else ()
    table = plain_table(
        "ID", "Priority", "From", "To", "Subject", "Tries", "Last try", *again, "Queued", "Error"
    )
    for one in queue.items:
        names = (one.sender, one.to, one.subject[:SUBJECT_LENGTH])
        table.add_row(
            one.id[:SHORT],
            one.priority,
            *(Text(one_line(name)) for name in names),
            str(one.attempts),
            local(one.last_attempt) if one.last_attempt else "-",
            *((local(one.retry_at) if one.retry_at else "-",) if retries else ()),
            age(one.queued_at, datetime.now(UTC)),
            Text(one_line(one.error)),
        )
    return table
