"""Which mail is not to be answered, and the reason that its owner is shown.

RFC 3834 §2 and §5, RFC 5230 §4.5 and §4.6.
"""

import re
from collections.abc import Collection, Sequence

import idna

from mailroom.models.decoding import guarded
from mailroom.models.mail import IncomingMail
from mailroom.models.reply import NoRecipient, UnsafeHeader, answer_addresses

MAX_RECEIVED = 50

_COMMENT = re.compile(r"\([^()]*\)")
_BULK = {"bulk", "junk", "list"}
# RFC 5230 §4.6, and what senders that want no answer call themselves.
_MACHINE = re.compile(
    r"mailer[._-]?daemon|postmaster|listserv|majordomo|owner-.*|.*-request"
    r"|(.*[._-])?bounces?|bounces?[._=-].*[\d=].*"
    r"|(.*[._-])?(no|do[._-]?not|dont|never)[._-]?repl(y|ies)([._-].*|\d*)"
    r"|(.*[._-])?auto[._-]?(reply|responder)"
)


def not_answerable(
    mail: IncomingMail,
    envelope_sender: str | None,
    envelope_recipients: Sequence[str],
    own_addresses: Collection[str],
) -> str | None:
    """Why `mail` is not to be answered, as a sentence for its owner; None where it may be.

    `envelope_sender` "" is the null path, None is unknown (the mail was imported). Without
    `own_addresses` the envelope recipients are the owner's.
    """
    own = _mailboxes(own_addresses or envelope_recipients)
    return (
        _automatic(mail, envelope_sender)
        or _to_many(mail)
        or _without_a_person(mail, envelope_sender)
        or _from_the_owner(mail, own)
        or _not_to_the_owner(mail, envelope_recipients, own)
    )


def is_automatic(mail: IncomingMail) -> bool:
    """RFC 3834 §5."""
    return any(_keyword(value) not in ("", "no") for value in _values(mail.auto_submitted))


def _automatic(mail: IncomingMail, envelope_sender: str | None) -> str | None:
    if mail.is_delivery_report:
        return "It is a report about the delivery of another mail."
    if is_automatic(mail):
        return f"It was sent automatically (Auto-Submitted: {mail.auto_submitted})."
    if "" in (envelope_sender, mail.return_path):
        return "It was sent automatically: it has the null return path <>."
    if mail.received_count > MAX_RECEIVED:
        return f"It passed through {mail.received_count} servers, as a mail in a loop does."
    return None


def _to_many(mail: IncomingMail) -> str | None:
    if mail.list_headers:
        return f"It came through a mailing list ({mail.list_headers[0].title()})."
    if any(_keyword(value) in _BULK for value in _values(mail.precedence)):
        return f"It was sent in bulk (Precedence: {mail.precedence})."
    return None


def _without_a_person(mail: IncomingMail, envelope_sender: str | None) -> str | None:
    try:
        answered = answer_addresses(mail.sender, mail.reply_to)
    except (NoRecipient, UnsafeHeader) as error:
        return str(error)
    sender = mail.sender.address if mail.sender else ""
    for address in (sender, envelope_sender or mail.return_path or ""):
        if _is_machine(address):
            return f"It comes from {address}, which nobody reads."
    if all(map(_is_machine, answered)):
        return f"An answer would go to {answered[0]}, which nobody reads."
    return None


def _from_the_owner(mail: IncomingMail, own: frozenset[str]) -> str | None:
    if mail.sender and _is_one_of(mail.sender.address, own):
        return f"It comes from the owner's own address {mail.sender.address}."
    if mail.reply_to and all(_is_one_of(one.address, own) for one in mail.reply_to):
        return f"An answer would go to the owner's own address {mail.reply_to[0].address}."
    return None


def _not_to_the_owner(
    mail: IncomingMail, envelope_recipients: Sequence[str], own: frozenset[str]
) -> str | None:
    named = [one.address for one in (*mail.to, *mail.cc, *mail.bcc)] or envelope_recipients
    if any(_is_one_of(address, own) for address in named):
        return None
    return "None of the owner's addresses is in To, Cc or Bcc."


def is_one_of(address: str, mailboxes: Collection[str]) -> bool:
    """Any case, with or without a sub-address (RFC 5233 §1)."""
    return _is_one_of(address, _mailboxes(mailboxes))


def mailbox_forms(address: str) -> tuple[str, str]:
    """The address as it is compared, and without its sub-address."""
    return _forms(address)


def _values(header: str | None) -> list[str]:
    """The values of all headers of a name; only comments have commas of their own."""
    values = header or ""
    while (without := _COMMENT.sub(" ", values)) != values:
        values = without
    return values.split(",")


def _keyword(value: str) -> str:
    """RFC 3834 §5: a keyword, which parameters may follow."""
    return value.partition(";")[0].strip().lower()


def _is_machine(address: str) -> bool:
    local = address.rpartition("@")[0].partition("+")[0].strip('<"').lower()
    return _MACHINE.fullmatch(local[:320]) is not None


def _is_one_of(address: str, mailboxes: frozenset[str]) -> bool:
    return not mailboxes.isdisjoint(_mailboxes([address]))


def _mailboxes(addresses: Collection[str]) -> frozenset[str]:
    """Each address as it is compared, and without its sub-address (RFC 5233 §1)."""
    return frozenset(form for address in addresses for form in _forms(address))


def _forms(address: str) -> tuple[str, str]:
    local, _, domain = address.strip().strip("<>").lower().rpartition("@")
    host = _ascii(domain.rstrip("."))
    return f"{local}@{host}", f"{local.partition('+')[0]}@{host}"


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    return guarded(domain.encode(), idna.encode, domain[:255], uts46=True).decode()
