"""Texts by Twilio's API: what it answers, and whether another try is worth it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from twilio_world import ACCOUNT_SID, AUTH_TOKEN, NUMBER, PUBLIC_URL, Twilio, twilio_running
from world import PHONE

from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.adapters.twilio import Account, TwilioTexter, account_of
from mailroom.local.dev import local
from mailroom.ports import Permanent, Transient

CALLBACK = f"{PUBLIC_URL}/orchestrator/twilio/status"
ALL_SET = {
    "twilio_account_sid": ACCOUNT_SID,
    "twilio_auth_token": AUTH_TOKEN,
    "twilio_from_number": NUMBER,
}


@dataclass
class Sender:
    """A texter, and who it was told not to text."""

    http: httpx.AsyncClient
    account: Account
    stopped: list[str] = field(default_factory=list)

    async def send(self, body: str, callback: str | None = None) -> str:
        async def mark(number: str) -> None:
            self.stopped.append(number)

        texter = TwilioTexter(self.http, self.account, mark, callback)
        return await texter.send(PHONE, body, "a-reference")


@pytest.fixture(scope="module")
async def twilio() -> AsyncIterator[Twilio]:
    async with twilio_running() as running:
        yield running


@pytest.fixture
async def sender(twilio: Twilio) -> AsyncIterator[Sender]:
    async with httpx.AsyncClient(timeout=5) as http:
        yield Sender(http, Account(ACCOUNT_SID, AUTH_TOKEN, NUMBER, twilio.url))


async def test_a_text_is_taken_under_its_sid(twilio: Twilio, sender: Sender) -> None:
    sid = await sender.send("Ünïcode & =? 📧\n1=Send", CALLBACK)
    assert sid.startswith("SM")
    assert twilio.forms[-1] == {
        "To": PHONE,
        "From": NUMBER,
        "Body": "Ünïcode & =? 📧\n1=Send",
        "StatusCallback": CALLBACK,
    }


async def test_without_an_outside_address_no_receipt_is_asked_for(
    twilio: Twilio, sender: Sender
) -> None:
    await sender.send("no callback")
    assert "StatusCallback" not in twilio.forms[-1]


@pytest.mark.parametrize(
    ("code", "mended_by"),
    [
        (20003, "TWILIO_AUTH_TOKEN"),
        (20404, "TWILIO_ACCOUNT_SID"),
        (21211, "YOUR_PHONE_NUMBER"),
        (21408, "Geo permissions"),
        (21606, "TWILIO_FROM_NUMBER"),
        (21609, "StatusCallback"),
        (21610, "START"),
        (21612, "TWILIO_FROM_NUMBER"),
        (21614, "mobile phone"),
        (30007, "A2P"),
    ],
)
async def test_what_the_request_is_blamed_for_is_final(
    sender: Sender, code: int, mended_by: str
) -> None:
    with pytest.raises(Permanent) as refused:
        await sender.send(f"tw-{code}")
    sentence = str(refused.value)
    assert f"error {code}" in sentence
    assert mended_by in sentence
    assert PHONE not in sentence
    assert sender.stopped == ([PHONE] if code == 21610 else [])


@pytest.mark.parametrize("body", ["tw-14107", "tw-20429", "tw-21611", "tw-down"])
async def test_what_the_moment_is_blamed_for_is_tried_again(sender: Sender, body: str) -> None:
    with pytest.raises(Transient, match="Twilio answered"):
        await sender.send(body)
    assert sender.stopped == []


async def test_an_answer_that_is_no_json_is_cut_and_shown(sender: Sender) -> None:
    with pytest.raises(Permanent) as refused:
        await sender.send("tw-page")
    assert str(refused.value) == "Twilio answered 400: <html>Bad Request</html>."


async def test_no_answer_in_time_is_tried_again(twilio: Twilio, sender: Sender) -> None:
    twilio.hurry.clear()
    sender.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(Transient, match="ReadTimeout"):
        await sender.send("tw-hang once")
    twilio.hurry.set()
    sender.http.timeout = httpx.Timeout(5)
    assert await sender.send("tw-hang once")
    # The docstring's promise: the first one may have arrived, too.
    await twilio.wait_for("tw-hang once", 2)


async def test_a_twilio_that_is_away_is_tried_again(sender: Sender) -> None:
    away = replace(sender, account=replace(sender.account, api_url="http://127.0.0.1:9"))
    with pytest.raises(Transient, match="can't be reached"):
        await away.send("hello")


async def test_wrong_credentials_are_named_and_never_shown(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = replace(sender.account, token="not-the-token")
    with pytest.raises(Permanent, match="TWILIO_AUTH_TOKEN") as refused:
        await replace(sender, account=account).send("hello")
    assert "not-the-token" not in f"{refused.value} {account!r} {caplog.text}"


async def test_texts_at_once_have_sids_of_their_own(sender: Sender) -> None:
    sids = await asyncio.gather(*[sender.send(f"text {n}") for n in range(10)])
    assert len(set(sids)) == 10


# Which of the providers sends


def settings(**given: object) -> Settings:
    return Settings.model_validate(given)


def test_all_three_variables_make_an_account() -> None:
    account = account_of(settings(**ALL_SET))
    assert account is not None
    assert account.url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}"
    assert account_of(settings()) is None


@pytest.mark.parametrize("name", ALL_SET)
def test_some_but_not_all_are_named(name: str) -> None:
    given = {key: value for key, value in ALL_SET.items() if key != name}
    with pytest.raises(BadConfiguration, match=f"^{name.upper()} not set"):
        account_of(settings(**given))


def test_two_providers_are_one_too_many() -> None:
    with pytest.raises(BadConfiguration, match="TWILIO_ACCOUNT_SID and SMS_GATEWAY_URL"):
        account_of(settings(**ALL_SET, sms_gateway_url="https://sms.example.org"))


def test_the_phone_in_the_browser_steps_aside(tmp_path: Path) -> None:
    assert local(settings(**ALL_SET), tmp_path, 1, 2).sms_gateway_url is None
    assert local(settings(), tmp_path, 1, 2).sms_gateway_url is not None
