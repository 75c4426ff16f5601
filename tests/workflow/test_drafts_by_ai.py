"""Mails whose drafts an AI writes: what it gets to see, what is kept, and who stands in for it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ai import KEY, MODEL, Ai, Asked, ai_running, error, reply
from fastapi import Response
from house import House, address_of, another_database, cache, house_on, settings_for
from pydantic import SecretStr
from sqlalchemy import URL
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from test_scenarios import SOON
from world import Gateway, Sink, mail, words_of

from mailroom.adapters.postgres.history import PostgresHistory
from mailroom.local.toolchain import time_skipping_server
from mailroom.models.arrival import Accepted
from mailroom.models.drafting import Examples
from mailroom.models.email_reply import OwnersWord
from mailroom.models.states import MailState

BUSY: list[Asked] = []


async def answers(asked: Asked) -> Response:
    """`ai-down` in a mail is answered 500, `ai-busy` 429 at first, `ai-refuse` 401."""
    if "ai-down" in asked.user:
        return error(500)
    if "ai-refuse" in asked.user:
        return error(401, "invalid_api_key")
    if "ai-busy" in asked.user and not BUSY:
        BUSY.append(asked)
        return error(429, "rate_limit_exceeded", **{"retry-after": "3"})
    edited = "[[INSTRUCTION" in asked.user
    return reply("Dear John,\n\nwith pleasure!\n\nAda" if edited else "Hi,\n\nyes.\n\nAda")


@pytest.fixture(scope="module")
async def ai() -> AsyncIterator[Ai]:
    async with ai_running() as running:
        running.answer = answers
        yield running


@pytest.fixture(scope="module")
async def house(
    ai: Ai,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """One whose drafts are the AI's, with templates behind it."""
    folder: Path = tmp_path_factory.mktemp("ai")
    (folder / "mailroom.toml").write_text(
        '[owner]\nname = "Ada"\n[drafts]\nfallback = "templates"\n'
    )
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(await time_skipping_server(cache=cache())),
        data_converter=pydantic_data_converter,
    ) as env:
        settings = settings_for(
            folder,
            gateway,
            sink,
            temporal_address=address_of(env),
            ai_base_url=f"{ai.url}/v1",
            ai_model=MODEL,
            ai_api_key=SecretStr(KEY),
        )
        own = await another_database(database, "ai")
        async with house_on(env, settings, own, gateway, sink) as running:
            yield running


async def say(house: House, accepted: Accepted, text: str) -> None:
    word = OwnersWord.model_validate({"text": text, "via": "test"})
    outcome = await house.context.flows.decide(accepted.workflow_id, word, SOON)
    assert outcome.verdict == "accepted", outcome.text


async def drafted(house: House, accepted: Accepted) -> list[dict[str, object]]:
    """The timeline's details of each draft."""
    row = await house.row(accepted)
    lines = await house.context.views.timeline(row.owner, row.message_id)
    return [line.detail for line in lines if line.type == "ai_generated"]


def asked_about(ai: Ai, marker: str) -> list[Asked]:
    return [asked for asked in ai.asked if marker in json.dumps(asked.content)]


async def test_draft_edit_and_send(house: House, ai: Ai, marker: str) -> None:
    sender = f"{marker}@example.com"
    accepted = await house.receive(
        mail(sender=sender, subject=f"Tea {marker}", message_id=f"<1.{marker}@example.com>")
    )
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "2 make it warmer")
    await house.gateway.wait_for(marker, 2)
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    sent = await house.sink.wait_for(sender)
    assert words_of(sent).split() == ["Dear", "John,", "with", "pleasure!", "Ada"]
    first, second = await drafted(house, accepted)
    known = {"model": MODEL, "input_tokens": 120, "output_tokens": 30}
    assert first.items() >= known.items()
    assert second.items() >= known.items()
    one, two = asked_about(ai, marker)
    assert "EARLIER " not in one.user
    assert "make it warmer" in two.user
    assert "Hi,\n\nyes." in two.user
    assert marker not in one.system + two.system

    # The next mail of the conversation: the AI sees what was said, and how drafts were changed.
    assert await house.ended(accepted) is MailState.REPLY_SENT
    again = mail(
        sender=sender,
        subject=f"Re: Tea {marker}",
        text="And milk?",
        message_id=f"<2.{marker}@example.com>",
        References=f"<1.{marker}@example.com> {sent['Message-ID']}",
    )
    later = await house.receive(again)
    await house.reached(later, MailState.AWAITING_USER)
    third = asked_about(ai, marker)[-1]
    assert "Hi, can we meet tomorrow at 2pm?" in third.user
    assert "From: the owner" in third.user
    assert third.user.count("[[EARLIER ") == 2
    assert third.user.count("[[EXAMPLE ") == 1
    assert third.user.index("can we meet") < third.user.rindex("with pleasure")
    assert third.user.rindex("with pleasure") < third.user.index("And milk?")
    await say(house, later, "3")


async def test_nobody_sees_what_was_written_to_another(house: House, ai: Ai, marker: str) -> None:
    friend, stranger = f"friend.{marker}@example.com", f"stranger.{marker}@example.com"
    accepted = await house.receive(mail(sender=friend, subject=f"Tea {marker}"))
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "2 make it warmer")
    await house.gateway.wait_for(marker, 2)
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    for headers in ({"sender": stranger}, {"sender": friend, "Reply_To": stranger}):
        await house.receive(mail(subject=f"Hello {marker}", **headers))
    await house.gateway.wait_for(f"Hello {marker}", 2)
    for asked in asked_about(ai, f"Hello {marker}"):
        assert "EXAMPLE " not in asked.user
    for examples, seen in ((Examples.ALL, True), (Examples.NONE, False)):
        history = PostgresHistory(house.adapters.engines.read, house.adapters.blobs, examples)
        edits = await history.recent_edits((await house.row(accepted)).owner, stranger)
        assert any(edit.instructions == "make it warmer" for edit in edits) is seen


async def test_templates_stand_in_after_the_attempts(house: House, ai: Ai, marker: str) -> None:
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"ai-down {marker}")
    )
    row = await house.reached(accepted, MailState.AWAITING_USER)
    assert len(asked_about(ai, marker)) == house.settings.max_retry_attempts
    assert row.draft_note == "template; no AI: The AI endpoint answered 500 (invalid_request_error)"
    [detail] = await drafted(house, accepted)
    assert str(detail["source"]).startswith("template")
    assert "input_tokens" not in detail
    await say(house, accepted, "3")


async def test_templates_stand_in_at_once_where_trying_again_is_vain(
    house: House, ai: Ai, marker: str
) -> None:
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"ai-refuse {marker}")
    )
    row = await house.reached(accepted, MailState.AWAITING_USER)
    assert len(asked_about(ai, marker)) == 1
    assert "no AI: The AI endpoint answered 401 (invalid_api_key)" in str(row.draft_note)
    await say(house, accepted, "3")


async def test_a_busy_ai_is_asked_again_after_the_pause_it_wants(
    house: House, ai: Ai, marker: str
) -> None:
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"ai-busy {marker}")
    )
    row = await house.reached(accepted, MailState.AWAITING_USER)
    assert (row.draft_note, len(asked_about(ai, marker))) == ("AI", 2)
    await say(house, accepted, "3")
