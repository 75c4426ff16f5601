"""Submitting under bad conditions: batches that are half wrong, keys that come twice, what is
away."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from house import TOKEN, House, bridge_on
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mailroom.adapters.postgres.message_intake import PostgresMessageIntake
from mailroom.adapters.spool.spool import Spool
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.auth import owner_token
from mailroom.bridge.forwarder import Drained, Forwarder
from mailroom.bridge.handover import Handover
from mailroom.bridge.message_flows import MessageFlows
from mailroom.models.names import outbound_id
from mailroom.models.outbound.message import OutboundMessage

JSON = {"Content-Type": "application/json"}
LATER = {"scheduled_at": "2036-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
async def http(dev_house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(dev_house.context) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def message(marker: str, **more: object) -> dict[str, object]:
    known = {"sender": "news@company.com", "recipient": f"ann@{marker}.test", "text": "Hello"}
    # They wait for years, so that no other test's worker delivers them.
    return known | LATER | more


async def stored(house: House, marker: str) -> Counter[UUID]:
    """Messages to the test's domain, with how often each was submitted."""
    async with house.adapters.engines.write.connect() as connection:
        rows = await connection.execute(_SUBMITTED, {"domain": f"{marker}.test"})
        return Counter({row.id: row.times for row in rows})


_SUBMITTED = text("""
    SELECT m.id, (SELECT count(*) FROM events AS e WHERE e.message_id = CAST(m.id AS text)
                  AND e.type = 'message.submitted') AS times
    FROM message_queue AS m WHERE m.domain = :domain
""")


