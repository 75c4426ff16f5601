"""Checks of the Twilio account: its credentials, its state, its number and where that calls.

Nothing is sent. https://www.twilio.com/docs/iam/api/account and
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from http import HTTPStatus

import httpx
from pydantic import BaseModel, ValidationError

from mailroom.adapters.http import http_client
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.adapters.twilio import WEBHOOK_PATH, Account, account_of
from mailroom.cli.findings import Finding, failed, ok, warning

CHECK, NUMBER_CHECK = "Twilio", "Twilio number"
SECONDS = 5.0
CONSOLE = "https://console.twilio.com"


class _AccountItself(BaseModel):
    """`status` is active, suspended or closed; `type` Full or Trial."""

    status: str
    type: str = "Full"


class _Number(BaseModel):
    sms_url: str | None = None
    sms_method: str | None = None
    capabilities: dict[str, bool] = {}


class _Numbers(BaseModel):
    incoming_phone_numbers: list[_Number]


async def twilio(settings: Settings) -> list[Finding]:
    """Nothing to say where Twilio is not configured."""
    try:
        account = account_of(settings)
    except BadConfiguration as error:
        return [failed(CHECK, "can't be used as it is configured", str(error))]
    if account is None:
        return []
    try:
        async with http_client(SECONDS) as http:
            return await _examined(http, account, settings)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = str(error) or type(error).__name__
        mend = "Open the way to it, or correct TWILIO_API_URL."
        return [failed(CHECK, f"{account.api_url} can't be reached ({problem})", mend)]
    except ValidationError:
        mend = "Correct TWILIO_API_URL, or take away the proxy on the way."
        return [failed(CHECK, f"{account.api_url} does not answer as Twilio does", mend)]


async def _examined(http: httpx.AsyncClient, account: Account, settings: Settings) -> list[Finding]:
    answer = await http.get(f"{account.url}.json", auth=account.login)
    if not answer.is_success:
        return [_refused(answer)]
    itself = _AccountItself.model_validate_json(answer.content)
    if itself.status != "active":
        mend = f"Make it active again: {CONSOLE}."
        return [failed(CHECK, f"the account is {itself.status}", mend)]
    found = await http.get(
        f"{account.url}/IncomingPhoneNumbers.json",
        params={"PhoneNumber": account.number},
        auth=account.login,
    )
    numbers = _Numbers.model_validate_json(found.content).incoming_phone_numbers
    return [_active(itself), _number(account, numbers, settings)]


def _refused(answer: httpx.Response) -> Finding:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        mend = f"Correct TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: both are on {CONSOLE}."
        return failed(CHECK, "Twilio refuses the credentials", mend)
    mend = "Try again later; https://status.twilio.com says what is wrong there."
    return failed(CHECK, f"Twilio answered {answer.status_code}", mend)


def _active(itself: _AccountItself) -> Finding:
    if itself.type == "Trial":
        mend = "Verify YOUR_PHONE_NUMBER in the console, or upgrade the account."
        return warning(CHECK, "a trial account, which texts verified numbers only", mend)
    return ok(CHECK, "credentials right, account active")


def _number(account: Account, numbers: list[_Number], settings: Settings) -> Finding:
    """Whether it is ours, sends texts, and calls this Mailroom."""
    if not numbers:
        mend = f"Set TWILIO_FROM_NUMBER to one of {CONSOLE}, Phone Numbers, Active numbers."
        return failed(NUMBER_CHECK, f"{account.number} is not of this account", mend)
    number = numbers[0]
    if not number.capabilities.get("sms", True):
        mend = "Take a number with the capability SMS as TWILIO_FROM_NUMBER."
        return failed(NUMBER_CHECK, f"{account.number} sends no texts", mend)
    if not settings.mailroom_public_url:
        mend = "Set MAILROOM_PUBLIC_URL to the outside address of the bridge."
        return failed(NUMBER_CHECK, "Twilio has no address to hand answers over to", mend)
    return _calls(number, f"{settings.mailroom_public_url}{WEBHOOK_PATH}")


def _calls(number: _Number, wanted: str) -> Finding:
    """A Messaging Service may call instead of the number, which is why this fails nothing."""
    mend = f'In the console set "A message comes in" of the number to Webhook, {wanted}, HTTP POST.'
    if number.sms_url != wanted:
        return warning(NUMBER_CHECK, f"texts to it go to {number.sms_url or 'nobody'}", mend)
    if number.sms_method != "POST":
        return warning(NUMBER_CHECK, f"it calls by {number.sms_method}", mend)
    return ok(NUMBER_CHECK, f"texts to it come to {wanted}")
