"""A letter is sent, planned or routed; while the bridge isn't running, the spool keeps it."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import typer
from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.text import Text

from mailroom.cli.agent_identity import Me, asked_as, whoami
from mailroom.cli.client import ANSWER_SECONDS, Bridge, NotRunning
from mailroom.cli.errors import ExitCode
from mailroom.cli.keeping import keep_entry_of
from mailroom.cli.letter_pages import segment
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, say, show
from mailroom.cli.spool_folder import SHORT
from mailroom.client import Mailroom, Message, RouteMessageResult, Sent
from mailroom.models.agent_mail import Delivery, LetterState, Priority
from mailroom.models.durations import FORM, Duration
from mailroom.models.spool import Entry, Queue, SpooledLetter

WAIT_SECONDS = 60
LENGTH_OF_ID = 32
STDIN = "-"
GO_ON = "It goes on by itself when Mailroom runs."
LOST = (LetterState.DEAD_LETTER, LetterState.EXPIRED, LetterState.DISCARDED)

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


class Draft(BaseModel):
    """A letter that was typed."""

    to: str
    message: Message


class Planned(BaseModel):
    to: str
    priority: Priority
    delivery: Delivery
    not_before: str | None = None


def draft_of(
    *,
    to: str,
    body: Sequence[str],
    subject: str = "",
    priority: Priority = Priority.NORMAL,
    delivery: Delivery = Delivery.AUTO,
    ttl: str | None = None,
    reply_to: str | None = None,
    pinned: bool = False,
) -> Draft:
    message = Message(
        body=_said(body),
        subject=subject,
        priority=priority,
        delivery=delivery,
        ttl=_length(ttl) if ttl else None,
        reply_to=reply_to,
        pinned=pinned,
    )
    return Draft(to=to, message=message)


def _said(body: Sequence[str]) -> str:
    if list(body) == [STDIN]:
        return sys.stdin.buffer.read().decode(errors="replace")
    # An argument that is no UTF-8 has surrogates in it, which JSON can't hold.
    return " ".join(body).encode(errors="replace").decode()


def _length(ttl: str) -> timedelta:
    try:
        return _DURATION.validate_python(ttl)
    except ValidationError as error:
        raise typer.BadParameter(f"{ttl!r} is no length of time: say {FORM}.") from error


def send(draft: Draft, said: str | None, output: Output, *, wait: bool) -> None:
    me = whoami(said)
    try:
        sent = asyncio.run(_send(draft, me, wait=WAIT_SECONDS if wait else 0))
    except NotRunning as away:
        _keep(draft, me, away, output)
        return
    if output is Output.JSON:
        print_json(sent)
    else:
        _show(Sent.model_validate(sent))
    if any(one.status in LOST for one in Sent.model_validate(sent).letters):
        raise typer.Exit(ExitCode.FAILED)


async def _send(draft: Draft, me: Me, **params: Any) -> dict[str, Any]:
    async with asked_as(me) as to:
        message = await _with_whole_ids(to, draft.message)
        found: dict[str, Any] = await to.post(
            "/mail",
            json=message.wire(draft.to, me.named),
            params=params,
            headers={"Idempotency-Key": message.key(draft.to)},
            timeout=httpx.Timeout(ANSWER_SECONDS, read=ANSWER_SECONDS + WAIT_SECONDS),
        )
        return found


async def _with_whole_ids(to: Bridge, message: Message) -> Message:
    """A reply's letter may have been named by the beginning of its ID."""
    if message.reply_to is None or _is_whole(message.reply_to):
        return message
    found = await to.get(f"/mail/{segment(message.reply_to)}")
    return message.model_copy(update={"reply_to": found["id"]})


def _is_whole(letter: str) -> bool:
    return len(letter) == LENGTH_OF_ID


def _keep(draft: Draft, me: Me, away: NotRunning, output: Output) -> None:
    keep = keep_entry_of(me.settings)
    if keep is None:
        raise away
    if draft.message.reply_to and not _is_whole(draft.message.reply_to):
        raise NotRunning(
            f"{str(away).rstrip('.')}; a reply that is to be kept till then needs the whole ID.",
            away.code,
        )
    letter_id = uuid4().hex
    message = {**draft.message.wire(draft.to, me.address), "id": letter_id}
    priority = draft.message.priority.temporal
    spooled = SpooledLetter(message=message)
    keep(Entry(queue=Queue.INBOUND, priority=priority, message=spooled))
    if output is Output.JSON:
        print_json({"id": letter_id, "status": "queued", "letters": [], "spooled": True})
    else:
        answer(f"{letter_id[:SHORT]} is kept in the spool: Mailroom isn't running.")
    say(GO_ON)


def _show(sent: Sent) -> None:
    for sentence in sent.applied:
        say(one_line(sentence))
    if sent.spooled:
        say(f"Temporal or PostgreSQL is away; the letter is kept. {GO_ON}")
    if len(sent.letters) <= 1:
        only = sent.letters[0] if sent.letters else None
        error = f": {only.error}" if only and only.error else "."
        where = f" to the session {sent.session_id}" if sent.session_id else ""
        words = sent.status.replace("_", " ")
        answer(one_line(f"{sent.id[:SHORT]} is {words}{where}{error}"))
        return
    table = plain_table("ID", "To", "State", "Error")
    for one in sent.letters:
        words = one.status.replace("_", " ")
        table.add_row(one.id[:SHORT], Text(one_line(one.to)), words, Text(one_line(one.error)))
    show(table)


def plan(draft: Draft, said: str | None, output: Output) -> None:
    """What would become of it; also of the routing rules."""
    found = asyncio.run(_send(draft, whoami(said), dry_run=True))
    if output is Output.JSON:
        print_json(found)
        return
    for sentence in found["applied"]:
        say(one_line(sentence))
    table = plain_table("To", "Priority", "Delivery", "Not before")
    for one in map(Planned.model_validate, found["letters"]):
        when = one_line(one.not_before)
        table.add_row(Text(one_line(one.to)), one.priority, one.delivery, when)
    show(table)


def route(draft: Draft, said: str | None, output: Output) -> None:
    me = whoami(said)
    result = asyncio.run(_route(draft, me))
    if output is Output.JSON:
        print_json(result.model_dump(mode="json"))
    else:
        where = f" by the session {result.session_id}" if result.session_id else ""
        why = f": {result.error}" if result.error else "."
        answer(one_line(f"{result.status}{where}{why}"))
    if not result.success:
        raise typer.Exit(ExitCode.FAILED)


async def _route(draft: Draft, me: Me) -> RouteMessageResult:
    async with Mailroom(me.settings.bridge_url, me.token, address=me.named) as mailroom:
        return await mailroom.route_message(draft.message, draft.to)