async def test_of_a_thousand_every_second_is_wrong(
    dev_house: House, http: httpx.AsyncClient, marker: str
) -> None:
    wrong: list[dict[str, object]] = [
        {"recipient": "ann"},
        {"metadata": {"n": "\0"}},
        {"text": "\ud800"},
        {"raw": "eA==", "text": None},
        {"colour": "red"},
    ]
    items = [message(marker, **(wrong[n // 2 % 5] if n % 2 else {})) for n in range(1_000)]
    body = json.dumps({"items": items})
    response = await http.post("/queue/messages", content=body, headers=JSON)
    answer = response.json()
    assert response.status_code == 202
    assert [one["index"] for one in answer["rejected"]] == list(range(1, 1_000, 2))
    assert await stored(dev_house, marker) == {UUID(id): 1 for id in answer["accepted"]}
    assert len(answer["accepted"]) == 500


async def test_all_of_them_or_none(dev_house: House, http: httpx.AsyncClient, marker: str) -> None:
    items = [message(marker), message(marker, recipient="ann"), 1, None, [], "x"]
    response = await http.post("/queue/messages?atomic=true", json={"items": items})
    assert (response.status_code, len(response.json()["rejected"])) == (422, 5)
    items = [message(marker), message(marker, text=None, raw="eA==")]
    response = await http.post("/queue/messages?atomic=true", json={"items": items})
    assert response.status_code == 409
    assert await stored(dev_house, marker) == {}


@pytest.mark.parametrize(
    "body",
    [[], None, 1, {"items": []}, {"items": {}}, {"items": [1] * 1_001}, {"items": [], "a": 1}],
)
async def test_what_is_no_batch_is_refused(http: httpx.AsyncClient, body: object) -> None:
    assert (await http.post("/queue/messages", json=body)).status_code == 422


async def test_nobody_submits_without_a_token(http: httpx.AsyncClient, marker: str) -> None:
    headers = {"Authorization": "Bearer wrong"}
    response = await http.post("/queue/messages", json=message(marker), headers=headers)
    assert response.status_code == 401


async def test_an_owner_submits_nothing(
    dev_house: House, http: httpx.AsyncClient, marker: str
) -> None:
    [owner] = dev_house.context.owners
    headers = {"Authorization": f"Bearer {owner_token(dev_house.context, owner)}"}
    response = await http.post("/queue/messages", json=message(marker), headers=headers)
    assert response.status_code == 403
    assert await stored(dev_house, marker) == {}


@pytest.mark.parametrize(
    "path",
    [
        "/queue/messages?domain=%00",
        "/queue/messages?recipient=a%00b",
        "/queue/messages?cursor=%00",
        "/queue/messages?cursor=bm9uZQ",
        "/queue/overview?campaign_id=%00",
    ],
)
async def test_what_no_filter_can_mean_is_refused(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 422


async def test_the_same_key_twice_at_once_is_one_message(
    dev_house: House, http: httpx.AsyncClient, marker: str
) -> None:
    body = {"items": [message(marker), message(marker, html="<p>Hello</p>")]}
    same = [post(http, marker, body) for _ in range(4)]
    answers = [response.json() for response in await asyncio.gather(*same)]
    [one] = {tuple(answer["accepted"]) for answer in answers}
    assert await stored(dev_house, marker) == {UUID(id): 1 for id in one}


@pytest.mark.parametrize("atomic", [False, True])
async def test_the_same_key_with_another_message_is_refused(
    dev_house: House, http: httpx.AsyncClient, marker: str, atomic: bool
) -> None:
    first = {"items": [message(marker)]}
    assert (await post(http, marker, first)).status_code == 202
    other = {"items": [message(marker, text="Something else"), message(marker)]}
    response = await post(http, marker, other, atomic=atomic)
    assert response.status_code == (409 if atomic else 202)
    [rejected] = response.json()["rejected"]
    assert rejected["index"] == 0
    assert rejected["error"].startswith("This Idempotency-Key was used for another message")
    assert len(await stored(dev_house, marker)) == (1 if atomic else 2)


async def post(
    http: httpx.AsyncClient, key: str, body: dict[str, Any], *, atomic: bool = False
) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return await http.post("/queue/messages", params={"atomic": atomic}, json=body, headers=headers)


# What is away


@dataclass
class Away:
    """Temporal, which is away from the second message on, or PostgreSQL."""

    house: House
    what: str
    started: list[UUID] = field(default_factory=list)

    async def start(self, message: OutboundMessage) -> bool:
        if self.what == "Temporal" and self.started:
            raise TemporalUnavailable("Temporal did not take the message.")
        self.started.append(message.id)
        return await self.house.context.message_flows.start(message)

    async def states(self, names: Sequence[str]) -> dict[str, Any]:
        return {}

    async def insert(self, items: Sequence[Any]) -> set[UUID]:
        if self.what == "PostgreSQL":
            raise OperationalError("INSERT", None, ConnectionError("the server is gone"))
        return await self.house.context.submissions.intake.insert(items)

    async def different(self, items: Sequence[Any]) -> set[UUID]:
        return await self.house.context.submissions.intake.different(items)


@pytest.mark.parametrize("what", ["Temporal", "PostgreSQL"])
async def test_what_was_accepted_is_there_once_when_all_is_back(
    dev_house: House, tmp_path: Path, marker: str, what: str
) -> None:
    """Although its queue was closed in between."""
    away, the = Away(dev_house, what), dev_house.context
    submissions = replace(
        the.submissions,
        flows=cast(MessageFlows, away),
        intake=cast(PostgresMessageIntake, away),
    )
    async with bridge_on(replace(the, submissions=submissions), spool=tmp_path / "spool") as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        items = [message(marker) for _ in range(3)]
        response = await http.post("/queue/messages", json={"items": items})
    answer = response.json()
    assert (response.status_code, answer["spooled"]) == (202, True)
    async with dev_house.adapters.engines.write.connect() as connection:
        await connection.execute(_DISABLED, {"name": f"{marker}.test"})
    back = replace(the, handover=Handover(Spool(tmp_path / "spool")))
    assert await Forwarder(back).drain() == Drained(forwarded=3)
    assert await stored(dev_house, marker) == {UUID(id): 1 for id in answer["accepted"]}
    for id in answer["accepted"]:
        await dev_house.client.get_workflow_handle(outbound_id(UUID(id))).describe()


_DISABLED = text("""
    INSERT INTO queues (queue_name, state, set_by) VALUES (:name, 'disabled', 'operator')
""")
