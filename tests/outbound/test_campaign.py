"""A campaign to a mail server that does all that mail servers do, on a stack that is killed in
between: in the end every message is where the server's record says."""

import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg.rows import class_row
from stack.process import Stack, until
from written import whole_lines

SINK = Path(__file__).with_name("campaign_sink.py")
KILLS, CONNECTIONS, BATCH = 2, 10, 50
# In a hundred.
SHARES = {
    "take": 60,
    "refuse": 8,
    "block": 6,
    "defer": 8,
    "before-dot": 6,
    "after-dot": 4,
    "return": 8,
}
DOMAINS = 7
CONFIG = f"""
[outbound]
connections = {CONNECTIONS}
first_retry = "300ms"
longest_retry = "1s"
throttle_rate = 60_000
bounce_domain = "bounces.mailroom.test"
hostname = "mailroom.test"

# A third of these messages fails: every circuit would open.
[outbound.health]
circuits = false
"""


@dataclass(frozen=True)
class Row:
    id: Any
    message_id: str
    recipient: str
    status: str
    bounce_classification: str | None

    @property
    def what(self) -> str:
        return self.recipient.partition("+")[0]

    @property
    def end(self) -> tuple[str, str | None]:
        return self.status, self.bounce_classification


UNKNOWN = ("suspended", "unknown")
ENDS: Mapping[str, tuple[str, str | None]] = {
    "take": ("delivered", None),
    "defer": ("delivered", None),
    "before-dot": ("delivered", None),
    "refuse": ("bounced", "hard"),
    "return": ("bounced", "hard"),
    "block": ("bounced", "block"),
    "after-dot": UNKNOWN,
}
TAKEN = ("take", "defer", "before-dot", "after-dot", "return")


@dataclass
class Campaign:
    stack: Stack
    record: Path

    def taken(self) -> dict[str, list[str]]:
        """The SHA-256 of all that the server took, by Message-ID."""
        found = defaultdict(list)
        for line in whole_lines(self.record):
            known = json.loads(line)
            found[known["message_id"]].append(known["sha256"])
        return found

    async def submit(self, size: int) -> set[str]:
        """The IDs of what was accepted: all of it, however often it has to be said."""
        items = messages(size)
        batches = [items[n : n + BATCH] for n in range(0, size, BATCH)]
        accepted: set[str] = set()
        for batch in batches:
            accepted |= await self.submitted(batch)
        return accepted

    async def submitted(self, batch: list[dict[str, object]]) -> set[str]:
        """The same key, so that what was taken before a kill is not taken again."""
        key = {"Idempotency-Key": uuid4().hex}
        while True:
            try:
                answer = await self.stack.client.post(
                    "/queue/messages", json={"items": batch}, headers=key
                )
            except httpx.TransportError:
                # Killed; a new one starts.
                await asyncio.sleep(0.2)
                continue
            assert answer.status_code == 202, answer.text
            assert answer.json()["rejected"] == []
            return set(answer.json()["accepted"])

    async def kill_twice(self, size: int) -> None:
        """At random moments, by what the server has got until then."""
        moments = (random.uniform(0.02, 0.3), random.uniform(0.35, 0.6))
        for moment in moments:

            async def is_there(moment: float = moment) -> bool:
                return len(self.taken()) >= moment * size

            await until(is_there, f"{moment:.0%} of the campaign", 120)
            await asyncio.sleep(random.uniform(0, 0.2))
            await self.stack.restart()

    async def rows(self) -> list[Row]:
        async with (
            await self.stack.database() as database,
            database.cursor(row_factory=class_row(Row)) as cursor,
        ):
            await cursor.execute(
                "SELECT id, message_id, recipient, status, bounce_classification FROM message_queue"
            )
            return await cursor.fetchall()

    async def at_rest(self) -> list[Row]:
        """Every message, once nothing happens to any by itself; what the server returns too."""
        found: list[Row] = []

        async def all_of_them() -> bool:
            found[:] = await self.rows()
            return not any(is_under_way(row, self.taken()) for row in found)

        await until(all_of_them, "the end of the campaign", 180)
        return found

    async def retry(self, row: Row) -> None:
        path = f"/queue/messages/{row.id}/retry"
        response = await self.stack.client.post(path, json={"reason": "they did not get it"})
        assert response.status_code == 202, response.text

    async def suppressed(self) -> set[str]:
        response = await self.stack.client.get("/queue/suppressions", params={"limit": 1000})
        return {item["address"] for item in response.json()["items"]}


