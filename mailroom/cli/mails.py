"""Mails as a list, and one mail as a page."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge, path_of, resolved
from mailroom.cli.output import Output, clean, one_line, plain_table, print_json, say, show
from mailroom.models.retention import removed_sentence
from mailroom.models.states import MailState, is_final

SUBJECT_LENGTH = 80
COLORS = {
    MailState.AWAITING_USER: "yellow",
    MailState.FAILED: "red",
    MailState.REPLY_SENT: "green",
}


class Mail(BaseModel):
    """The fields of an item of `/workflow` that are shown."""

    message_id: str
    email_subject: str | None
    email_from: str | None
    email_body_preview: str | None
    current_state: MailState
    reason: str | None
    code: str | None
    revision: int | None
    draft_note: str | None
    ai_reply_text: str | None
    error_message: str | None
    received_at: datetime
    timeout_at: datetime | None
    processed_at: datetime | None = None
    bodies_removed_at: datetime | None = None

    @property
    def id(self) -> str:
        """What to call it: the draft's code as long as that decides something."""
        if self.code and self.current_state in (MailState.AWAITING_USER, MailState.FAILED):
            return self.code
        return one_line(self.message_id).removeprefix("<").removesuffix(">")

    @property
    def state(self) -> Text:
        words = self.current_state.replace("_", " ")
        return Text(words, style=COLORS.get(self.current_state, ""))


class Entry(BaseModel):
    """One line of the timeline."""

    type: str
    at: datetime
    detail: dict[str, Any]


def list_mails(states: Sequence[MailState], limit: int | None, output: Output) -> None:
    mails = asyncio.run(_fetch_list(states, limit))
    if output is Output.JSON:
        print_json(mails)
    elif mails:
        show(mail_table([Mail.model_validate(mail) for mail in mails]))
    else:
        say("No mail." if not states else "No mail in this state.")


def show_mail(named: str, output: Output) -> None:
    mail = asyncio.run(_fetch_one(named))
    if output is Output.JSON:
        print_json(mail)
    else:
        entries = [Entry.model_validate(entry) for entry in mail["timeline"]]
        show(*page(Mail.model_validate(mail), entries))


async def _fetch_list(states: Sequence[MailState], limit: int | None) -> list[dict[str, Any]]:
    mails: list[dict[str, Any]] = []
    wanted = {"state": [str(state) for state in states]} if states else {}
    async with bridge() as to:
        async for mail in to.pages("/workflow", **wanted):
            mails.append(mail)
            if len(mails) == limit:
                break
    return mails


async def _fetch_one(named: str) -> dict[str, Any]:
    async with bridge() as to:
        message_id, _ = await resolved(to, named)
        mail: dict[str, Any] = await to.get(f"/workflow/{path_of(message_id)}")
        return mail


def mail_table(mails: Sequence[Mail]) -> Table:
    table = plain_table("ID", "State", "From", "Subject", "Received")
    table.columns[0].overflow = "fold"  # it is to be copied
    table.columns[-1].no_wrap = True
    for mail in mails:
        subject = one_line(mail.email_subject)
        table.add_row(
            Text(mail.id),
            mail.state,
            Text(one_line(mail.email_from)),
            Text(subject[:SUBJECT_LENGTH]),
            Text(age(mail.received_at, datetime.now(UTC))),
        )
    return table


def age(then: datetime, now: datetime) -> str:
    minutes = max(int((now - then).total_seconds()) // 60, 0)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // 1440} days"


def page(mail: Mail, entries: Sequence[Entry]) -> Iterator[RenderableType]:
    yield _head(mail)
    yield from section("Mail", prose(mail.email_body_preview or _no_text(mail)))
    if mail.ai_reply_text:
        note = f" ({one_line(mail.draft_note)})" if mail.draft_note else ""
        yield from section(f"Draft {mail.revision}{note}", prose(mail.ai_reply_text))
    yield from section("What happened", timeline(entries))


def _no_text(mail: Mail) -> str:
    removed = mail.bodies_removed_at
    return removed_sentence(mail.processed_at, removed) if removed else "(no text)"


def section(title: str, content: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield Padding(content, (0, 2))


def _head(mail: Mail) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("From", Text(one_line(mail.email_from)))
    table.add_row("Subject", Text(one_line(mail.email_subject)))
    table.add_row("Received", Text(local(mail.received_at)))
    table.add_row("Message-ID", Text(one_line(mail.message_id)))
    table.add_row("State", mail.state)
    if mail.reason:
        table.add_row("Reason", Text(one_line(mail.reason)))
    if mail.error_message:
        table.add_row("Error", Text(one_line(mail.error_message), style="red"))
    if mail.code and not is_final(mail.current_state):
        table.add_row("Draft", Text(f"code {mail.code}, revision {mail.revision}"))
    if mail.timeout_at and mail.current_state is MailState.AWAITING_USER:
        table.add_row("Waits until", Text(local(mail.timeout_at)))
    return table


def timeline(entries: Sequence[Entry]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for entry in entries:
        detail = "  ".join(
            f"{name.replace('_', ' ')}: {one_line(str(value))}"
            for name, value in entry.detail.items()
            if value is not None
        )
        table.add_row(
            Text(local(entry.at, "%Y-%m-%d %H:%M:%S")),
            Text(one_line(entry.type).replace("_", " ")),
            Text(detail, style="dim"),
        )
    return table


def prose(text: str) -> Text:
    return Text(clean(text).strip())


def local(at: datetime, form: str = "%Y-%m-%d %H:%M") -> str:
    return at.astimezone().strftime(form)
