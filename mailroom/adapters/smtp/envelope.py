"""Sender and recipient of an outbound message, as a server may be told them."""

from aiosmtplib import SMTP
from aiosmtplib.email import parse_address

from mailroom.adapters.smtp.exchange import COMMAND_SECONDS
from mailroom.models.attached import size_words
from mailroom.models.outbound.domains import ascii_domain
from mailroom.ports.outbound import Refused


def for_envelope(address: str) -> str:
    """Its domain in ASCII (RFC 6531 §3.2: a server may not know SMTPUTF8). Raises `Refused` for
    what could be read as another address, or as more than one."""
    local, at, domain = address.rpartition("@")
    plain = f"{local}{at}{ascii_domain(domain)}" if at else address
    try:
        safe = bool(at) and parse_address(plain) == plain
    except ValueError:
        safe = False
    if not safe:
        raise Refused(f"5.1.3 {address[:100]!r} is no address that can be sent to.")
    return plain


async def begin(smtp: SMTP, name: str, sender: str, recipient: str, data: bytes) -> None:
    """MAIL FROM. Raises `Refused` where the server announced that it can't have the message."""
    _check_size(smtp, name, len(data))
    unicode = not (sender + recipient).isascii()
    if unicode and not smtp.supports_extension("smtputf8"):
        raise Refused(f"5.6.7 {name} takes no addresses beyond ASCII (SMTPUTF8).")
    options = ["SMTPUTF8"] if unicode else []
    # RFC 6152 §2: who doesn't announce it gets the same bytes, as from every other server.
    if smtp.supports_extension("8bitmime") and not data.isascii():
        options.append("BODY=8BITMIME")
    await smtp.mail(
        sender, options=options, encoding=_encoding(unicode=unicode), timeout=COMMAND_SECONDS
    )


async def address_to(smtp: SMTP, sender: str, recipient: str) -> None:
    """RCPT TO, in the encoding that MAIL FROM announced."""
    unicode = not (sender + recipient).isascii()
    await smtp.rcpt(recipient, encoding=_encoding(unicode=unicode), timeout=COMMAND_SECONDS)


def _encoding(*, unicode: bool) -> str:
    return "utf-8" if unicode else "ascii"


def _check_size(smtp: SMTP, name: str, size: int) -> None:
    """RFC 1870 §6.1: the server said what it takes; "SIZE" and "SIZE 0" name no limit."""
    most = smtp.esmtp_extensions.get("size", "")
    if most.isdecimal() and 0 < int(most[:20]) < size:
        raise Refused(
            f"5.3.4 {name} takes {size_words(int(most))} at most, and the message has "
            f"{size_words(size)}."
        )
