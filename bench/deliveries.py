"""The delivery activity alone against plain aiosmtplib, with the same messages and connections.

    python -m bench.deliveries [--rounds 5] [--messages 500] [--connections 10]

With its store (PostgreSQL on disk), its blobs and its send-once markers; no Temporal. Once with a
mail server that does nothing but answer, and once with one that syncs its disk before it does.
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiosmtplib
from temporalio.testing import ActivityEnvironment

from activities.deliver_message import DeliverMessage
from bench import sink
from mailroom.adapters.blobs import ObstoreBlobs
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_intake import PostgresMessageIntake
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.smtp.courier import SmtpCourier
from mailroom.adapters.smtp.opening import Terms
from mailroom.adapters.smtp.sites import OneSite
from mailroom.local.servers import postgres_server
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import DeliverInput
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.models.outbound.words import MessageQueueStatus

SENDER = "news@bench.example"
POOL = 10


@dataclass
class Deliverer:
    intake: PostgresMessageIntake
    blobs: ObstoreBlobs
    activity: DeliverMessage

    async def rows(self, count: int) -> list[tuple[UUID, str, bytes]]:
        """New messages, ready to be delivered: ID, recipient, bytes."""
        made = [(uuid4(), f"bench-{n}@d{n % 20}.example") for n in range(count)]
        built = [(id, to, mail(id, to)) for id, to in made]
        rows = [(item(*each), await self.blobs.put(each[2])) for each in built]
        await self.intake.insert(rows)
        return built

    async def deliver(self, message: tuple[UUID, str, bytes]) -> None:
        request = DeliverInput(id=message[0], step=1, attempt=1)
        outcome = await ActivityEnvironment().run(self.activity.deliver_message, request)
        if outcome.status is not MessageQueueStatus.DELIVERED:
            raise SystemExit(f"A message was not delivered: {outcome.reason}")


def mail(id: UUID, to: str) -> bytes:
    return (
        f"From: News <{SENDER}>\r\nTo: {to}\r\nSubject: News\r\n"
        f"Message-ID: <{id}@bench.example>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\n"
        f"{'Hello, this is what is new. ' * 30}\r\n"
    ).encode()


def item(id: UUID, to: str, data: bytes) -> MessageQueueItem:
    now = datetime.now(UTC)
    domain = to.rpartition("@")[2]
    return MessageQueueItem(
        id=id,
        message_id=f"<{id}@bench.example>",
        queue_name=domain,
        recipient=to,
        sender=SENDER,
        domain=domain,
        status=MessageQueueStatus.READY,
        size_bytes=len(data),
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


@asynccontextmanager
async def deliverer(folder: Path, port: int, connections: int) -> AsyncIterator[Deliverer]:
    """As worker.py wires it."""
    section = OutboundSection(connections=connections, hostname="bench.example")
    terms = Terms("bench.example", TlsPolicy.NONE)
    async with postgres_server(folder / "postgres") as database:
        await upgrade(database)
        engines = engine.connect(database, POOL)
        blobs = ObstoreBlobs.at(folder / "blobs")
        activity = DeliverMessage(
            PostgresMessages(engines.write, section),
            PostgresMarkers(engines.write),
            blobs,
            SmtpCourier(OneSite("127.0.0.1", port, TlsPolicy.NONE), section, terms),
            section,
        )
        yield Deliverer(PostgresMessageIntake(engines.write), blobs, activity)
        await engines.dispose()


async def plainly(port: int, connections: int, messages: Sequence[tuple[UUID, str, bytes]]) -> None:
    """Connections that are opened once and used by one message after the other."""
    waiting = iter(messages)

    async def some() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for _, to, data in waiting:
                await smtp.sendmail(SENDER, [to], data)

    await asyncio.gather(*(some() for _ in range(connections)))


async def durably(
    ours: Deliverer, connections: int, messages: Sequence[tuple[UUID, str, bytes]]
) -> None:
    """As many at once as the worker has places: those that are sent, and those behind them."""
    waiting = iter(messages)

    async def some() -> None:
        for message in waiting:
            await ours.deliver(message)

    await asyncio.gather(*(some() for _ in range(2 * connections)))


async def rate(count: int, work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Messages per second, and milliseconds of this process's CPU for each."""
    begun, used = time.perf_counter(), _cpu()
    await work()
    return count / (time.perf_counter() - begun), 1000 * (_cpu() - used) / count


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def compared(what: str, port: int, folder: Path, asked: argparse.Namespace) -> None:
    ratios, rates, connections = [], [], asked.connections
    async with deliverer(folder, port, connections) as ours:
        for n in range(-1, asked.rounds):
            rows = await ours.rows(asked.messages)
            plain = await rate(len(rows), lambda rows=rows: plainly(port, connections, rows))
            durable = await rate(len(rows), lambda rows=rows: durably(ours, connections, rows))
            if n < 0:
                continue  # the first is to warm up
            ratios.append(durable[0] / plain[0])
            rates.append(durable[0])
            print(
                f"  round {n + 1}: {durable[0]:5.0f}/s ({durable[1]:.1f} ms of CPU),"
                f" plain {plain[0]:5.0f}/s ({plain[1]:.1f} ms), {ratios[-1]:.2f}",
                flush=True,
            )
    print(
        f"delivery activity / aiosmtplib, {connections} connections, {what}:"
        f" {statistics.median(ratios):.2f} (median; goal 0.8); {statistics.median(rates):.0f}/s"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.deliveries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=500, help="a round")
    parser.add_argument("--connections", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as name:
        folder = Path(name)
        async with sink.running() as port:
            await compared("a server that only answers", port, folder / "fast", asked)
        async with sink.running("--sync", str(folder / "synced")) as port:
            await compared("one that syncs its disk", port, folder / "synced-mails", asked)


if __name__ == "__main__":
    asyncio.run(main())
