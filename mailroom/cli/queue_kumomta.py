"""KumoMTA's queues and messages, as the bridge shows them."""

import asyncio
from typing import Any
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.mails import local
from mailroom.cli.output import Output, one_line, plain_table, print_json, say, show
from mailroom.models.outbound.relay import (
    KumoMTAMessageDetails,
    KumoMTAQueueResponse,
    RelayQueueState,
)

QUEUES, MESSAGES = "/queue/kumomta/queues", "/queue/kumomta/messages"


def show_queues(name: str | None, limit: int, output: Output) -> None:
    named = {"name": name} if name else {}
    found = asyncio.run(_get(QUEUES, limit=limit, **named))
    if output is Output.JSON:
        print_json(found)
        return
    queues = KumoMTAQueueResponse.model_validate(found)
    if queues.queues:
        show(_queues(queues))
    else:
        say("KumoMTA has no queue with messages.")


def show_message(id: str, output: Output) -> None:
    found = asyncio.run(_get(f"{MESSAGES}/{quote(id, safe='')}"))
    if output is Output.JSON:
        print_json(found)
    else:
        show(_message(KumoMTAMessageDetails.model_validate(found)))


async def _get(path: str, **params: Any) -> Any:
    async with bridge() as to:
        return await to.get(path, **params)


def _queues(found: KumoMTAQueueResponse) -> Table:
    table = plain_table("Queue", "Messages", "State")
    for one in found.queues:
        style = "yellow" if one.state is RelayQueueState.SUSPENDED else ""
        table.add_row(
            Text(one_line(one.name)), f"{one.message_count:,}", Text(one.state, style=style)
        )
    return table


def _message(one: KumoMTAMessageDetails) -> Table:
    said = one.last_response
    table = plain_table("", "")
    table.show_header = False
    for name, value in (
        ("ID", one.id),
        ("Ours", one.message_id or "-"),
        ("Queue", one.queue),
        ("From", one.sender),
        ("To", one.recipient),
        ("Size", f"{one.size:,} bytes"),
        ("Attempts", f"{one.attempts}"),
        ("Next attempt", local(one.next_attempt)),
        ("Last answer", f"{said.code} {said.message}" if said else "-"),
    ):
        table.add_row(name, Text(one_line(value)))
    return table
