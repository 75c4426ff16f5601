"""A campaign as its recipients see it: signed, left by one click, and then silent."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import dkim
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from house import House, address_of, house_on, settings_for
from outbound_world import Outbound
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink

from mailroom.adapters.dkim import read_key
from mailroom.models.outbound.dkim import DkimSection
from mailroom.models.outbound.words import MessageQueueStatus

KEY = DkimSection(domain="company.com", selector="s1", key_file=Path("set.by.the.house"))


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> DkimSection:
    file = tmp_path_factory.mktemp("keys") / "s1.pem"
    key = Ed25519PrivateKey.generate()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return KEY.model_copy(update={"key_file": file})


@pytest.fixture(scope="module")
async def outbound_house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    section: DkimSection,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """With a key of company.com, from which the tests' messages are."""
    folder = tmp_path_factory.mktemp("campaigns")
    config = f"""
        [outbound]
        unsubscribe_mailto = "leave@company.com"
        [[outbound.dkim]]
        domain = "company.com"
        selector = "s1"
        key_file = "{section.key_file}"
    """
    (folder / "mailroom.toml").write_text(config)
    settings = settings_for(
        folder,
        gateway,
        sink,
        temporal_address=address_of(own_env),
        mailroom_outbound_route=f"smtp://127.0.0.1:{sink.port}",
        mailroom_public_url="https://mail.company.com",
    )
    async with house_on(own_env, settings, database, gateway, sink) as running:
        yield running


def one_click(mail: dict[str, str]) -> str:
    """The path of the link, as a mail program finds it."""
    link = mail["List-Unsubscribe"].split(",")[0].strip("<>")
    assert link.startswith("https://mail.company.com/unsubscribe/")
    return httpx.URL(link).path


async def test_what_arrives_is_signed_with_its_links(
    outbound: Outbound, sink: Sink, section: DkimSection
) -> None:
    await outbound.ended(await outbound.submit(campaign_id="spring"))
    [raw] = sink.raw[outbound.to("take")]
    record = read_key(section).record.encode()
    signature = dkim.DKIM(raw)
    assert signature.verify(dnsfunc=lambda name, timeout=5: record)
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(signature.include_headers)
    # Neither folded nor encoded, which RFC 2047 §5 forbids and mail programs don't read.
    assert b"\r\nList-Unsubscribe: <https://mail.company.com/unsubscribe/" in raw
    [mail] = sink.mails[outbound.to("take")]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].endswith("<mailto:leave@company.com?subject=unsubscribe>")


async def test_a_message_without_campaign_has_no_link(outbound: Outbound, sink: Sink) -> None:
    await outbound.ended(await outbound.submit())
    [mail] = sink.mails[outbound.to("take")]
    assert mail["List-Unsubscribe"] is None
    assert mail["List-Unsubscribe-Post"] is None


async def test_a_message_with_a_link_of_its_own_keeps_it(outbound: Outbound, sink: Sink) -> None:
    own = {"List-Unsubscribe": "<https://elsewhere.example/leave>", "Subject": "Hello"}
    await outbound.ended(await outbound.submit(campaign_id="spring", headers=own))
    [mail] = sink.mails[outbound.to("take")]
    assert mail["List-Unsubscribe"] == own["List-Unsubscribe"]
    assert mail["List-Unsubscribe-Post"] is None


async def test_after_one_click_nothing_of_the_tenant_comes_any_more(
    outbound: Outbound, outbound_house: House, sink: Sink, queue_api: httpx.AsyncClient
) -> None:
    campaign = {"campaign_id": "spring", "tenant_id": outbound.marker}
    first = await outbound.submit(**campaign)
    await outbound.ended(first)
    later = (await outbound_house.env.get_current_time()) + timedelta(hours=1)
    waiting = await outbound.submit(**campaign, scheduled_at=later.isoformat())
    others = await outbound.submit(campaign_id="spring", tenant_id=f"not-{outbound.marker}")

    [mail, *_] = sink.mails[outbound.to("take")]
    headers = {"Authorization": ""}
    data = {"List-Unsubscribe": "One-Click"}
    left = await queue_api.post(one_click(mail), data=data, headers=headers)
    assert left.status_code == 200

    await outbound_house.skip(hours=1, minutes=1)
    item = await outbound.reached(waiting, "cancelled", num_attempts=0)
    assert item.last_bounce_reason == "The recipient is on the suppression list: unsubscribe."
    assert (await outbound.ended(others)).status is MessageQueueStatus.DELIVERED
    assert len(sink.mails[outbound.to("take")]) == 2
    assert (await outbound.events(first))[-1] == "unsubscribed"


async def test_however_the_address_was_written_it_is_the_same(
    outbound: Outbound, sink: Sink, queue_api: httpx.AsyncClient
) -> None:
    spelled = f"Take+{outbound.marker.upper()}@BÜCHER.Example"
    known = await queue_api.post("/queue/suppressions", json={"address": spelled.lower()})
    assert known.json() == {"added": 1, "known": 0}
    item = await outbound.ended(await outbound.submit(recipient=spelled))
    assert item.status is MessageQueueStatus.CANCELLED
    assert item.last_bounce_reason == "The recipient is on the suppression list: manual."


async def test_who_is_off_the_list_gets_mail_again(
    outbound: Outbound, sink: Sink, queue_api: httpx.AsyncClient
) -> None:
    address = outbound.to("take")
    await queue_api.post("/queue/suppressions", json={"address": address})
    assert (await outbound.ended(await outbound.submit())).status is MessageQueueStatus.CANCELLED
    assert (await queue_api.delete(f"/queue/suppressions/{address}")).status_code == 204
    assert (await outbound.ended(await outbound.submit())).status is MessageQueueStatus.DELIVERED


async def test_a_mail_that_can_not_be_signed_is_refused_and_the_others_are_not(
    outbound: Outbound, queue_api: httpx.AsyncClient
) -> None:
    whole = b64encode(b"From: ann@company.com\nX-Old : a space\n\nHi").decode()
    good = outbound.message()
    bad = {name: good[name] for name in ("sender", "recipient")} | {"raw": whole}
    answer = await queue_api.post("/queue/messages", json={"items": [bad, good]})
    assert answer.status_code == 202
    [accepted], [rejected] = answer.json()["accepted"], answer.json()["rejected"]
    assert rejected["index"] == 0
    assert "can't be signed with DKIM" in rejected["error"]
    assert accepted
