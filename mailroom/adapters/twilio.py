"""Twilio's Programmable Messaging: `POST /2010-04-01/Accounts/{SID}/Messages.json`.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel, Field, ValidationError

from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.models.text import one_line
from mailroom.ports import Permanent, Transient

WEBHOOK_PATH = "/orchestrator/twilio"
STATUS_PATH = "/orchestrator/twilio/status"

SAID_STOP = 21610
# Codes that blame the moment, whatever the HTTP status: too many requests, the rate of the
# number, its full queue (https://www.twilio.com/docs/api/errors).
TRANSIENT_CODES = frozenset({14107, 20429, 21611, 30001})
TRANSIENT_STATUSES = frozenset({408, 425, 429})

# What to do, where Twilio's own sentence doesn't say it in our words.
MENDED_BY = {
    20003: "Correct TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
    20404: "Correct TWILIO_ACCOUNT_SID.",
    21211: "Correct YOUR_PHONE_NUMBER.",
    21408: "Allow the country of your phone: Twilio console, Messaging, Geo permissions.",
    21606: "Correct TWILIO_FROM_NUMBER: a number of this account that can send texts.",
    21608: "Verify your phone in Twilio's console, or upgrade the trial account.",
    SAID_STOP: "The phone answered STOP; it is not texted until it texts START to the number.",
    21612: "This number can't text your phone; take another as TWILIO_FROM_NUMBER.",
    21614: "YOUR_PHONE_NUMBER takes no texts; set it to a mobile phone.",
    21659: "Correct TWILIO_FROM_NUMBER: a number of this account that can send texts.",
    30007: "A carrier filtered the text; register the number for A2P messaging.",
}


@dataclass(frozen=True)
class Account:
    """`api_url` differs from Twilio's own in tests only."""

    sid: str
    token: str = field(repr=False)
    number: str
    api_url: str

    @property
    def url(self) -> str:
        return f"{self.api_url}/2010-04-01/Accounts/{self.sid}"

    @property
    def login(self) -> httpx.BasicAuth:
        return httpx.BasicAuth(self.sid, self.token)


def account_of(settings: Settings) -> Account | None:
    """The account that sends the texts; None where Twilio is not configured."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    number = settings.twilio_from_number
    given = {
        "TWILIO_ACCOUNT_SID": sid,
        "TWILIO_AUTH_TOKEN": token,
        "TWILIO_FROM_NUMBER": number,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if not (sid and token and number):
        raise BadConfiguration(
            f"{' and '.join(missing)} not set, though Twilio is to send the texts; set all three "
            "TWILIO_* variables or none."
        )
    if settings.sms_gateway_url:
        raise BadConfiguration(
            "TWILIO_ACCOUNT_SID and SMS_GATEWAY_URL are both set; keep the one that sends your "
            "texts."
        )
    return Account(sid, token.get_secret_value(), number, settings.twilio_api_url)


def token_of(settings: Settings) -> str | None:
    """What Twilio signs its webhooks with."""
    account = account_of(settings)
    return account.token if account else None


class _Taken(BaseModel):
    sid: str = Field(min_length=1, max_length=200)


class _Refused(BaseModel):
    """Twilio's error: `code`, `message`, `more_info`, `status`."""

    code: int = 0
    message: str = ""


class TwilioTexter:
    """Twilio has no idempotency key. A text whose answer was lost (a time-out after the request
    was written, a worker killed before it noted the SID) is sent again as after any other
    failure, so it may arrive twice; both carry one code, and the first answer decides.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        account: Account,
        mark_stopped: Callable[[str], Awaitable[None]],
        status_callback: str | None = None,
    ) -> None:
        """`status_callback` is our outside URL for receipts; Twilio refuses one it can't reach
        (error 21609)."""
        self._client = client
        self._account = account
        self._mark_stopped = mark_stopped
        self._status_callback = status_callback

    async def send(self, to: str, body: str, reference: str) -> str:
        """The message's SID. After error 21610 the number counts as stopped here, too."""
        form = {"To": to, "From": self._account.number, "Body": body}
        if self._status_callback:
            form["StatusCallback"] = self._status_callback
        response = await self._post(form)
        if _code_of(response) == SAID_STOP:
            await self._mark_stopped(to)
        _refuse_errors(response, to)
        try:
            return _Taken.model_validate_json(response.content).sid
        except ValidationError as error:
            raise Transient("Twilio answered without the SID of the message.") from error

    async def _post(self, form: dict[str, str]) -> httpx.Response:
        url = f"{self._account.url}/Messages.json"
        try:
            return await self._client.post(url, data=form, auth=self._account.login)
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise Transient(f"Twilio can't be reached: {problem}.") from error


def _code_of(response: httpx.Response) -> int:
    return 0 if response.is_success else _refused(response).code


def _refused(response: httpx.Response) -> _Refused:
    try:
        return _Refused.model_validate_json(response.content)
    except ValidationError:
        return _Refused(message=response.text)


def _refuse_errors(response: httpx.Response, to: str) -> None:
    """Which answers are worth another try: all but those that blame the request."""
    if response.is_success:
        return
    refused = _refused(response)
    sentence = f"Twilio answered {response.status_code}: {_said(refused, to)}"
    transient = response.status_code in TRANSIENT_STATUSES or response.is_server_error
    if transient or refused.code in TRANSIENT_CODES:
        raise Transient(sentence)
    raise Permanent(sentence)


def _said(refused: _Refused, to: str) -> str:
    """Twilio's sentence without the number it is about, and what to do."""
    said = one_line(refused.message.replace(to, "your phone"), 200) or "no reason given"
    code = f" (error {refused.code})" if refused.code else ""
    return " ".join(filter(None, (f"{said.rstrip('.')}{code}.", MENDED_BY.get(refused.code))))
