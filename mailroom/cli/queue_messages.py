"""Messages as a list, and one message as a page."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import PAGE, bridge
from mailroom.cli.mails import SUBJECT_LENGTH, age, local
from mailroom.cli.output import (
    Output,
    narrowed,
    one_line,
    plain_table,
    print_json,
    say,
    show,
)
from mailroom.cli.queue_submit import MESSAGES
from mailroom.models.outbound.item import MessageQueueItem, SmtpResponse
from mailroom.models.outbound.listing import MessageEvent, MessagePage, MessageWithTimeline
from mailroom.models.outbound.suspensions import Suspension
from mailroom.models.outbound.timeline_words import answer_of, told
from mailroom.models.outbound.words import MessageQueueStatus as S
from mailroom.models.outbound.words import QueueState

STYLES = {
    S.DELIVERED: "green",
    S.BOUNCED: "red",
    S.EXPIRED: "red",
    S.DEFERRED: "yellow",
    S.SUSPENDED: "yellow",
    S.IN_DELIVERY: "cyan",
}


def show_list(wanted: dict[str, Any], limit: int, cursor: str | None, output: Output) -> None:
    found = asyncio.run(_page(wanted, limit, cursor))
    if output is Output.JSON:
        print_json(found)
        return
    page = MessagePage.model_validate(found)
    if not page.items:
        say("There is no such message.")
        return
    show(table(page.items))
    if page.next_cursor:
        say(f"{of_all(page)}. There are more: --cursor {page.next_cursor}")


def of_all(page: MessagePage) -> str:
    about = "" if page.total_is_exact else "about "
    return f"{len(page.items):,} of {about}{page.total:,}"


def show_one(id: UUID, output: Output) -> None:
    found = asyncio.run(_one(id))
    if output is Output.JSON:
        print_json(found)
    else:
        whole = MessageWithTimeline.model_validate(found)
        show(_facts(whole), Text(), _timeline(whole.timeline))


async def _page(wanted: dict[str, Any], limit: int, cursor: str | None) -> dict[str, Any]:
    """As much as was asked for, page after page."""
    items: list[dict[str, Any]] = []
    async with bridge() as to:
        while True:
            more = {"cursor": cursor} if cursor else {}
            size = min(limit - len(items), PAGE)
            page = await to.get(MESSAGES, limit=size, **wanted, **more)
            items += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None or len(items) >= limit:
                return {**page, "items": items, "next_cursor": cursor}


async def _one(id: UUID) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.get(f"{MESSAGES}/{id}")
        return found


def status_text(status: S) -> Text:
    return Text(status.replace("_", " "), style=STYLES.get(status, ""))


def table(items: Sequence[MessageQueueItem]) -> Table:
    table = plain_table("ID", "Status", "To", "Subject", "Tries", "Age", "Next", "Last answer")
    for column in table.columns:
        column.no_wrap = column.header in ("ID", "Status", "Tries", "Age", "Next")
    for one in items:
        table.add_row(
            str(one.id),
            status_text(one.status),
            Text(one_line(one.recipient)),
            Text(one_line((one.headers or {}).get("Subject"))[:SUBJECT_LENGTH]),
            str(one.num_attempts),
            age(one.created_at, datetime.now(UTC)),
            local(one.next_attempt_at) if one.next_attempt_at else "-",
            Text(one_line(one.last_bounce_reason) or _said(one.smtp_response)),
        )
    return narrowed(table, "ID", "Status", "To", "Tries")


def _said(response: SmtpResponse | None) -> str:
    return one_line(answer_of(response)) if response else ""


def _facts(whole: MessageWithTimeline) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in [*_lines(whole.item), *(("Held", _hold(one)) for one in whole.suspensions)]:
        table.add_row(name, value)
    return table


def _lines(item: MessageQueueItem) -> list[tuple[str, RenderableType]]:
    headers = item.headers or {}
    known: dict[str, str | None] = {
        "ID": str(item.id),
        "From": headers.get("From"),
        "To": headers.get("To"),
        "Subject": headers.get("Subject"),
        "Message-ID": item.message_id,
        "Sender": item.sender,
        "Recipient": item.recipient,
        "Queue": _queue(item),
        "Campaign": item.campaign_id,
        "Tenant": item.tenant_id,
        "Tags": ", ".join(item.tags or []),
        "Priority": str(item.priority),
        "Size": f"{item.size_bytes:,} bytes",
        "Created": local(item.created_at),
        "Scheduled": _time(item.scheduled_at),
        "Attempts": f"{item.num_attempts} of {item.max_attempts}",
        "Next attempt": _time(item.next_attempt_at),
        "Delivered": _time(item.delivered_at),
        "Expires": _time(item.expires_at),
        "Reason": item.last_bounce_reason,
        "Class": item.bounce_classification,
        "Server said": _said(item.smtp_response),
    }
    lines: list[tuple[str, RenderableType]] = [("Status", status_text(item.status))]
    return [*lines, *((name, Text(one_line(value))) for name, value in known.items() if value)]


def _hold(it: Suspension) -> Text:
    until = f" until {local(it.until)}" if it.until else ""
    return Text(one_line(f"with its {it.scope}{until}: {it.reason}"))


def _queue(item: MessageQueueItem) -> str:
    state = "" if item.queue_state is QueueState.ACTIVE else f" ({item.queue_state})"
    return f"{item.queue_name}{state}"


def _time(at: datetime | None) -> str | None:
    return local(at) if at else None


def _timeline(events: Sequence[MessageEvent]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for event in events:
        line = told(event)
        words = Text(line.text)
        if line.detail:
            words.append(f"\n{one_line(line.detail)}", style="dim")
        if line.next_attempt_at:
            words.append(f"\nNext attempt {local(line.next_attempt_at)}.", style="dim")
        table.add_row(local(event.at, "%Y-%m-%d %H:%M:%S"), words)
    return table
