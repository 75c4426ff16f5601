"""Sender and recipient of an outbound message, as a server may be told them."""

import re

from aiosmtplib import SMTP, SMTPResponse
from aiosmtplib.errors import SMTPResponseException

from mailroom.adapters.smtp.exchange import COMMAND_SECONDS, announced_limit
from mailroom.models.attached import size_words
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.hosts import is_domain, literal
from mailroom.ports.outbound import Refused

# RFC 5321 §4.1.2, and what RFC 6531 §3.3 adds: atoms or a quoted string, of which nothing can be
# read as the end of the address.
_LOCAL_PART = re.compile(
    r"""[^\s\x00-\x1f\x7f"(),:;<>@\[\]\\]+|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*\""""
)
DONE, FORWARDED = 250, 251


def for_envelope(address: str) -> str:
    """Its domain in ASCII (RFC 6531 §3.2: a server may not know SMTPUTF8). Raises `Refused` for
    what is no address."""
    local, _, given = address.rpartition("@")
    domain = ascii_domain(given)
    if not _LOCAL_PART.fullmatch(local) or not (is_domain(domain) or literal(domain)):
        raise Refused(f"5.1.3 {address[:100]!r} is no address that can be sent to.")
    return f"{local}@{domain}"


async def begin(smtp: SMTP, name: str, sender: str, recipient: str, data: bytes) -> None:
    """MAIL FROM. Raises `Refused` where the server announced that it can't have the message."""
    _check_size(smtp, name, len(data))
    unicode = not (sender + recipient).isascii()
    if unicode and not smtp.supports_extension("smtputf8"):
        raise Refused(f"5.6.7 {name} takes no addresses beyond ASCII (SMTPUTF8).")
    options = [b"SMTPUTF8"] if unicode else []
    # RFC 6152 §2: who doesn't announce it gets the same bytes, as from every other server.
    if smtp.supports_extension("8bitmime") and not data.isascii():
        options.append(b"BODY=8BITMIME")
    said = f"FROM:<{sender}>".encode()
    _expect(await smtp.execute_command(b"MAIL", said, *options, timeout=COMMAND_SECONDS), DONE)


async def address_to(smtp: SMTP, recipient: str) -> None:
    said = f"TO:<{recipient}>".encode()
    answer = await smtp.execute_command(b"RCPT", said, timeout=COMMAND_SECONDS)
    _expect(answer, DONE, FORWARDED)


def _expect(answer: SMTPResponse, *codes: int) -> None:
    if answer.code not in codes:
        raise SMTPResponseException(answer.code, answer.message)


def _check_size(smtp: SMTP, name: str, size: int) -> None:
    most = announced_limit(smtp)
    if most and most < size:
        raise Refused(
            f"5.3.4 {name} takes {size_words(most)} at most, and the message has "
            f"{size_words(size)}."
        )
