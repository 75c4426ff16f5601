"""One mail over a connection that is open, its DATA phase told apart step by step.

aiosmtplib's `data()` can't say whether the final dot was written. Here the body goes first,
then `before_dot` (which commits the send-once marker), then the dot alone (temporal.md 18).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPServerDisconnected
from aiosmtplib.errors import SMTPResponseException, SMTPTimeoutError
from aiosmtplib.protocol import SMTPProtocol

from mailroom.ports import SendUnknown

COMMAND_SECONDS = 60
# RFC 5321 §4.5.3.2.5: three minutes for each block of a mail. A server that takes so little that
# the whole lasts longer than this is as good as none.
BODY_SECONDS = 600
# RFC 5321 §4.5.3.2.6: the answer to the final dot may take ten minutes.
DOT_SECONDS = 600
START_MAIL_INPUT = 354
OK_CLASS = 2
REFUSAL_CLASSES = (4, 5)
LONGEST_ANSWER = 500


def announced_limit(smtp: SMTP) -> int | None:
    """RFC 1870 §6.1: what the server said that it takes; "SIZE" and "SIZE 0" name no limit."""
    most = smtp.esmtp_extensions.get("size", "")[:20]
    return (int(most) or None) if most.isdecimal() else None


async def send_body(
    smtp: SMTP,
    data: bytes,
    before_dot: Callable[[], Awaitable[None]],
    *,
    name: str,
    dot_seconds: float = DOT_SECONDS,
) -> SMTPResponse:
    """The server's yes to the mail. Raises `SMTPResponseException` for a no, another
    `SMTPException` where it was not sent, `SendUnknown` where nobody knows. `name` is the
    server's, for sentences. The connection is of use afterwards unless it is closed."""
    answer = await smtp.execute_command(b"DATA", timeout=COMMAND_SECONDS)
    if answer.code != START_MAIL_INPUT:
        raise SMTPResponseException(answer.code, answer.message)
    try:
        answer = await _written(smtp, data, before_dot, name, dot_seconds)
    except BaseException:
        # In the middle of a mail no command is understood, and who does not read would keep a
        # connection that is to be closed when it is empty.
        if smtp.transport:
            cast(asyncio.WriteTransport, smtp.transport).abort()
        smtp.close()
        raise
    if answer.code // 100 != OK_CLASS:
        raise SMTPResponseException(answer.code, answer.message)
    return answer


async def _written(
    smtp: SMTP,
    data: bytes,
    before_dot: Callable[[], Awaitable[None]],
    name: str,
    dot_seconds: float,
) -> SMTPResponse:
    protocol = smtp.protocol
    if protocol is None:
        raise SMTPServerDisconnected("hung up after DATA")
    verdict = asyncio.create_task(protocol.read_response(timeout=BODY_SECONDS + dot_seconds))
    try:
        protocol.write(dot_stuffed(data))
        await _until_gone(protocol, verdict)
        await before_dot()
        if verdict.done():
            raise _early(verdict)
        return await _dot(protocol, verdict, name, dot_seconds)
    finally:
        verdict.cancel()


async def _until_gone(protocol: SMTPProtocol, verdict: "asyncio.Task[SMTPResponse]") -> None:
    """Until the system has all of the body: a dot behind what still waits here is unknown long
    before it leaves. A server that speaks or hangs up meanwhile is not waited for."""
    transport = cast(asyncio.WriteTransport | None, protocol.transport)
    if transport is None or not transport.get_write_buffer_size():
        return
    # Above one byte writing is paused, and goes on when none is left.
    transport.set_write_buffer_limits(high=1, low=0)
    gone = asyncio.create_task(protocol._drain_helper())
    await asyncio.wait({gone, verdict}, timeout=BODY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if gone.cancel() and not verdict.done():
        raise SMTPTimeoutError("takes the mail too slowly")
    if gone.done() and gone.exception():
        raise SMTPServerDisconnected("hung up before the end of the mail")


async def _dot(
    protocol: SMTPProtocol,
    verdict: "asyncio.Task[SMTPResponse]",
    name: str,
    dot_seconds: float,
) -> SMTPResponse:
    try:
        protocol.write(b".\r\n")
    except (SMTPException, OSError) as error:
        raise SMTPServerDisconnected("hung up before the end of the mail") from error
    try:
        async with asyncio.timeout(dot_seconds):
            answer = await verdict
    except (SMTPException, OSError, TimeoutError) as error:
        raise SendUnknown(f"{name} hung up before it confirmed the mail.") from error
    if answer.code // 100 not in (OK_CLASS, *REFUSAL_CLASSES):
        raise SendUnknown(f"{name} gave an answer to the mail that means nothing.")
    return answer


def _early(verdict: "asyncio.Task[SMTPResponse]") -> SMTPException:
    """The server spoke or hung up before the dot: nothing was sent, whatever it says."""
    error = verdict.exception()
    if error is None:
        answer = verdict.result()
        return SMTPResponseException(answer.code, answer.message)
    gone = SMTPServerDisconnected("hung up before the end of the mail")
    gone.__cause__ = error
    return gone


def readable(message: str) -> str:
    """aiosmtplib has surrogates for bytes that are no UTF-8: neither they nor NUL can be stored."""
    text = message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\0", "")[:LONGEST_ANSWER]


def dot_stuffed(data: bytes) -> bytes:
    """The mail as DATA wants it, up to but without the final dot (RFC 5321 §4.5.2)."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)
