"""Mailroom with a Twilio number: mail in, a text through Twilio's API, the owner's answer by its
signed webhook, the reply out."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from house import (
    OWNER,
    TOKEN,
    House,
    address_of,
    another_database,
    bridge_on,
    house_on,
    settings_for,
)
from sqlalchemy import URL, text
from temporalio.testing import WorkflowEnvironment
from twilio_world import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    PUBLIC_URL,
    STATUS,
    WEBHOOK,
    Number,
    Twilio,
    new_sid,
    signature,
    twilio_running,
)
from twilio_world import text as inbound
from world import PHONE, Gateway, Sink, mail

from mailroom.adapters.spool.spool import Spool
from mailroom.bridge.app import create_app
from mailroom.bridge.forwarder import Forwarder
from mailroom.bridge.handover import Handover
from mailroom.local.production import bridging
from mailroom.models.arrival import Accepted
from mailroom.models.names import owner_notice_id
from mailroom.models.states import MailState, Stage

BEARER = {"Authorization": f"Bearer {TOKEN}"}
STRANGER = "+12025550199"


@pytest.fixture(scope="module")
async def twilio() -> AsyncIterator[Twilio]:
    async with twilio_running() as running:
        yield running


@pytest.fixture(scope="module")
async def house(
    own_env: WorkflowEnvironment,
    twilio: Twilio,
    database: URL,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    settings = settings_for(
        tmp_path_factory.mktemp("twilio"),
        Gateway(),
        sink,
        temporal_address=address_of(own_env),
        sms_gateway_url=None,
        twilio_account_sid=ACCOUNT_SID,
        twilio_auth_token=AUTH_TOKEN,
        twilio_from_number=NUMBER,
        twilio_api_url=twilio.url,
        mailroom_public_url=PUBLIC_URL,
    )
    own = await another_database(database, "twilio")
    async with house_on(own_env, settings, own, Gateway(), sink) as running:
        secrets = replace(running.context.secrets, twilio=AUTH_TOKEN)
        running.context = replace(running.context, secrets=secrets)
        yield running


@pytest.fixture(scope="module")
async def bridge(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(house.context) as http:
        yield http


@pytest.fixture
async def number(house: House, twilio: Twilio, bridge: httpx.AsyncClient) -> Number:
    """With nothing waiting for an answer, and nobody stopped."""
    twilio.stopped.clear()
    await house.nothing_waits()
    await house.forget_phone()
    return Number(bridge)


async def drafted(house: House, twilio: Twilio, marker: str, count: int = 1) -> Accepted:
    """A mail whose draft the owner was texted about."""
    accepted = await house.receive(
        mail(
            sender=f"{marker}@example.com",
            subject=f"Hi {marker}",
            message_id=f"<{count}.{marker}@example.com>",
        )
    )
    await twilio.wait_for(marker, count)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def kept(house: House, sid: str) -> list[dict[str, Any]]:
    """What is stored of a text of the owner's."""
    query = text(
        "SELECT body, outcome FROM sms_messages WHERE direction = 'inbound' AND provider_id = :sid"
    )
    async with house.adapters.engines.read.connect() as connection:
        rows = (await connection.execute(query, {"sid": sid})).mappings().all()
    return [dict(row) for row in rows]


async def outcome(house: House, sid: str) -> str:
    [stored] = await kept(house, sid)
    return str(stored["outcome"]["outcome"])


async def decisions(house: House, accepted: Accepted) -> list[str]:
    row = await house.row(accepted)
    lines = await house.context.views.timeline(row.owner, row.message_id)
    return [line.type for line in lines if line.type.startswith("user_")]


async def said(house: House, response: httpx.Response, sid: str, expected: str) -> bool:
    """Whether the webhook took the text, said nothing by TwiML, and came to this outcome."""
    assert response.status_code == HTTPStatus.OK, response.text
    assert response.headers["content-type"].startswith("application/xml")
    assert response.text.endswith("<Response/>")
    return await outcome(house, sid) == expected


# The whole flow


