"""Queues and domains, as the bridge shows them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.errors import Failure
from mailroom.cli.mails import local
from mailroom.cli.output import (
    Output,
    answer,
    narrowed,
    one_line,
    plain_table,
    print_json,
    say,
    show,
)
from mailroom.models.durations import FORM, Duration
from mailroom.models.outbound.queues import DomainHealth, QueueView
from mailroom.models.outbound.words import QueueState

QUEUES, DOMAINS = "/queue/queues", "/queue/domains"


def show_queues(limit: int, output: Output) -> None:
    found = asyncio.run(first(QUEUES, limit))
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(_queues([QueueView.model_validate(one) for one in found]))
    else:
        say("There is no queue: no message has been submitted.")


def show_domains(limit: int, output: Output) -> None:
    found = asyncio.run(first(DOMAINS, limit))
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(_domains([DomainHealth.model_validate(one) for one in found]))
    else:
        say("Nothing is known of any domain: no message was tried.")


def set_state(
    name: str, state: QueueState, reason: str, until: datetime | None, output: Output
) -> None:
    wanted = {"state": state.value, "reason": reason}
    if until:
        wanted["until"] = until.isoformat()
    found = asyncio.run(_put(name, wanted))
    if output is Output.JSON:
        print_json(found)
    else:
        answer(_sentence(QueueView.model_validate(found)))


def end_of(until: str | None, length: str | None) -> datetime | None:
    """What `--until` or `--for` say."""
    if until and length:
        raise Failure("Give --until or --for, not both.")
    if length:
        return datetime.now(UTC) + _length(length)
    return _moment(until) if until else None


def _length(text: str) -> timedelta:
    try:
        length: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise Failure(f"--for {text!r} is no length of time: {FORM}.") from error
    return length


def _moment(text: str) -> datetime:
    try:
        moment: datetime = TypeAdapter(AwareDatetime).validate_python(text)
    except ValidationError as error:
        raise Failure(
            f"--until {text!r} is no moment with its zone, such as 2026-03-02T18:00:00+01:00."
        ) from error
    return moment


def _sentence(queue: QueueView) -> str:
    until = f" until {local(queue.until)}" if queue.until else ""
    waiting = sum(queue.depth.values())
    return f"{queue.queue_name} is {queue.state}{until}; {waiting:,} messages wait."


async def first(path: str, limit: int) -> list[dict[str, Any]]:
    """The first so many of a list that comes in pages."""
    found: list[dict[str, Any]] = []
    async with bridge() as to:
        async for item in to.pages(path):
            found.append(item)
            if len(found) == limit:
                break
    return found


async def _put(name: str, wanted: dict[str, str]) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.put(f"{QUEUES}/{quote(name, safe='')}", json=wanted)
        return found


def _queues(queues: list[QueueView]) -> Table:
    table = plain_table("Queue", "State", "Until", "Set by", "Waiting", "Reason")
    for one in queues:
        state = f"{one.state} ({one.circuit.replace('_', ' ')})" if one.circuit else one.state
        depth = ", ".join(f"{number:,} {status}" for status, number in one.depth.items())
        table.add_row(
            Text(one_line(one.queue_name)),
            state,
            local(one.until) if one.until else "-",
            one.set_by or "-",
            depth or "-",
            Text(one_line(one.reason)),
        )
    return table


def _domains(domains: list[DomainHealth]) -> Table:
    table = plain_table(
        "Domain", "Score", "Results", "Bounced", "Blocked", "Deferred", "Takes", "Last", "Circuit"
    )
    for one in domains:
        last = one.last_successful_delivery
        rates = (one.bounce_rate, one.block_rate, one.deferral_rate)
        table.add_row(
            Text(one_line(one.domain)),
            f"{one.score:.0f}",
            f"{one.results:,.0f}",
            *(f"{rate:.0f} %" for rate in rates),
            f"{one.average_delivery_time:,.0f} s" if last else "-",
            local(last) if last else "-",
            one.circuit.replace("_", " ") if one.circuit else "-",
        )
    table.columns[0].no_wrap = True
    return narrowed(table, "Domain", "Score", "Results", "Circuit")
