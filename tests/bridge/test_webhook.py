"""The owner's texts, as a gateway delivers them to `POST /orchestrator/sms-response`."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx
import pytest
from house import TOKEN, WEBHOOK_SECRET, House, address_of, bridge_on
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.service import RPCError, RPCStatusCode
from world import PHONE, Handset, mail, new_text_id, wire_to, words_of

from mailroom.adapters import temporal
from mailroom.adapters.postgres.texts import InboundText
from mailroom.adapters.postgres.views import Answerable, PostgresViews
from mailroom.bridge.conversation import Conversation
from mailroom.bridge.delivery import TEXT_SECONDS
from mailroom.bridge.flows import ReplyFlows
from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord
from mailroom.models.names import owner_notice_id
from mailroom.models.states import MailState, Stage

STRANGER = "+12025550199"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OTHER_SECRET = "whsec_" + b64encode(b"not the secret of the gateway").decode()


async def drafted(house: House, marker: str, count: int = 1) -> Accepted:
    """A mail whose draft the owner was texted about."""
    raw = mail(
        sender=f"{marker}@example.com",
        subject=f"Hi {marker}",
        message_id=f"<{count}.{marker}@example.com>",
    )
    accepted = await house.receive(raw)
    await house.gateway.wait_for(marker, count)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def code_of(house: House, accepted: Accepted) -> str:
    code = (await house.row(accepted)).code
    assert code is not None
    return code


async def decisions(house: House, accepted: Accepted) -> list[str]:
    """The owner's decisions in the timeline of a mail."""
    row = await house.row(accepted)
    lines = await house.context.views.timeline(row.owner, row.message_id)
    return [line.type for line in lines if line.type.startswith("user_")]


async def told(house: House, text_id: str, number: str = PHONE) -> str:
    """What the owner was told by SMS about this text of theirs."""
    return await house.gateway.text_under(owner_notice_id(number, text_id))


async def is_told_nothing(house: House, text_id: str, number: str = PHONE) -> bool:
    """Whether no text is on its way: every one of them has a workflow of its own."""
    handle = house.client.get_workflow_handle(owner_notice_id(number, text_id))
    try:
        await handle.describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return False


async def kept(house: House) -> int:
    """How many texts of the owner's are stored."""
    query = text("SELECT count(*) FROM sms_messages WHERE direction = 'inbound'")
    async with house.adapters.engines.read.connect() as connection:
        return int(await connection.scalar(query) or 0)


# Decisions


@pytest.mark.parametrize("body", ["1", "1 {code}", " send ", "{code} 1", "Approve."])
async def test_an_approval_sends_the_reply(
    house: House, phone: Handset, marker: str, body: str
) -> None:
    accepted = await drafted(house, marker)
    answer = await phone.say(body.format(code=await code_of(house, accepted)))
    assert answer["outcome"] == "accepted"
    assert answer["message_id"] == accepted.message_id
    await house.sink.wait_for(f"{marker}@example.com")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert (await house.row(accepted)).user_command == "approve"


async def test_edit_then_ignore(house: House, phone: Handset, marker: str) -> None:
    accepted = await drafted(house, marker)
    assert (await phone.say("2 decline, please"))["outcome"] == "accepted"
    await house.gateway.wait_for(marker, 2)
    row = await house.row(accepted)
    assert (row.revision, row.user_edit_instructions) == (2, "decline, please")
    assert (await phone.say("3"))["outcome"] == "accepted"
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert house.sink.mails[f"{marker}@example.com"] == []


# Forged, stale, malformed: refused, and nothing changed


def unsigned(phone: Handset, raw: bytes) -> dict[str, str]:
    return {}


def without_id(phone: Handset, raw: bytes) -> dict[str, str]:
    return {k: v for k, v in phone.signature(raw).items() if k != "webhook-id"}


def without_signature(phone: Handset, raw: bytes) -> dict[str, str]:
    return {k: v for k, v in phone.signature(raw).items() if k != "webhook-signature"}


def other_secret(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw, secret=OTHER_SECRET)


def other_body(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw.replace(b'"3"', b'"1"'))


def other_id(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw) | {"webhook-id": "another"}


