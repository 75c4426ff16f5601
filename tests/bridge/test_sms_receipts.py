"""What the generic gateway says became of a text: `POST /orchestrator/sms-status`."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from house import TOKEN, WEBHOOK_SECRET, House
from world import Handset, mail

from mailroom.models.states import MailState

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Gateway:
    """Signs receipts as it signs texts."""

    http: httpx.AsyncClient
    signer: Handset

    async def receipt(self, signed: bool = True, **content: Any) -> httpx.Response:
        raw = json.dumps(content).encode()
        headers = self.signer.signature(raw) if signed else {}
        return await self.http.post("/orchestrator/sms-status", content=raw, headers=headers)


@pytest.fixture
def gateway_says(bridge: httpx.AsyncClient) -> Gateway:
    return Gateway(bridge, Handset(bridge, WEBHOOK_SECRET))


async def test_a_receipt_is_shown_with_the_mail(
    house: House, bridge: httpx.AsyncClient, gateway_says: Gateway, marker: str
) -> None:
    accepted = await house.receive(mail(sender=f"{marker}@example.com", subject=f"Hi {marker}"))
    text_id = (await house.reached(accepted, MailState.AWAITING_USER)).sms_message_id
    sent = {"message_id": text_id, "status": "sent", "timestamp": "2025-11-21T10:00:09Z"}
    failed = {"message_id": text_id, "status": "undelivered", "error_code": "absent", "new": 1}
    for content in (failed, sent):
        response = await gateway_says.receipt(**content)
        assert response.status_code == HTTPStatus.NO_CONTENT, response.text
    path = f"/workflow/{quote(accepted.message_id, safe='')}"
    detail = (await bridge.get(path, headers=BEARER)).json()
    assert (detail["sms_status"], detail["sms_error_code"]) == ("undelivered", "absent")


async def test_the_time_of_a_receipt_is_the_gateways(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    said = {"message_id": marker, "status": "sent", "timestamp": "2025-11-21T10:00:09+01:00"}
    await gateway_says.receipt(**said)
    receipt = await house.context.views.receipt(marker)
    assert receipt is not None
    assert receipt.status_at.timestamp() == 1763715609


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"status": "eaten"}, "status"),
        ({"message_id": ""}, "message_id"),
        ({"message_id": "a\0b"}, "message_id"),
        ({"timestamp": "2025-11-21T10:00:09"}, "timestamp"),
        ({"error_code": "x" * 101}, "error_code"),
    ],
)
async def test_a_malformed_receipt_is_named(
    house: House, gateway_says: Gateway, marker: str, content: dict[str, str], field: str
) -> None:
    said = {"message_id": marker, "status": "sent"} | content
    response = await gateway_says.receipt(**said)
    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert response.json()["detail"].startswith(f"{field}:")
    assert await house.context.views.receipt(marker) is None


async def test_a_forged_receipt_changes_nothing(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    response = await gateway_says.receipt(signed=False, message_id=marker, status="delivered")
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert await house.context.views.receipt(marker) is None
