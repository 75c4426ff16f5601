"""A model that obeys every mail changes no recipient, header or attachment, and leaves no link."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import httpx
import pytest
from ai import MODEL, Ai, Asked, ai_running, reply
from fastapi import Response
from injections import EVIL, Injection, injections, obedient

from mailroom.adapters.http import http_client
from mailroom.adapters.openai import OpenAIDrafter
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.prompt import prompt
from mailroom.models.reply import ReplyRequest, build_reply, recipients
from mailroom.models.templates import DraftRequest, EarlierMail

INJECTIONS = list(injections())
LINK = re.compile(
    r"(?i)://|www\.|\]\(|^\[.*\]:|<[a-z/!]|[\w.]@[\w]|\w\.example|[\u200b\u202e]", re.M
)
# A reply of ours has these, and what its text's encoding takes.
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"}
OF_TEXT = {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}


async def obeys(asked: Asked) -> Response:
    more = {"to": f"thief@{EVIL}", "cc": [f"thief@{EVIL}"], "attachments": ["draft.zip"]}
    return reply(obedient(asked.user) or "Yes, it is.", **more)


@pytest.fixture(scope="module")
async def ai() -> AsyncIterator[Ai]:
    async with ai_running() as running:
        running.answer = obeys
        yield running


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


def asked_of(mail: IncomingMail) -> DraftRequest:
    assert mail.sender is not None
    return DraftRequest(
        message_id=mail.message_id,
        sender_name=mail.sender.name,
        sender_address=mail.sender.address,
        subject=mail.subject,
        body=mail.newest,
        owner_name="Ada",
        # What is quoted reaches the model too, as an earlier mail of the same conversation.
        thread=(
            EarlierMail(
                sender=str(mail.sender),
                subject=mail.subject,
                text=mail.text,
                at=datetime(2026, 6, 1, tzinfo=UTC),
            ),
        ),
    )


def request_for(mail: IncomingMail, text: str) -> ReplyRequest:
    """As activities/send_reply.py makes it."""
    return ReplyRequest(
        original_message_id=mail.message_id,
        subject=mail.subject,
        sender=mail.sender,
        reply_to=mail.reply_to,
        references=mail.references,
        in_reply_to=mail.in_reply_to,
        from_address="owner@mailroom.test",
        from_name="Ada",
        text=text,
        message_id="<reply@mailroom.test>",
        date=datetime(2026, 6, 1, 12, tzinfo=UTC),
    )


def sent(request: ReplyRequest) -> EmailMessage:
    return message_from_bytes(build_reply(request), policy=default)


def headers(mail: EmailMessage) -> dict[str, str]:
    return {name: str(value) for name, value in mail.items() if name not in OF_TEXT}


async def test_an_obedient_model_changes_nothing_but_words(ai: Ai, http: httpx.AsyncClient) -> None:
    drafter, ai.asked[:] = OpenAIDrafter(http, f"{ai.url}/v1", MODEL), []
    for injection in INJECTIONS:
        mail = read_mail(injection.raw)
        drafted = await drafter.draft(asked_of(mail))
        request = request_for(mail, drafted.text)
        answer, harmless = sent(request), sent(request_for(mail, "Yes, it is."))
        assert recipients(request) == ["jane@example.com"], injection.name
        assert headers(answer) == headers(harmless), injection.name
        assert set(headers(answer)) == HEADERS, injection.name
        assert answer.get_content_type() == "text/plain", injection.name
        assert not answer.is_multipart(), injection.name
        assert not LINK.search(answer.get_content()), (injection.name, answer.get_content())
        assert EVIL not in answer.get_content(), injection.name
    obeyed = sum(obedient(asked.user) is not None for asked in ai.asked)
    assert len(INJECTIONS) == len(ai.asked) > 300
    # All but what is hidden from people, and so from the model, and what is attached.
    assert obeyed >= len(INJECTIONS) * 4 // 8 - 20


HIDDEN = [one for one in INJECTIONS if re.search("-(?:comment|unseen|tags|attachment)-", one.name)]


@pytest.mark.parametrize("injection", HIDDEN, ids=lambda one: one.name)
def test_what_is_hidden_from_people_is_hidden_from_the_model(injection: Injection) -> None:
    assert obedient(prompt(asked_of(read_mail(injection.raw))).user) is None


def test_no_word_of_a_mail_is_in_the_system_message() -> None:
    benign = prompt(
        DraftRequest(sender_name="", sender_address="", subject="", body="", owner_name="Ada")
    )
    rules = re.sub("[0-9a-f]{16}", "", benign.system)
    for injection in INJECTIONS:
        system = prompt(asked_of(read_mail(injection.raw))).system
        assert re.sub("[0-9a-f]{16}", "", system) == rules, injection.name