def too_old(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw, datetime.now(UTC) - timedelta(minutes=5, seconds=5))


def too_new(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw, datetime.now(UTC) + timedelta(minutes=5, seconds=5))


def refreshed(phone: Handset, raw: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    return too_old(phone, raw) | {"webhook-timestamp": now}


def no_time(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw) | {"webhook-timestamp": "1e999"}


def garbage(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw) | {"webhook-signature": "v1,%%% no base64 %%%"}


def no_version(phone: Handset, raw: bytes) -> dict[str, str]:
    return phone.signature(raw) | {"webhook-signature": "nothing"}


def other_version(phone: Handset, raw: bytes) -> dict[str, str]:
    right = phone.signature(raw)
    return right | {"webhook-signature": right["webhook-signature"].replace("v1,", "v2,")}


FORGERIES = (
    unsigned,
    without_id,
    without_signature,
    other_secret,
    other_body,
    other_id,
    too_old,
    too_new,
    refreshed,
    no_time,
    garbage,
    no_version,
    other_version,
)


async def test_forged_webhooks_change_nothing(house: House, phone: Handset, marker: str) -> None:
    accepted = await drafted(house, marker)
    before, texts = await house.reached(accepted, MailState.AWAITING_USER), await kept(house)
    for forge in FORGERIES:
        raw = phone.text("3", new_text_id())
        response = await phone.post(raw, forge(phone, raw))
        assert response.status_code == HTTPStatus.UNAUTHORIZED, forge.__name__
        assert response.headers["content-type"] == "application/problem+json"
        assert "signature" in response.json()["detail"]
    assert (await house.row(accepted), await kept(house)) == (before, texts)


async def test_a_body_that_is_no_utf8_is_refused(house: House, phone: Handset) -> None:
    texts = await kept(house)
    raw = phone.text("3", new_text_id()).replace(b'"3"', b'"\xff\xfe"')
    response = await phone.post(raw, phone.signature(b"{}"))
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert await kept(house) == texts


async def test_a_body_above_64_kib_is_refused(house: House, phone: Handset) -> None:
    texts = await kept(house)
    raw = phone.text("3", new_text_id(), padding="x" * 64 * 1024)
    response = await phone.post(raw)
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert await kept(house) == texts


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b'{"from": "+12025550123", "body": "1"}', "message_id"),
        (b'{"message_id": "a", "from": 1, "body": "1"}', "from"),
        (b'{"message_id": "a", "from": "+12025550123", "body": ["1"]}', "body"),
        (b'{"message_id": "a\\u0000b", "from": "+12025550123", "body": "1"}', "message_id"),
        (b'{"message_id": "", "from": "+12025550123", "body": "1"}', "message_id"),
        (
            b'{"message_id": "a", "from": "+12025550123", "body": "1", "timestamp": "noon"}',
            "timestamp",
        ),
    ],
)
async def test_what_is_no_text_is_refused_and_named(
    phone: Handset, content: bytes, named: str
) -> None:
    response = await phone.post(content)
    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, response.text
    assert named in response.json()["detail"]


@pytest.mark.parametrize("body", ["", "\0", "1\0", "\u2028", "👍", "x" * 9_999])
async def test_odd_texts_are_answered(house: House, phone: Handset, body: str) -> None:
    answer = await phone.say(body)
    assert answer["outcome"] in ("not_understood", "nothing_waiting")


@pytest.mark.parametrize("number", [STRANGER, "12025550123", "owner", "", "+1202555012x3"])
async def test_a_strangers_number_is_refused(
    house: House, phone: Handset, marker: str, number: str
) -> None:
    accepted = await drafted(house, marker)
    before, texts = await house.reached(accepted, MailState.AWAITING_USER), await kept(house)
    response = await phone.post(phone.text("1", new_text_id(), sender=number))
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert (await house.row(accepted), await kept(house)) == (before, texts)


async def test_the_owners_number_may_be_written_otherwise(
    house: House, phone: Handset, marker: str
) -> None:
    await drafted(house, marker)
    assert (await phone.say("3", sender="+1 (202) 555-0123"))["outcome"] == "accepted"


