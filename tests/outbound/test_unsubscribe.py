"""Leaving a campaign by its link."""

import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from house import House, bridge_on
from itsdangerous import URLSafeSerializer
from limits import RateLimitItem
from sqlalchemy import text

from mailroom.adapters.links import SignedLinks
from mailroom.bridge.unsubscribe import EACH_LINK, WRONG_LINKS

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SECRET = "links"
"""Of the house."""
ID = "550e8400e29b41d4a716446655440000"


class Campaign:
    """A message of one, as it is in the queue."""

    def __init__(self, house: House) -> None:
        self.id = uuid4()
        self.recipient = f"Ann.{self.id.hex[:8]}@Example.com"
        self.tenant = f"tenant-{self.id.hex[:8]}"
        self.link = httpx.URL(house.context.links.unsubscribe(self.id)).path
        self._engines = house.adapters.engines

    async def submit(self) -> None:
        async with self._engines.write.connect() as connection:
            await connection.execute(_MESSAGE, vars(self) | {"from": "News <news@shop.example>"})

    async def rows(self, statement: str) -> list[Any]:
        values = {"id": str(self.id), "tenant": self.tenant}
        async with self._engines.read.connect() as connection:
            return list((await connection.execute(text(statement), values)).all())

    async def suppressed(self) -> list[tuple[str, str]]:
        found = await self.rows(
            "SELECT address, reason FROM suppressions WHERE tenant_id = :tenant"
        )
        return [tuple(row) for row in found]

    async def timeline(self) -> list[str]:
        found = await self.rows(
            "SELECT type FROM events WHERE owner = 'outbound' AND message_id = :id"
        )
        return [row.type for row in found]


_MESSAGE = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, campaign_id,
                               tenant_id, status, size_bytes, headers)
    VALUES (:id, 'm@shop.example', 'example.com', :recipient, 'b@shop.example', 'example.com',
            'spring', :tenant, 'delivered', 1, jsonb_build_object('From', CAST(:from AS text)))
""")


@pytest.fixture
async def campaign(house: House) -> Campaign:
    message = Campaign(house)
    await message.submit()
    return message


async def test_one_click_suppresses_the_recipient(
    bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    answer = await bridge.post(campaign.link, data=ONE_CLICK)
    assert answer.status_code == 200, "RFC 8058 forbids a redirect"
    assert "Unsubscribed" in answer.text
    assert await campaign.suppressed() == [(campaign.recipient.lower(), "unsubscribe")]
    assert await campaign.timeline() == ["message.unsubscribed"]


async def test_twice_is_once(bridge: httpx.AsyncClient, campaign: Campaign) -> None:
    for _ in range(3):
        assert (await bridge.post(campaign.link, data=ONE_CLICK)).status_code == 200
    assert len(await campaign.suppressed()) == 1
    assert await campaign.timeline() == ["message.unsubscribed"]


async def test_a_providers_form_with_parts_is_taken(
    bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    # RFC 8058 §3.2: multipart/form-data, or urlencoded.
    answer = await bridge.post(campaign.link, files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert len(await campaign.suppressed()) == 1


async def test_the_page_asks_and_changes_nothing(
    bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    page = await bridge.get(campaign.link)
    assert page.status_code == 200
    assert "News &lt;news@shop.example&gt;" in page.text
    assert "ann." not in page.text.lower(), "whoever got the mail forwarded learns no address"
    assert "<script" not in page.text
    assert await campaign.suppressed() == []
    assert await campaign.timeline() == []


async def test_its_button_unsubscribes(bridge: httpx.AsyncClient, campaign: Campaign) -> None:
    page = (await bridge.get(campaign.link)).text
    assert re.search(r'<form method="post">', page)
    [(name, value)] = re.findall(r'<input type="hidden" name="(.*?)" value="(.*?)">', page)
    await bridge.post(campaign.link, data={name: value})
    assert len(await campaign.suppressed()) == 1
    after = (await bridge.get(campaign.link)).text
    assert "Unsubscribed" in after
    assert "<form" not in after


async def test_the_page_is_bound_and_kept_by_nobody(
    bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    headers = (await bridge.get(campaign.link)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "noindex" in headers["x-robots-tag"]


async def test_a_complaint_stays_one(
    house: House, bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(
            text("INSERT INTO suppressions (tenant_id, address, reason) VALUES (:t, :a, :r)"),
            {"t": campaign.tenant, "a": campaign.recipient.lower(), "r": "complaint"},
        )
    assert (await bridge.post(campaign.link)).status_code == 200
    assert await campaign.suppressed() == [(campaign.recipient.lower(), "complaint")]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "%00",
        "ImFiYyI.nonsense",
        URLSafeSerializer("another", salt="unsubscribe").dumps(ID),
        URLSafeSerializer(SECRET, salt="draft").dumps(ID),
        URLSafeSerializer(SECRET, salt="unsubscribe").dumps(["no", "id"]),
        URLSafeSerializer(SECRET, salt="unsubscribe").dumps("no id"),
    ],
)
async def test_a_link_that_is_not_ours_is_told_so(
    bridge: httpx.AsyncClient, method: str, token: str
) -> None:
    answer = await bridge.request(method, f"/unsubscribe/{token}")
    assert answer.status_code == 404
    assert "This link is not one of ours" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_message_that_was_deleted_is_told_of(
    house: House, bridge: httpx.AsyncClient
) -> None:
    link = httpx.URL(house.context.links.unsubscribe(uuid4())).path
    answer = await bridge.post(link)
    assert answer.status_code == 410
    assert "deleted" in answer.text


async def test_who_guesses_is_slowed_down_and_keeps_nobody_out(
    house: House, campaign: Campaign
) -> None:
    async with bridge_on(house.context) as bridge:
        slowed = await assert_refused_at_last(bridge, "/unsubscribe/guess", WRONG_LINKS, 404)
        assert slowed.headers["retry-after"] == "60"
        assert (await bridge.post(campaign.link)).status_code == 200


async def test_one_link_is_not_asked_without_end(
    bridge: httpx.AsyncClient, campaign: Campaign
) -> None:
    await assert_refused_at_last(bridge, campaign.link, EACH_LINK, 200)


async def assert_refused_at_last(
    bridge: httpx.AsyncClient, link: str, limit: RateLimitItem, usual: int
) -> httpx.Response:
    """The first answer that says no. Minutes are the clock's: one may begin in between."""
    answers = [await bridge.get(link) for _ in range(2 * limit.amount + 1)]
    statuses = [answer.status_code for answer in answers]
    first = statuses.index(429)
    assert limit.amount <= first
    assert set(statuses[:first]) == {usual}
    return answers[first]


async def test_a_large_body_is_refused(bridge: httpx.AsyncClient, campaign: Campaign) -> None:
    assert (await bridge.post(campaign.link, content=b"x" * 100_000)).status_code == 413
    assert await campaign.suppressed() == []


def test_a_link_says_nothing_of_its_recipient_and_lasts() -> None:
    links, message = SignedLinks(SECRET, "https://mail.example"), uuid4()
    link = links.unsubscribe(message)
    token = link.removeprefix("https://mail.example/unsubscribe/")
    assert len(link) < 130
    assert links.read_unsubscribe(token) == message
    assert links.read_unsubscribe(token[:-1]) is None
    assert SignedLinks("other", "").read_unsubscribe(token) is None
    assert isinstance(links.read_unsubscribe(token), UUID)
