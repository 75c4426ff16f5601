"""SMTP in: any mail client or server hands mail over here (aiosmtpd).

250 is said only when the mail is durable: its blob and workflow, or its entry in the spool. 452
where the disk is full, 451 for what else goes wrong: the sender keeps the mail.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.files import SpoolFull
from mailroom.bridge.reception import Kept, Reception
from mailroom.models.arrival import Arrival

log = structlog.get_logger()

ACCEPT_SECONDS = 60
RECIPIENT_LIMIT = 100


class PortTaken(Exception):
    """A port can't be listened on; the message says which and what to do."""


class InboundHandler:
    """Hooks of one SMTP session; stateless between mails."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENT_LIMIT:
            return "452 4.5.3 Too many recipients"
        if not self._reception.knows(address):
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content or b""
        arrival = Arrival(raw, _sender(envelope), tuple(envelope.rcpt_tos))
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                taken = await self._reception.mail(arrival)
        except SpoolFull:
            return "452 4.3.1 Mailroom's disk is full; try again later"
        except Exception as error:  # noqa: BLE001  whatever it was, the sender keeps the mail
            log.warning("a mail was deferred", error=f"{type(error).__name__}: {error}")
            return "451 4.3.0 Mailroom can't store mail right now; try again later"
        if isinstance(taken, Kept):
            return f"250 2.0.0 Accepted, kept as {taken.id}"
        return f"250 2.0.0 Accepted as {taken.workflow_id}"


@asynccontextmanager
async def receiving(reception: Reception, settings: Settings) -> AsyncIterator[asyncio.Server]:
    """An SMTP server while the block runs."""
    server = await listen(
        reception,
        settings.mailroom_smtp_host,
        settings.mailroom_smtp_port,
        settings.mailroom_max_message_bytes,
    )
    try:
        yield server
    finally:
        # Clients that keep a connection open are not waited for: what they were not told was
        # accepted they keep.
        server.close()


def _sender(envelope: Envelope) -> str:
    """The envelope sender; "" for the null path, which aiosmtpd calls "<>"."""
    sender = str(envelope.mail_from or "")
    return "" if sender == "<>" else sender


class _Smtp(SMTP):
    # RFC 5321 §4.5.3.1.6: 1,000 bytes, and more where possible. Programs write longer lines, and
    # their mail would be lost if it was refused.
    line_length_limit = 1024 * 1024


async def listen(reception: Reception, host: str, port: int, max_bytes: int) -> asyncio.Server:
    """An SMTP server; `port` 0 takes a free one."""
    loop = asyncio.get_running_loop()
    factory = partial(
        _Smtp,
        InboundHandler(reception),
        data_size_limit=max_bytes,
        enable_SMTPUTF8=True,
        ident="Mailroom",
        loop=loop,
    )
    try:
        return await loop.create_server(factory, host, port)
    except OSError as error:
        raise PortTaken(
            f"SMTP can't listen on {host}:{port} ({error.strerror}); "
            "free the port or set MAILROOM_SMTP_PORT."
        ) from error


def port_of(server: asyncio.Server) -> int:
    address = server.sockets[0].getsockname()
    assert server.sockets[0].family in (socket.AF_INET, socket.AF_INET6)
    return int(address[1])