async def test_too_many_texts_are_refused_for_a_while(house: House, phone: Handset) -> None:
    async with bridge_on(house.context, sms_per_minute=3) as http:
        limited = Handset(http, WEBHOOK_SECRET)
        for _ in range(3):
            assert (await limited.say("1"))["outcome"] == "nothing_waiting"
        texts = await kept(house)
        response = await limited.post(limited.text("1", new_text_id()))
    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(response.headers["Retry-After"]) > 0
    assert await kept(house) == texts


# The same text again


async def test_the_same_text_ten_times_at_once_and_later_is_one_decision(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    text_id = new_text_id()
    answers = await asyncio.gather(*[phone.say("1", text_id) for _ in range(10)])
    answers.append(await phone.say("1", text_id))
    assert await house.ended(accepted) is MailState.REPLY_SENT
    answers.append(await phone.say("1", text_id))
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    assert len({answer["text"] for answer in answers}) == 1
    assert await decisions(house, accepted) == ["user_approved"]
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1
    assert await is_told_nothing(house, text_id)


async def test_a_redelivery_to_a_bridge_that_died_before_it_answered(
    house: House, phone: Handset, marker: str
) -> None:
    """What the text decided is known to the workflow, though that has ended."""
    accepted, text_id = await drafted(house, marker), new_text_id()
    answer = await phone.say("1", text_id)
    assert await house.ended(accepted) is MailState.REPLY_SENT
    await forget_answer(house, text_id)
    assert await phone.say("1", text_id) == answer
    assert await is_told_nothing(house, text_id)


async def forget_answer(house: House, text_id: str) -> None:
    """Leaves what is stored before the workflow is asked: which draft the text is about."""
    only = text(
        "UPDATE sms_messages SET outcome = jsonb_build_object('resolution', outcome->'resolution')"
        " WHERE direction = 'inbound' AND provider_id = :text_id"
    )
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(only, {"text_id": text_id})


async def test_a_second_delivery_that_looks_when_the_first_has_decided(
    house: House, phone: Handset, marker: str
) -> None:
    """Nothing waits any more then, but that is not what the text is told."""
    accepted, text_id = await drafted(house, marker), new_text_id()
    views = LateViews(house.adapters.engines.read)
    second = Conversation(replace(house.context, views=views))
    inbound = InboundText(owner="owner", number=PHONE, body="1", provider_id=text_id)
    late = asyncio.create_task(second.hear(inbound))
    await views.asked.wait()
    first = await phone.say("1", text_id)
    assert await house.ended(accepted) is MailState.REPLY_SENT
    views.gate.set()
    answer = await late
    assert (answer.outcome, answer.text) == ("accepted", first["text"])
    assert await phone.say("1", text_id) == first
    assert await is_told_nothing(house, text_id)


class LateViews(PostgresViews):
    """Looks for waiting drafts once it is let."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def waiting(self, owner: str, limit: int = 20) -> list[Answerable]:
        self.asked.set()
        await self.gate.wait()
        return await super().waiting(owner, limit)


async def test_an_edit_again_after_it_made_a_new_draft_changes_nothing(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    text_id = new_text_id()
    answers = await asyncio.gather(*[phone.say("2 shorter", text_id) for _ in range(10)])
    await house.gateway.wait_for(marker, 2)
    answers += await asyncio.gather(*[phone.say("2 shorter", text_id) for _ in range(10)])
    assert {(answer["outcome"], answer["text"]) for answer in answers} == {
        ("accepted", "The draft is being changed.")
    }
    row = await house.row(accepted)
    assert (row.revision, row.edit_iteration) == (2, 1)
    assert await is_told_nothing(house, text_id)


async def test_an_approval_again_after_an_edit_does_not_approve_the_new_draft(
    house: House, phone: Handset, marker: str
) -> None:
    """The refused `1` comes again when a draft waits that its owner has not seen."""
    accepted = await drafted(house, marker)
    first, late = await code_of(house, accepted), new_text_id()
    await phone.say("2 shorter")
    await house.gateway.wait_for(marker, 2)
    answers = [await phone.say(f"1 {first}", late) for _ in range(2)]
    assert {answer["outcome"] for answer in answers} == {"refused"}
    assert (await house.reached(accepted, MailState.AWAITING_USER)).revision == 2
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_shuffled_redeliveries_of_many_texts_decide_once_each(
    house: House, phone: Handset
) -> None:
    markers = [f"mk{new_text_id()[3:13]}" for _ in range(5)]
    mails = [await drafted(house, marker) for marker in markers]
    words = [(f"1 {await code_of(house, accepted)}", new_text_id()) for accepted in mails]
    answers = await asyncio.gather(*[phone.say(*word) for _ in range(4) for word in words])
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    for marker, accepted in zip(markers, mails, strict=True):
        assert await house.ended(accepted) is MailState.REPLY_SENT
        assert len(house.sink.mails[f"{marker}@example.com"]) == 1


async def test_a_replay_of_the_signed_bytes_is_answered_from_the_store(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    raw = phone.text("2 shorter", new_text_id())
    headers = phone.signature(raw)
    first = await phone.post(raw, headers)
    await house.gateway.wait_for(marker, 2)
    again = await phone.post(raw, headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await house.row(accepted)).edit_iteration == 1


# Which draft is meant


async def test_a_bare_answer_decides_nothing_while_two_drafts_wait(
    house: House, phone: Handset, marker: str
) -> None:
    first, second = await drafted(house, marker), await drafted(house, marker, 2)
    codes = [await code_of(house, one) for one in (first, second)]
    text_id = new_text_id()
    assert (await phone.say("1", text_id))["outcome"] == "ambiguous"
    listed = await told(house, text_id)
    assert all(code in listed for code in codes)
    for one in (first, second):
        assert await decisions(house, one) == []
    answer = await phone.say(f"1 {codes[1]}")
    assert (answer["outcome"], answer["message_id"]) == ("accepted", second.message_id)
    assert await house.ended(second) is MailState.REPLY_SENT
    assert await decisions(house, first) == []
    assert (await phone.say("3"))["message_id"] == first.message_id


async def test_an_unknown_code_is_told_so(house: House, phone: Handset, marker: str) -> None:
    accepted = await drafted(house, marker)
    text_id = new_text_id()
    assert (await phone.say("1 B2B2", text_id))["outcome"] == "unknown_code"
    assert "B2B2" in await told(house, text_id)
    assert await decisions(house, accepted) == []


async def test_the_code_of_an_older_draft_is_refused_and_told_so(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    first = await code_of(house, accepted)
    await phone.say("2 shorter")
    await house.gateway.wait_for(marker, 2)
    text_id, second = new_text_id(), await code_of(house, accepted)
    assert (await phone.say(f"1 {first}", text_id))["outcome"] == "refused"
    sentence = await told(house, text_id)
    assert "older draft" in sentence
    assert second in sentence
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_an_answer_to_a_closed_mail_is_told_so(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    code = await code_of(house, accepted)
    await phone.say("3")
    await house.ended(accepted)
    with_code, without = new_text_id(), new_text_id()
    assert (await phone.say(f"1 {code}", with_code))["outcome"] == "refused"
    assert "closed already: user ignored" in await told(house, with_code)
    assert (await phone.say("1", without))["outcome"] == "nothing_waiting"
    assert "No draft" in await told(house, without)
    assert house.sink.mails[f"{marker}@example.com"] == []


# Anything else


async def test_free_text_is_explained_once_an_hour(
    house: House, phone: Handset, marker: str
) -> None:
    accepted = await drafted(house, marker)
    first, second, third = new_text_id(), new_text_id(), new_text_id()
    assert (await phone.say("yes please send it", first))["outcome"] == "not_understood"
    assert "Answer 1 to send it" in await told(house, first)
    assert (await phone.say("HELP", second))["outcome"] == "not_understood"
    assert await is_told_nothing(house, second)
    await an_hour_passes(house)
    await phone.say("what?", third)
    assert "Answer 1 to send it" in await told(house, third)
    assert await decisions(house, accepted) == []


async def an_hour_passes(house: House) -> None:
    earlier = text("UPDATE phones SET explained_at = explained_at - interval '61 minutes'")
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(earlier)


async def test_free_texts_at_once_are_explained_once(house: House, phone: Handset) -> None:
    ids = [new_text_id() for _ in range(5)]
    await asyncio.gather(*[phone.say("what?", text_id) for text_id in ids])
    silent = [await is_told_nothing(house, text_id) for text_id in ids]
    assert silent.count(False) == 1


async def test_stop_ends_all_texts_until_start(house: House, phone: Handset, marker: str) -> None:
    stop, question = new_text_id(), new_text_id()
    assert (await phone.say("Stop", stop))["outcome"] == "stopped"
    assert await is_told_nothing(house, stop)
    assert (await phone.say("what?", question))["outcome"] == "not_understood"
    assert await is_told_nothing(house, question)
    accepted, sentence = await untextable(house, marker)
    assert "STOP" in sentence
    assert house.gateway.about(marker) == []
    assert (await phone.say("START"))["outcome"] == "started"
    await house.context.flows.retry(accepted.workflow_id)
    await house.gateway.wait_for(marker)
    assert (await phone.say("3"))["outcome"] == "accepted"


async def untextable(house: House, marker: str) -> tuple[Accepted, str]:
    """A mail whose draft can't be texted, and what the owner is written about it."""
    accepted = await house.receive(mail(sender=f"{marker}@example.com", subject=f"Hi {marker}"))
    notice = await house.sink.wait_about("owner@mailroom.test", marker)
    row = await house.reached(accepted, MailState.FAILED)
    assert row.failed_stage is Stage.SMS
    assert row.error_message is not None
    assert row.error_message in notice.get_content().replace("\n", " ")
    return accepted, row.error_message


async def test_after_stop_an_answer_is_told_nothing_by_text(
    house: House, phone: Handset, marker: str
) -> None:
    """The answer of a refused word is dropped where it would be sent, too."""
    await phone.say("STOPALL")
    text_id = new_text_id()
    assert (await phone.say("1", text_id))["outcome"] == "nothing_waiting"
    await house.client.get_workflow_handle(owner_notice_id(PHONE, text_id)).result()
    assert house.gateway.under(owner_notice_id(PHONE, text_id)) == []


async def test_a_carriers_yes_is_no_approval(house: House, phone: Handset, marker: str) -> None:
    accepted = await drafted(house, marker)
    assert (await phone.say("YES"))["outcome"] == "started"
    assert await decisions(house, accepted) == []


# Races


@pytest.mark.parametrize("round", range(5))
async def test_of_an_approval_and_an_edit_at_once_one_wins(
    house: House, phone: Handset, bridge: httpx.AsyncClient, marker: str, round: int
) -> None:
    accepted = await drafted(house, marker)
    seen = (await house.row(accepted)).ai_reply_text
    text_id = new_text_id()
    path = f"/workflow/{accepted.message_id}/decide"
    word = {"text": "1", "revision": 1}
    edit_of_it = f"2 {await code_of(house, accepted)} decline"
    approval, edit = await asyncio.gather(
        bridge.post(path, json=word, headers=BEARER), phone.say(edit_of_it, text_id)
    )
    if approval.status_code == HTTPStatus.OK:
        assert edit["outcome"] == "refused"
        assert await told(house, text_id) == edit["text"]
    else:
        assert approval.status_code == HTTPStatus.CONFLICT
        assert edit["outcome"] == "accepted"
        assert await told_why_not(approval)
        await house.gateway.wait_for(marker, 2)
        seen = (await house.row(accepted)).ai_reply_text
        assert (await phone.say("1"))["outcome"] == "accepted"
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert words_of(reply).split() == (seen or "").split()
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


async def told_why_not(refused: httpx.Response) -> bool:
    detail = refused.json()["detail"]
    return any(why in detail for why in ("answered already", "older draft", "no draft"))


# Without Temporal


async def test_while_temporal_hangs_a_text_is_kept_in_time_and_counts_once(
    house: House, phone: Handset, marker: str
) -> None:
    accepted, text_id = await drafted(house, marker), new_text_id()
    async with wire_to(address_of(house.env)) as wire:
        client = await temporal.connect(f"127.0.0.1:{wire.port}", house.client.namespace)
        async with bridge_on(replace(house.context, flows=ReplyFlows(client))) as http:
            wire.flowing.clear()
            started = time.monotonic()
            response = await Handset(http, WEBHOOK_SECRET).post(phone.text("1", text_id))
            assert TEXT_SECONDS < 3
            assert time.monotonic() - started < TEXT_SECONDS + 1
            assert response.status_code == HTTPStatus.ACCEPTED
            assert response.json()["outcome"] == "kept"
            wire.flowing.set()
            assert await house.ended(accepted) is MailState.REPLY_SENT
            await house.gateway.wait_for("The reply is on its way.")
            # What the gateway delivers again is the same word.
            answer = await Handset(http, WEBHOOK_SECRET).say("1", text_id)
    assert answer["outcome"] == "accepted"
    assert await decisions(house, accepted) == ["user_approved"]
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


# Without a worker, on Temporal's real server


@asynccontextmanager
async def waiting_alone(house: House, marker: str) -> AsyncIterator[tuple[Handset, Accepted]]:
    """A draft that waits for its owner's word while no worker is there."""
    async with bridge_on(house.context) as http:
        async with house.at_work():
            accepted = await drafted(house, marker)
        yield Handset(http, WEBHOOK_SECRET), accepted


async def test_without_a_worker_the_word_is_kept_and_counts_once(
    dev_house: House, marker: str
) -> None:
    house, text_id = dev_house, new_text_id()
    async with waiting_alone(house, marker) as (phone, accepted):
        started = time.monotonic()
        answers = await asyncio.gather(*[phone.say("1", text_id) for _ in range(3)])
        assert time.monotonic() - started < 3
        assert {answer["outcome"] for answer in answers} == {"kept"}
        assert await phone.say("1", text_id) == answers[0]
        assert house.sink.mails[f"{marker}@example.com"] == []
        async with house.at_work():
            outcome = await house.gateway.text_under(f"word/{text_id}")
            assert outcome == "The reply is on its way."
            assert await house.ended(accepted) is MailState.REPLY_SENT
            assert await phone.say("1", text_id) == answers[0]
    assert await decisions(house, accepted) == ["user_approved"]
    assert house.gateway.tries[f"word/{text_id}"] == 1
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


async def test_a_kept_word_that_comes_too_late_is_told_so(dev_house: House, marker: str) -> None:
    house, late = dev_house, new_text_id()
    async with waiting_alone(house, marker) as (phone, accepted):
        await house.context.flows.command(accepted.workflow_id, OwnersWord(text="3"))
        assert (await phone.say("1", late))["outcome"] == "kept"
        async with house.at_work():
            assert await house.ended(accepted) is MailState.USER_IGNORED
            assert "answered already (ignore)" in await house.gateway.text_under(f"word/{late}")
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_a_kept_word_whose_outcome_cannot_be_texted_counts_all_the_same(
    dev_house: House, marker: str
) -> None:
    house, text_id = dev_house, f"gw-refuse-{new_text_id()}"
    async with waiting_alone(house, marker) as (phone, accepted):
        assert (await phone.say("1", text_id))["outcome"] == "kept"
        async with house.at_work():
            assert await house.ended(accepted) is MailState.REPLY_SENT
    assert house.gateway.tries[f"word/{text_id}"] == 1


async def test_eleven_words_at_once_without_a_worker_are_kept_in_time(
    dev_house: House, marker: str
) -> None:
    """Temporal takes ten updates at once."""
    house = dev_house
    async with waiting_alone(house, marker) as (phone, accepted):
        code, ids = await code_of(house, accepted), [new_text_id() for _ in range(11)]
        started = time.monotonic()
        answers = await asyncio.gather(*[phone.say(f"1 {code}", one) for one in ids])
        assert time.monotonic() - started < 3.5
        assert {answer["outcome"] for answer in answers} == {"kept"}
        async with house.at_work():
            outcomes = [await house.gateway.text_under(f"word/{one}") for one in ids]
            assert await house.ended(accepted) is MailState.REPLY_SENT
    assert outcomes.count("The reply is on its way.") == 1
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1
