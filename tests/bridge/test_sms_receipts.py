"""What the generic gateway says became of a text: `POST /orchestrator/sms-status`."""

import json
from dataclasses import dataclass
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from house import OWNER, TOKEN, WEBHOOK_SECRET, House
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError
from world import PHONE, Handset, eventually, mail

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.models.arrival import Accepted
from mailroom.models.names import lost_text_id
from mailroom.models.reply import reply_message_id
from mailroom.models.rows import SentText
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


# A text that was taken and did not arrive


async def notices(house: House, marker: str) -> list[EmailMessage]:
    """The owner's mails that quote a text with this word."""
    mails = house.sink.mails[OWNER]
    return [one for one in mails if marker in one.get_content()]


async def ended(house: House, text: str) -> None:
    handle = house.client.get_workflow_handle(lost_text_id(text))

    async def has() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(has)


async def prompted(house: House, marker: str, text: str = "Hi") -> tuple[Accepted, WorkflowState]:
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"Hi {marker}", text=text)
    )
    return accepted, await house.reached(accepted, MailState.AWAITING_USER)


async def test_the_owner_is_told_once_by_mail_of_a_text_that_did_not_arrive(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    accepted, row = await prompted(house, marker)
    lost = {"message_id": row.sms_message_id, "status": "undelivered", "error_code": "absent"}
    for _ in range(3):
        response = await gateway_says.receipt(**lost)
        assert response.status_code == HTTPStatus.NO_CONTENT, response.text
    await gateway_says.receipt(**lost | {"status": "failed"})
    await ended(house, f"{accepted.workflow_id}/{await first_step(house, row)}")
    [told] = await notices(house, marker)
    assert told["Subject"] == "Mailroom: a text was not delivered"
    assert told["Auto-Submitted"] == "auto-generated"
    assert "undelivered, error absent" in told.get_content()
    # It decides nothing.
    assert (await house.row(accepted)).current_state is MailState.AWAITING_USER


async def first_step(house: House, row: WorkflowState) -> str:
    text = await house.context.texts.text(row.sms_message_id or "")
    assert text is not None
    return text.reference.split("/")[-2]


async def test_the_parts_of_one_prompt_are_one_notice(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    accepted, row = await prompted(house, marker, text="many words " * 200)
    step = await first_step(house, row)
    sent = [one for one in house.gateway.texts if one.reference.startswith(accepted.workflow_id)]
    assert len(sent) > 1
    for one in sent:
        await gateway_says.receipt(message_id=f"gw-{one.reference}", status="failed")
    await ended(house, f"{accepted.workflow_id}/{step}")
    keys = [f"{accepted.workflow_id}/{step}", *(f"gw-{one.reference}" for one in sent)]
    ids = {reply_message_id(lost_text_id(key), "notice", "mailroom.test") for key in keys}
    assert len([one for one in house.sink.mails[OWNER] if one["Message-ID"] in ids]) == 1


async def test_a_receipt_that_comes_before_its_text_is_kept_is_told_all_the_same(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    await gateway_says.receipt(message_id=marker, status="failed")
    text = SentText(
        reference=f"word/{marker}",
        owner="owner",
        message_id=None,
        to=PHONE,
        body=f"Sent. {marker}",
        provider_id=marker,
    )
    await house.context.texts.keep(text)
    await house.skip(minutes=5)
    await ended(house, marker)
    assert len(await notices(house, marker)) == 1


async def test_a_text_that_was_delivered_first_is_not_lost(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    accepted, row = await prompted(house, marker)
    for status in ("delivered", "undelivered"):
        await gateway_says.receipt(message_id=row.sms_message_id, status=status)
    workflow_id = lost_text_id(f"{accepted.workflow_id}/{await first_step(house, row)}")
    with pytest.raises(RPCError, match="not found"):
        await house.client.get_workflow_handle(workflow_id).describe()


async def test_a_text_that_is_not_ours_is_told_to_nobody(
    house: House, gateway_says: Gateway, marker: str
) -> None:
    before = len(house.sink.mails[OWNER])
    await gateway_says.receipt(message_id=marker, status="undelivered")
    await house.skip(minutes=5)
    await ended(house, marker)
    assert len(house.sink.mails[OWNER]) == before


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
