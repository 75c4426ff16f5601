"""`mailroom agent listen`: a session, and its letters as they come."""

import asyncio
import json
import signal
from contextlib import suppress

import typer

from mailroom.cli.agent_identity import Me, whoami
from mailroom.cli.client import NotRunning
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import Output, clean, one_line, say
from mailroom.cli.spool_folder import SHORT
from mailroom.client import (
    Letter,
    Mailroom,
    OrchestratorRoutingError,
    RegisteredSession,
    Unreachable,
)
from mailroom.models.agent_mail import Priority

LAST_SECONDS = 5
"""For a letter that was confirmed and is not printed yet."""


def listen(
    said: str | None, output: Output, *, session_id: str | None, channel: str | None
) -> None:
    asyncio.run(_listen(whoami(said), output, session_id, channel))


async def _listen(me: Me, output: Output, session_id: str | None, channel: str | None) -> None:
    told = _told_to_stop()
    async with Mailroom(me.settings.bridge_url, me.token, address=me.named) as mailroom:
        try:
            session = await mailroom.register_session(
                me.address, session_id=session_id, channel=channel
            )
        except Unreachable as error:
            raise NotRunning(str(error), ExitCode.NOT_THERE) from error
        except OrchestratorRoutingError as error:
            raise Failure(str(error)) from error
        _greet(session)
        await _until(told, mailroom, session, output)


def _told_to_stop() -> asyncio.Event:
    told = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, told.set)
    return told


def _greet(session: RegisteredSession) -> None:
    waited = f"; {session.queued:,} letters waited" if session.queued else ""
    say(one_line(f"{session.address} is online as {session.session_id}{waited}. Ctrl-C ends it."))


async def _until(
    told: asyncio.Event, mailroom: Mailroom, session: RegisteredSession, output: Output
) -> None:
    printing = asyncio.create_task(_print(mailroom, session, output))
    waiting = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({printing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await _unregister(mailroom, session)
        await asyncio.wait({printing}, timeout=LAST_SECONDS)
        printing.cancel()
    with suppress(asyncio.CancelledError):
        try:
            await printing
        except OrchestratorRoutingError as error:
            raise Failure(str(error)) from error


async def _unregister(mailroom: Mailroom, session: RegisteredSession) -> None:
    try:
        await mailroom.unregister_session(session)
    except OrchestratorRoutingError as error:
        # Its lease runs out by itself; till then letters are offered to nobody, and wait again.
        say(f"The session could not be ended: {one_line(str(error))}")


async def _print(mailroom: Mailroom, session: RegisteredSession, output: Output) -> None:
    async for event in mailroom.events(session):
        if event.message is None:
            continue
        if output is Output.JSON:
            said = event.message.model_dump(mode="json", by_alias=True, exclude_none=True)
            typer.echo(json.dumps(said, ensure_ascii=False))
        else:
            typer.echo(_shown(event.message))


def _shown(letter: Letter) -> str:
    priority = "" if letter.priority is Priority.NORMAL else f" [{letter.priority}]"
    subject = one_line(letter.subject) or "(no subject)"
    head = (
        f"{local(letter.sent_at)} {letter.id[:SHORT]} {one_line(letter.sender)}{priority} {subject}"
    )
    body = "".join(f"\n  {line}" for line in clean(letter.body or "").strip().splitlines())
    return f"{head}{body}"