def messages(size: int) -> list[dict[str, object]]:
    """Shuffled, to several domains, in the queues of these and in two others."""
    kinds = [what for what, share in SHARES.items() for _ in range(size * share // 100)]
    kinds += ["take"] * (size - len(kinds))
    random.shuffle(kinds)
    return [message(what, number) for number, what in enumerate(kinds)]


def message(what: str, number: int) -> dict[str, object]:
    known: dict[str, object] = {
        "sender": "news@company.com",
        "recipient": f"{what}+{number}@d{number % DOMAINS}.test",
        "headers": {"Subject": f"News {number}"},
        "text": "Hello\n.\n..and a line that begins with dots\n",
        "priority": number % 11,
        "tags": ["campaign"],
    }
    return known | ({"queue_name": f"own-{number % 2}"} if number % 5 == 0 else {})


def is_under_way(row: Row, taken: Mapping[str, list[str]]) -> bool:
    if row.what == "return" and row.message_id in taken:
        return row.status != "bounced"  # its DSN is on its way
    return row.status not in ("delivered", "bounced", "suspended")


@asynccontextmanager
async def campaign_in(folder: Path) -> AsyncIterator[Campaign]:
    """Its stack is not started."""
    stack, record = Stack(folder / "stack"), folder / "record.jsonl"
    stack.data_dir.mkdir()
    (stack.data_dir / "mailroom.toml").write_text(CONFIG)
    sink = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SINK), str(record), str(stack.smtp_port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert sink.stdin is not None
    assert sink.stdout is not None
    try:
        port = int(await sink.stdout.readline())
        stack.environment = {"MAILROOM_OUTBOUND_ROUTE": f"smtp://127.0.0.1:{port}"}
        yield Campaign(stack, record)
    finally:
        sink.stdin.close()
        await sink.wait()
        await stack.close()


async def test_a_campaign_while_the_stack_is_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    size = request.config.getoption("--campaign")
    async with campaign_in(tmp_path) as campaign:
        await campaign.stack.start()
        begun = time.monotonic()
        accepted, _ = await asyncio.gather(campaign.submit(size), campaign.kill_twice(size))
        rows, taken = await campaign.at_rest(), campaign.taken()
        assert len(accepted) == size
        assert {str(row.id) for row in rows} == accepted, "a message was lost, or is there twice"

        # Where the record says, but for those that a kill caught behind the dot.
        caught = [row for row in rows if row.end == UNKNOWN and row.what != "after-dot"]
        assert len(caught) <= KILLS * CONNECTIONS
        others = [row for row in rows if row not in caught]
        assert {row.recipient: row.end for row in others} == {
            row.recipient: ENDS[row.what] for row in others
        }
        assert all(len(taken[row.message_id]) == (row.what in TAKEN) for row in others)
        assert all(len(taken[row.message_id]) <= 1 for row in caught)
        hard = {row.recipient for row in rows if row.end == ("bounced", "hard")}
        assert await campaign.suppressed() == hard

        # A person has those sent again that may have been sent; only those are there twice.
        unknown = [row for row in rows if row.end == UNKNOWN]
        await asyncio.gather(*(campaign.retry(row) for row in unknown))
        again = await ended_after_retry(campaign, unknown)
        seconds = time.monotonic() - begun
        twice = {id for id, hashes in campaign.taken().items() if len(hashes) > 1}
        assert twice <= {row.message_id for row in unknown}
        assert all(len(set(hashes)) == 1 for hashes in campaign.taken().values())
        statuses = Counter(row.status for row in again)
        print(
            f"campaign: {size} accepted = {dict(statuses)}; {len(unknown)} were unknown"
            f" ({len(caught)} by {KILLS} kills), {len(twice)} sent again by a person;"
            f" {seconds:.0f} s"
        )
        assert set(statuses) == {"delivered", "bounced"}


async def ended_after_retry(campaign: Campaign, unknown: list[Row]) -> list[Row]:
    """All rows, once those that were unknown have ended."""

    async def none_is_open() -> bool:
        rows = await campaign.rows()
        return all(row.status in ("delivered", "bounced") for row in rows)

    await until(none_is_open, f"the end of {len(unknown)} that were sent again", 120)
    return await campaign.at_rest()