async def test_mail_text_answer_reply(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    accepted = await drafted(house, twilio, marker)
    form = next(form for form in twilio.forms if marker in form["Body"])
    assert (form["To"], form["From"]) == (PHONE, NUMBER)
    assert form["StatusCallback"] == f"{PUBLIC_URL}{STATUS}"
    sid = new_sid()
    assert await said(house, await number.say("1", sid), sid, "accepted")
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert reply["In-Reply-To"] == accepted.message_id
    assert await house.ended(accepted) is MailState.REPLY_SENT


async def test_a_text_that_comes_while_the_way_is_closed_counts_later(
    house: House, twilio: Twilio, number: Number, marker: str, tmp_path: Path
) -> None:
    accepted, sid = await drafted(house, twilio, marker), new_sid()
    the = replace(house.context, handover=Handover(Spool(tmp_path / "spool")))
    the.handover.way.close("PostgreSQL can't be reached.")
    transport = httpx.ASGITransport(create_app(the))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
        answer = await Number(http).say("3", sid)
    assert (answer.status_code, answer.text.endswith("<Response/>")) == (202, True)
    assert await kept(house, sid) == []
    assert (await Forwarder(the).drain()).forwarded == 1
    assert await house.ended(accepted) is MailState.USER_IGNORED
    await twilio.wait_for("The mail is left unanswered.")


async def test_edit_then_approve(house: House, twilio: Twilio, number: Number, marker: str) -> None:
    accepted = await drafted(house, twilio, marker)
    await number.say("2 decline, please")
    texts = await twilio.wait_for(marker, 2)
    assert "Draft 2" in texts[1]
    await house.reached(accepted, MailState.AWAITING_USER)
    await number.say(f"1 {(await house.row(accepted)).code}")
    await house.sink.wait_for(f"{marker}@example.com")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert await decisions(house, accepted) == ["user_edit_requested", "user_approved"]


async def test_a_twilio_that_fails_twice_is_asked_three_times(
    house: House, twilio: Twilio, number: Number
) -> None:
    accepted = await drafted(house, twilio, "tw-fail-2")
    [body] = twilio.bodies("tw-fail-2")
    assert twilio.tries[body] == 3
    assert (await house.row(accepted)).sms_message_id


async def test_a_refused_word_is_told_why(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    accepted = await drafted(house, twilio, marker)
    code, late = (await house.row(accepted)).code, new_sid()
    await number.say("3")
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert await said(house, await number.say(f"1 {code}", late), late, "refused")
    await house.client.get_workflow_handle(owner_notice_id(PHONE, late)).result()
    assert "closed already" in twilio.forms[-1]["Body"]


# One decision, however often it is delivered


async def test_a_text_delivered_ten_times_at_once_decides_once(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    accepted, sid = await drafted(house, twilio, marker), new_sid()
    answers = await asyncio.gather(*[number.say("1", sid) for _ in range(10)])
    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1
    assert len(await kept(house, sid)) == 1


async def test_a_replay_decides_nothing_about_a_later_draft(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    """Twilio's signature has no time in it: whoever has the bytes can send them again."""
    first, sid = await drafted(house, twilio, marker), new_sid()
    await number.say("1", sid)
    assert await house.ended(first) is MailState.REPLY_SENT
    second = await drafted(house, twilio, marker, 2)
    assert await said(house, await number.say("1", sid), sid, "accepted")
    assert await decisions(house, second) == []
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


# Forged, strange, malformed: refused, and nothing changed


def signed_with(token: str = AUTH_TOKEN, url: str = f"{PUBLIC_URL}{WEBHOOK}", **other: str) -> Any:
    return lambda form: signature(url, form | other, token)


@pytest.mark.parametrize(
    "forge",
    [
        lambda form: "",
        lambda form: "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
        lambda form: signed_with()(form)[:-2] + "x=",
        signed_with(token="another-account-s-token"),
        signed_with(url=f"http://127.0.0.1:8003{WEBHOOK}"),
        signed_with(url=f"{PUBLIC_URL}{STATUS}"),
        signed_with(url=f"{PUBLIC_URL}{WEBHOOK}?account=2"),
        signed_with(Body="3"),
        signed_with(From=STRANGER),
        lambda form: signature(f"{PUBLIC_URL}{WEBHOOK}", {}),
    ],
    ids=[
        "none",
        "somebody's",
        "one bit",
        "wrong token",
        "wrong host",
        "wrong path",
        "wrong query",
        "other body",
        "other sender",
        "URL alone",
    ],
)
async def test_a_forged_text_is_refused(
    house: House, twilio: Twilio, number: Number, marker: str, forge: Any
) -> None:
    accepted, sid = await drafted(house, twilio, marker), new_sid()
    form = inbound("1", sid)
    response = await number.post(WEBHOOK, form, forge(form))
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert f"{PUBLIC_URL}{WEBHOOK}" in response.json()["detail"]
    assert AUTH_TOKEN not in response.text
    assert await kept(house, sid) == []
    assert await decisions(house, accepted) == []


async def test_a_stranger_decides_nothing(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    accepted, sid = await drafted(house, twilio, marker), new_sid()
    for sender in (STRANGER, "anonymous", "+"):
        response = await number.post(WEBHOOK, inbound("1", sid, sender))
        assert response.status_code == HTTPStatus.FORBIDDEN
    assert await kept(house, sid) == []
    assert await decisions(house, accepted) == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([("Body", "3")], HTTPStatus.UNPROCESSABLE_ENTITY),
        ([("From", STRANGER)], HTTPStatus.UNPROCESSABLE_ENTITY),
        ([("MediaUrl", "a"), ("MediaUrl", "b")], HTTPStatus.OK),
        ([("Body", "what?")], HTTPStatus.OK),
    ],
    ids=["two bodies", "two senders", "two of what nobody reads", "one body twice"],
)
async def test_of_two_values_of_one_parameter_none_is_believed(
    number: Number, more: list[tuple[str, str]], expected: HTTPStatus
) -> None:
    """Signed as Twilio's libraries sign them: sorted, and equal ones once."""
    pairs = [*inbound("what?", new_sid()).items(), *more]
    url = PUBLIC_URL + WEBHOOK + "".join(k + v for k, v in sorted(set(pairs)))
    response = await number.raw(WEBHOOK, urlencode(pairs), signature(url, {}))
    assert response.status_code == expected, response.text


@pytest.mark.parametrize("left_out", ["MessageSid", "From"])
async def test_a_text_without_sender_or_sid_is_refused(number: Number, left_out: str) -> None:
    form = {k: v for k, v in inbound("1", new_sid()).items() if k != left_out}
    response = await number.post(WEBHOOK, form)
    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert left_out in response.json()["detail"]


async def test_what_is_no_form_of_twilios_is_refused(number: Number) -> None:
    many = "&".join(f"a{n}=1" for n in range(500))
    for body, status in [
        ("x" * 70_000, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (many, HTTPStatus.UNPROCESSABLE_ENTITY),
        ("Body=%ff%fe&From=%00", HTTPStatus.UNAUTHORIZED),
        ("", HTTPStatus.UNAUTHORIZED),
    ]:
        assert (await number.raw(WEBHOOK, body, "x")).status_code == status


async def test_the_query_is_signed_too(house: House, number: Number) -> None:
    sid = new_sid()
    response = await number.post(WEBHOOK, inbound("1", sid), query="?from=console&x=%20")
    assert await said(house, response, sid, "nothing_waiting")


async def test_a_body_with_nul_is_kept_without_it(house: House, number: Number) -> None:
    sid = new_sid()
    assert await said(house, await number.say("wh\0at? 📧", sid), sid, "not_understood")
    assert (await kept(house, sid))[0]["body"] == "what? 📧"


async def test_json_is_believed_by_its_hash(house: House, number: Number) -> None:
    sid = new_sid()
    body = json.dumps(inbound("1", sid))
    digest = hashlib.sha256(body.encode()).hexdigest()
    path = f"{WEBHOOK}?bodySHA256={digest}"
    signed = signature(f"{PUBLIC_URL}{path}", {})
    kind = "application/json"
    assert await said(house, await number.raw(path, body, signed, kind), sid, "nothing_waiting")
    other = body.replace(sid, new_sid())
    assert (await number.raw(path, other, signed, kind)).status_code == HTTPStatus.UNAUTHORIZED
    unhashed = signature(f"{PUBLIC_URL}{WEBHOOK}", {})
    response = await number.raw(WEBHOOK, body, unhashed, kind)
    assert response.status_code == HTTPStatus.UNAUTHORIZED


async def test_too_many_texts_are_refused(house: House, number: Number) -> None:
    async with bridge_on(house.context, sms_per_minute=2) as http:
        codes = [(await Number(http).say("what?")).status_code for _ in range(3)]
    assert codes == [HTTPStatus.OK, HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS]


async def test_without_twilio_there_is_no_such_webhook(house: House) -> None:
    secrets = replace(house.context.secrets, twilio=None, webhook=None)
    async with bridge_on(replace(house.context, secrets=secrets)) as http:
        assert (await Number(http).say("1")).status_code == HTTPStatus.NOT_FOUND
        gateway = await http.post("/orchestrator/sms-response", content=b"{}")
    assert gateway.status_code == HTTPStatus.NOT_FOUND


async def test_a_bridge_in_production_needs_no_secret_of_a_gateway(
    house: House, database: URL, marker: str
) -> None:
    """Its settings alone make it believe Twilio, and nobody else."""
    own, sid = house.adapters.engines.write.url, new_sid()
    given = {
        "db_host": own.host or database.query["host"],
        "db_port": own.port or 5432,
        "db_name": own.database,
        "db_user": own.username,
        "mailroom_port": 0,
        "sms_webhook_secret": None,
    }
    settings = house.settings.model_copy(update=given)
    async with bridging(settings, smtp=False) as [url], httpx.AsyncClient(base_url=url) as http:
        assert await said(house, await Number(http).say("what?", sid), sid, "not_understood")
        forged = await Number(http).post(WEBHOOK, inbound("1", new_sid()), "x")
        gateway = await http.post("/orchestrator/sms-response", content=b"{}")
    assert forged.status_code == HTTPStatus.UNAUTHORIZED
    assert gateway.status_code == HTTPStatus.NOT_FOUND


# STOP


async def untextable(house: House, marker: str, count: int = 1) -> Accepted:
    """A mail of which the owner is told by e-mail, since the text can't be sent."""
    raw = mail(
        f"{marker}@example.com", f"Hi {marker}", message_id=f"<{count}.{marker}@example.com>"
    )
    accepted = await house.receive(raw)
    await house.sink.wait_about(OWNER, marker, count)
    row = await house.reached(accepted, MailState.FAILED)
    assert row.failed_stage is Stage.SMS
    assert "START" in (row.error_message or "")
    return accepted


async def test_a_number_that_twilio_calls_stopped_is_told_by_mail_and_approves_nothing(
    house: House, twilio: Twilio, number: Number, marker: str
) -> None:
    """Error 21610: Twilio heard a STOP that never came here."""
    twilio.stopped.add(PHONE)
    first = await untextable(house, marker)
    assert (await house.row(first)).error_message == (
        "Twilio answered 400: Attempt to send to unsubscribed recipient (error 21610). The phone "
        "answered STOP; it is not texted until it texts START to the number."
    )
    asked = twilio.tries.total()
    second = await untextable(house, marker, 2)
    assert twilio.tries.total() == asked, "a number that said STOP was texted"
    assert house.sink.mails[f"{marker}@example.com"] == []
    twilio.stopped.clear()
    sid = new_sid()
    assert await said(house, await number.say("START", sid), sid, "started")
    for accepted in (first, second):
        await house.context.flows.retry(accepted.workflow_id)
    await twilio.wait_for(marker, 2)
    for accepted in (first, second):
        await house.reached(accepted, MailState.AWAITING_USER)
        assert await decisions(house, accepted) == []


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("STOP", {}, "stopped"),
        ("stopall", {"OptOutType": "STOP"}, "stopped"),
        ("arrêt", {"OptOutType": "STOP"}, "stopped"),
        ("1", {"OptOutType": "STOP"}, "stopped"),
        ("reprendre", {"OptOutType": "START"}, "started"),
        ("1", {"OptOutType": "START"}, "started"),
        ("YES", {}, "started"),
        ("aide", {"OptOutType": "HELP"}, "not_understood"),
        ("1", {"OptOutType": "HELP"}, "not_understood"),
    ],
)
async def test_what_twilio_takes_for_a_carriers_word_decides_nothing(
    house: House,
    twilio: Twilio,
    number: Number,
    marker: str,
    body: str,
    kind: dict[str, str],
    expected: str,
) -> None:
    accepted, sid = await drafted(house, twilio, marker), new_sid()
    assert await said(house, await number.say(body, sid, **kind), sid, expected)
    assert await house.context.texts.stopped(PHONE) is (expected == "stopped")
    assert (await kept(house, sid))[0]["body"] == body
    assert await decisions(house, accepted) == []


# Delivery receipts


@asynccontextmanager
async def shown(
    house: House, bridge: httpx.AsyncClient, accepted: Accepted
) -> AsyncIterator[tuple[str, Any]]:
    """The SID of the text about a mail, and a look at `sms_status` and `sms_error_code`."""

    async def look() -> tuple[str | None, str | None]:
        path = f"/workflow/{quote(accepted.message_id, safe='')}"
        detail = (await bridge.get(path, headers=BEARER)).json()
        return detail["sms_status"], detail["sms_error_code"]

    sid = (await house.row(accepted)).sms_message_id
    assert sid is not None
    yield sid, look


async def test_receipts_are_shown_and_never_go_back(
    house: House, twilio: Twilio, number: Number, bridge: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, twilio, marker)
    async with shown(house, bridge, accepted) as (sid, look):
        assert await look() == (None, None)
        for status, expected in [
            ("sending", "queued"),
            ("sent", "sent"),
            ("queued", "sent"),
            ("some-new-status", "sent"),
            ("delivered", "delivered"),
            ("sent", "delivered"),
            ("undelivered", "delivered"),
        ]:
            assert (await number.receipt(sid, status)).status_code == HTTPStatus.NO_CONTENT
            assert await look() == (expected, None), status


async def test_why_a_text_was_not_delivered_is_shown(
    house: House, twilio: Twilio, number: Number, bridge: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, twilio, marker)
    async with shown(house, bridge, accepted) as (sid, look):
        await number.receipt(sid, "undelivered", ErrorCode="30007")
        assert await look() == ("undelivered", "30007")


async def test_a_receipt_may_come_before_its_text_is_noted(
    house: House, number: Number, marker: str
) -> None:
    """Twilio can be faster than our own store."""
    await number.receipt(f"SM{marker}", "sent")
    receipt = await house.context.views.receipt(f"SM{marker}")
    assert receipt is not None
    assert receipt.status == "sent"


async def test_receipts_at_once_leave_the_last_status(
    house: House, number: Number, marker: str
) -> None:
    statuses = ["queued", "sent", "delivered", "sending"] * 5
    await asyncio.gather(*[number.receipt(f"SM{marker}", status) for status in statuses])
    receipt = await house.context.views.receipt(f"SM{marker}")
    assert receipt is not None
    assert receipt.status == "delivered"


async def test_a_forged_receipt_changes_nothing(house: House, number: Number, marker: str) -> None:
    form = {"MessageSid": f"SM{marker}", "MessageStatus": "delivered", "To": PHONE}
    for signed in ("", signature(f"{PUBLIC_URL}{WEBHOOK}", form)):
        response = await number.post(STATUS, form, signed)
        assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert await house.context.views.receipt(f"SM{marker}") is None


async def test_a_receipt_can_say_that_the_number_said_stop(
    house: House, number: Number, marker: str
) -> None:
    await number.receipt(f"SM{marker}", "failed", ErrorCode="21610")
    assert await house.context.texts.stopped(PHONE)
