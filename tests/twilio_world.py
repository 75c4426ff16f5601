"""Twilio, as it documents itself: a server on loopback that takes texts, and its signed webhooks.

What it does is asked for in the text itself: `tw-CODE` refuses with that error, `tw-busy`,
`tw-down`, `tw-page` and `tw-hang` are what Twilio or the way to it has in bad moments. Whoever
is in `stopped` has texted STOP to the number.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from web import web_server
from world import PHONE

ACCOUNT_SID = "ACa1b2c3d4e5f60718293a4b5c6d7e8f90"
AUTH_TOKEN = "a-token-of-twilios-for-tests"
NUMBER = "+12025550177"
PUBLIC_URL = "https://mail.example.test"
WEBHOOK = "/orchestrator/twilio"
STATUS = "/orchestrator/twilio/status"

# https://www.twilio.com/docs/api/errors; the words are Twilio's.
ERRORS = {
    14107: (429, "Message rate limit exceeded"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    21211: (400, "Invalid 'To' Phone Number: {to}"),
    21408: (400, "Permission to send an SMS has not been enabled for the region: {to}"),
    21602: (400, "Message body is required."),
    21606: (400, "The From phone number {sender} is not a valid, SMS-capable inbound number"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and 'From'"),
    21614: (400, "'To' number is not a valid mobile number: {to}"),
    30007: (400, "Message filtered"),
}


def signature(url: str, parameters: dict[str, str], token: str = AUTH_TOKEN) -> str:
    """As Twilio's page describes it, written once more so that no mistake is shared."""
    text = url
    for name in sorted(parameters):
        text += name + parameters[name]
    mac = hmac.new(token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


@dataclass
class Twilio:
    """`forms` are those that were taken, oldest first."""

    url: str = ""
    status: str = "active"
    kind: str = "Full"
    numbers: list[dict[str, Any]] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    forms: list[dict[str, str]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> FastAPI:
        app, account = FastAPI(), "/2010-04-01/Accounts/{sid}"

        @app.post(f"{account}/Messages.json")
        async def messages(sid: str, request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            return self.stranger(sid, request) or await self.take(form)

        @app.get(f"{account}/IncomingPhoneNumbers.json")
        async def numbers(sid: str, request: Request, PhoneNumber: str) -> Response:
            found = [one for one in self.numbers if one["phone_number"] == PhoneNumber]
            page = {"incoming_phone_numbers": found, "page": 0, "page_size": 50}
            return self.stranger(sid, request) or JSONResponse(page)

        @app.get(f"{account}.json")
        async def itself(sid: str, request: Request) -> Response:
            shown = {"sid": sid, "status": self.status, "type": self.kind, "friendly_name": "M"}
            return self.stranger(sid, request) or JSONResponse(shown)

        return app

    def stranger(self, sid: str, request: Request) -> Response | None:
        login = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return refusal(20003)
        return None if sid == ACCOUNT_SID else refusal(20404)

    async def take(self, form: dict[str, str]) -> Response:
        body, to = form.get("Body", ""), form.get("To", "")
        self.tries[body] += 1
        if "tw-hang" in body:
            await self.hurry.wait()
        if refused := self.verdict(form):
            return refused
        self.forms.append(form)
        async with self.arrived:
            self.arrived.notify_all()
        return JSONResponse(self.message(to, body), 201)

    def verdict(self, form: dict[str, str]) -> Response | None:
        body = form.get("Body", "")
        if asked := re.search(r"tw-(\d{5})", body):
            return refusal(int(asked[1]), form)
        if "tw-down" in body or ("tw-fail-2" in body and self.tries[body] <= 2):
            return JSONResponse({"code": 20500, "message": "Internal Server Error"}, 500)
        if "tw-page" in body:
            return HTMLResponse("<html>Bad \x00Request</html>", 400)
        if form.get("To") in self.stopped:
            return refusal(21610, form)
        if form.get("From") != NUMBER:
            return refusal(21606, form)
        return None if body else refusal(21602, form)

    def message(self, to: str, body: str) -> dict[str, Any]:
        sid = f"SM{hashlib.md5(f'{to}{body}{len(self.forms)}'.encode()).hexdigest()}"
        return {
            "account_sid": ACCOUNT_SID,
            "api_version": "2010-04-01",
            "body": body,
            "date_created": "Sat, 21 Nov 2026 10:00:00 +0000",
            "date_sent": None,
            "date_updated": "Sat, 21 Nov 2026 10:00:00 +0000",
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": NUMBER,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "sid": sid,
            "status": "queued",
            "subresource_uris": {},
            "to": to,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json",
        }

    def bodies(self, marker: str) -> list[str]:
        return [form["Body"] for form in self.forms if marker in form["Body"]]

    async def wait_for(self, marker: str, count: int = 1, seconds: float = 30) -> list[str]:
        """Bodies of the texts that contain the marker, once there are `count` of them."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.bodies(marker)) >= count)
        return self.bodies(marker)


def refusal(code: int, form: dict[str, str] | None = None) -> JSONResponse:
    status, words = ERRORS[code]
    filled = words.format(to=(form or {}).get("To"), sender=(form or {}).get("From"))
    more = f"https://www.twilio.com/docs/errors/{code}"
    content = {"code": code, "message": filled, "more_info": more, "status": status}
    return JSONResponse(content, status)


@dataclass
class Number:
    """The number that the owner texts to: Twilio's side of the webhooks."""

    http: httpx.AsyncClient

    async def say(self, body: str, sid: str | None = None, **more: str) -> httpx.Response:
        return await self.post(WEBHOOK, text(body, sid or new_sid(), **more))

    async def receipt(self, sid: str, status: str, **more: str) -> httpx.Response:
        said = {"MessageSid": sid, "MessageStatus": status, "To": PHONE, "From": NUMBER}
        return await self.post(STATUS, said | {"AccountSid": ACCOUNT_SID} | more)

    async def post(
        self, path: str, parameters: dict[str, str], signed: str | None = None, query: str = ""
    ) -> httpx.Response:
        """A form; `signed` is what Twilio puts into its header, the right signature if None."""
        right = signature(f"{PUBLIC_URL}{path}{query}", parameters)
        return await self.raw(
            f"{path}{query}", urlencode(parameters), right if signed is None else signed
        )

    async def raw(
        self, path: str, body: str, signed: str, kind: str = "application/x-www-form-urlencoded"
    ) -> httpx.Response:
        headers = {"X-Twilio-Signature": signed, "Content-Type": f"{kind}; charset=UTF-8"}
        return await self.http.post(path, content=body.encode(), headers=headers)


def text(body: str, sid: str, sender: str = PHONE, **more: str) -> dict[str, str]:
    """What Twilio posts for a text to the number, empty parameters included."""
    return {
        "ToCountry": "US",
        "ToState": "",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "SmsSid": sid,
        "SmsStatus": "received",
        "Body": body,
        "To": NUMBER,
        "NumSegments": "1",
        "MessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "From": sender,
        "ApiVersion": "2010-04-01",
    } | more


def new_sid() -> str:
    return f"SM{uuid4().hex}"


@contextlib.asynccontextmanager
async def twilio_running() -> AsyncIterator[Twilio]:
    twilio = Twilio()
    async with web_server(twilio.app()) as twilio.url:
        try:
            yield twilio
        finally:
            twilio.hurry.set()
