"""The owners' phones in the browser: an SMS gateway for texts to them, and their answers.

It is the other side of two protocols and knows nothing of workflows: texts arrive by
`POST {SMS_GATEWAY_URL}/sms/send`, answers leave through the signed webhook.
"""

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import httpx
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field
from standardwebhooks import Webhook

from mailroom.bridge.auth import Caller, Who
from mailroom.bridge.problems import Problem

TEXT_LIMIT = 2_000


class PhoneText(BaseModel):
    """One text; `to` is None for those that an owner wrote, and `sender` says who: the first one
    where it doesn't."""

    id: str
    to: str | None
    sender: str | None = None
    body: str
    sent_at: datetime
    client_reference: str | None = None


class SendText(BaseModel):
    to: str
    body: str
    client_reference: str | None = None


class OwnersText(BaseModel):
    """`owner`: the caller's first one if it is not given."""

    body: str = Field(min_length=1, max_length=TEXT_LIMIT)
    owner: str = ""


class Phone:
    """Keeps the texts of all owners in one file, a line each; they are there after a kill.
    `numbers` are the owners' by their ID, the first owner's first."""

    def __init__(
        self, file: Path, numbers: Mapping[str, str], webhook_url: str, secret: str
    ) -> None:
        self._file = file
        self.numbers = numbers
        self._webhook_url = webhook_url
        self._webhook = Webhook(secret)
        self._texts = list(_read(file))
        self._by_reference = {text.client_reference: text for text in self._texts}
        self.changed = asyncio.Condition()

    @property
    def texts(self) -> list[PhoneText]:
        return self._texts

    def of(self, owner: str) -> list[PhoneText]:
        """What this owner got and wrote, oldest first; everything where there is but one."""
        if len(self.numbers) == 1:
            return self._texts
        number = self.numbers[owner]
        first = next(iter(self.numbers.values()))
        return [text for text in self._texts if number == (text.to or text.sender or first)]

    def whose(self, who: Caller, owner: str) -> str:
        """The owner that the caller means, or their first one; a problem for somebody else's."""
        known = [each for each in who.owners if each in self.numbers]
        if owner in known or (known and not owner):
            return owner or known[0]
        raise Problem(
            HTTPStatus.NOT_FOUND, "No owner of yours has a phone here (phone in mailroom.toml)."
        )

    async def take(self, text: SendText) -> PhoneText:
        """Shows a text, once for each `client_reference`."""
        known = self._by_reference.get(text.client_reference) if text.client_reference else None
        if known:
            return known
        return await self._show(
            PhoneText(
                id=f"sms-{uuid.uuid4().hex[:16]}",
                to=text.to,
                body=text.body,
                sent_at=datetime.now(UTC),
                client_reference=text.client_reference,
            )
        )

    async def answer(self, http: httpx.AsyncClient, owner: str, body: str) -> httpx.Response:
        """The owner answers: a signed webhook like any gateway's."""
        text = PhoneText(
            id=f"in-{uuid.uuid4().hex[:16]}",
            to=None,
            sender=self.numbers[owner],
            body=body,
            sent_at=datetime.now(UTC),
        )
        await self._show(text)
        return await self.deliver(http, text)

    async def deliver(self, http: httpx.AsyncClient, text: PhoneText) -> httpx.Response:
        content = _Delivery(
            message_id=text.id, sender=text.sender or "", body=text.body, timestamp=text.sent_at
        ).model_dump_json(by_alias=True)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": text.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(text.id, now, content),
        }
        return await http.post(self._webhook_url, content=content, headers=headers)

    async def _show(self, text: PhoneText) -> PhoneText:
        _append(self._file, text)
        self._texts.append(text)
        if text.client_reference:
            self._by_reference[text.client_reference] = text
        async with self.changed:
            self.changed.notify_all()
        return text


class _Delivery(BaseModel):
    message_id: str
    sender: str = Field(serialization_alias="from")
    body: str
    timestamp: datetime


def _read(file: Path) -> Iterable[PhoneText]:
    """All whole lines; a kill can leave half of the last one, which is cut off."""
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(file, len(whole))
    for line in whole.splitlines():
        yield PhoneText.model_validate_json(line)


def _append(file: Path, text: PhoneText) -> None:
    with file.open("ab") as out:
        out.write(text.model_dump_json().encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())


def router(phone: Phone, http: httpx.AsyncClient) -> APIRouter:
    """`/dev/sms`, and the gateway under `/dev/gateway`."""
    routes = APIRouter(tags=["dev"])

    @routes.post("/dev/gateway/sms/send")
    async def send(text: SendText, who: Who) -> dict[str, str]:
        return {"message_id": (await phone.take(text)).id}

    @routes.get("/dev/sms")
    async def texts(who: Who, owner: str = "") -> list[PhoneText]:
        """Texts to the owner, oldest first."""
        return [text for text in phone.of(phone.whose(who, owner)) if text.to is not None]

    @routes.post("/dev/sms")
    async def answer(text: OwnersText, who: Who) -> Response:
        """The owner answers, through the signed webhook; its answer is passed on."""
        response = await phone.answer(http, phone.whose(who, text.owner), text.body)
        kind = response.headers["content-type"]
        return Response(response.content, response.status_code, media_type=kind)

    return routes
