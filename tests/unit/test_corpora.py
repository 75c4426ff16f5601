"""Every message of the corpora goes all the way: read, judged, answered, and threaded right."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from time import thread_time
from typing import Any

import pytest

from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.quotes import newest_text
from mailroom.models.reply import (
    NoRecipient,
    ReplyRequest,
    UnsafeHeader,
    build_reply,
    needs_smtputf8,
    recipients,
)
from mailroom.models.triage import not_answerable

OWNER = "owner@mailroom.test"
CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="there is no ../shared/corpora"))
FILES: list[Any] = sorted(one for one in CORPORA.rglob("*") if one.is_file()) or [ABSENT]


def answer(mail: IncomingMail) -> ReplyRequest:
    return ReplyRequest(
        original_message_id=mail.message_id,
        message_id_derived=mail.message_id_derived,
        subject=mail.subject,
        sender=mail.sender,
        reply_to=mail.reply_to,
        references=mail.references,
        in_reply_to=mail.in_reply_to,
        from_address=OWNER,
        from_name="The owner",
        text=f"Thank you for this:\n\n{newest_text(mail.text)}",
        message_id="<reply@mailroom.test>",
        date=datetime(2026, 6, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name if file else "none")
def test_a_message_goes_all_the_way(file: Path) -> None:
    raw = file.read_bytes()
    started = thread_time()
    mail = read_mail(raw)
    reason = not_answerable(mail, None, [], [one.address for one in mail.to] or [OWNER])
    reply = None if unanswerable(mail) else build_reply(answer(mail))
    assert thread_time() - started < 1
    assert reply or reason, "the owner would be asked in vain"
    if reply:
        check(mail, reply)


def unanswerable(mail: IncomingMail) -> bool:
    try:
        recipients(answer(mail))
    except (NoRecipient, UnsafeHeader):
        return True
    return False


def check(mail: IncomingMail, reply: bytes) -> None:
    parsed = message_from_bytes(reply, policy=policy.default)
    back = read_mail(reply)
    parent = None if mail.message_id_derived else mail.message_id
    assert parsed["In-Reply-To"] == parent
    assert back.references[-1:] == ([parent] if parent else mail.references[-1:])
    assert len(back.references) == len(set(back.references))
    assert back.subject.startswith("Re:")
    assert back.to
    assert back.text.split() == answer(mail).text.split()
    assert needs_smtputf8(reply) == needs_smtputf8(answer(mail))
