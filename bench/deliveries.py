"""The delivery activity alone against plain aiosmtplib, with the same messages and connections.

    python -m bench.deliveries [--rounds 5] [--messages 500] [--connections 10] [--at-once 20]

With its store (PostgreSQL on disk), its blobs and its send-once markers; no Temporal. With a mail
server that does nothing but answer, one that syncs its disk before it does, and servers whose every
answer takes 5, 25 and 100 ms, as answers do that come over a network. Beside it the least that
sending once costs: plain aiosmtplib that commits one row before a message and one after it.
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import aiosmtplib
import psutil  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.deliver_message import DeliverMessage
from bench import sink
from bench.queue_built import plain
from mailroom.adapters.blobs import ObstoreBlobs
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.batches import Batches, Rows
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
_LEAST = "CREATE TABLE least (id uuid PRIMARY KEY, sent boolean NOT NULL DEFAULT false)"
_MAY = "INSERT INTO least (id) SELECT unnest(CAST(%(ids)s AS uuid[])) RETURNING id"
_WAS = "UPDATE least SET sent = true WHERE id = ANY(CAST(%(ids)s AS uuid[])) RETURNING id"
# Milliseconds that each answer takes, and of how many messages a round is: of some seconds.
DISTANT = {5: 500, 25: 200, 100: 80}


@dataclass(frozen=True)
class Run:
    """Messages per second, and milliseconds of CPU for each: ours, and PostgreSQL's."""

    rate: float
    ours: float
    database: float


class Round(NamedTuple):
    plain: Run
    least: Run
    grouped: Run
    ours: Run


class Commits(NamedTuple):
    """That a message may be sent, and that it was."""

    before: Callable[[UUID], Awaitable[object]]
    after: Callable[[UUID], Awaitable[object]]


@dataclass
class Deliverer:
    folder: Path
    least: Sequence[Commits]
    grouped: Commits
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
        async with engines.write.connect() as connection:
            await connection.execute(text(_LEAST))
        blobs = ObstoreBlobs.at(folder / "blobs")
        activity = DeliverMessage(
            PostgresMessages(engines.write, section),
            PostgresMarkers(engines.write),
            blobs,
            SmtpCourier(OneSite("127.0.0.1", port, TlsPolicy.NONE), section, terms),
            section,
        )
        async with AsyncExitStack() as stack:
            least = [await alone(stack, database) for _ in range(connections)]
            yield Deliverer(
                folder,
                least,
                together(engines.write),
                PostgresMessageIntake(engines.write),
                blobs,
                activity,
            )
        await engines.dispose()


async def alone(stack: AsyncExitStack, database: URL) -> Commits:
    """On a connection of its own."""
    connecting = psycopg.AsyncConnection.connect(plain(database), autocommit=True)
    connection = await stack.enter_async_context(await connecting)
    return Commits(
        lambda id: connection.execute(_MAY, {"ids": [id]}),
        lambda id: connection.execute(_WAS, {"ids": [id]}),
    )


def together(store: AsyncEngine) -> Commits:
    """As the store writes down attempts."""

    def asked(ids: Mapping[UUID, None]) -> Mapping[str, object]:
        return {"ids": list(ids)}

    def answered(rows: Rows) -> Mapping[UUID, UUID]:
        return {row["id"]: row["id"] for row in rows}

    may = Batches[UUID, None, UUID](store, _MAY, asked, answered)
    was = Batches[UUID, None, UUID](store, _WAS, asked, answered)
    return Commits(lambda id: may.ask(id, None), lambda id: was.ask(id, None))


async def plainly(port: int, connections: int, messages: Sequence[tuple[UUID, str, bytes]]) -> None:
    """Connections that are opened once and used by one message after the other."""
    waiting = iter(messages)

    async def some() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for _, to, data in waiting:
                await smtp.sendmail(SENDER, [to], data)

    await asyncio.gather(*(some() for _ in range(connections)))


async def committed(
    commits: Sequence[Commits], port: int, messages: Sequence[tuple[UUID, str, bytes]]
) -> None:
    """Plainly, a connection for each of these, and what is known of a message is committed."""
    waiting = iter(messages)

    async def some(commit: Commits) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for id, to, data in waiting:
                await commit.before(id)
                await smtp.sendmail(SENDER, [to], data)
                await commit.after(id)

    await asyncio.gather(*map(some, commits))


async def durably(
    ours: Deliverer, at_once: int, messages: Sequence[tuple[UUID, str, bytes]]
) -> None:
    waiting = iter(messages)

    async def some() -> None:
        for message in waiting:
            await ours.deliver(message)

    await asyncio.gather(*(some() for _ in range(at_once)))


async def measured(ours: Deliverer, count: int, work: Callable[[], Awaitable[None]]) -> Run:
    begun, used, database = time.perf_counter(), _cpu(), _cpu_of_postgres(ours.folder)
    await work()
    took = time.perf_counter() - begun
    more = _cpu_of_postgres(ours.folder) - database
    return Run(count / took, 1000 * (_cpu() - used) / count, 1000 * more / count)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of_postgres(folder: Path) -> float:
    """Seconds, of all its processes: its connections stay open while it is measured."""
    server = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
    times = [each.cpu_times() for each in (server, *server.children())]
    return float(sum(each.user + each.system for each in times))


async def compared(
    what: str, port: int, folder: Path, asked: argparse.Namespace, messages: int
) -> None:
    rounds: list[Round] = []
    async with deliverer(folder, port, asked.connections) as ours:
        for n in range(-1, asked.rounds):
            # The first is to warm up: connections, plans of statements.
            found = await one_round(ours, port, asked, await ours.rows(messages))
            rounds += [found] if n >= 0 else []
    ratios = [each.ours.rate / each.plain.rate for each in rounds]
    least = statistics.median(each.least.rate / each.plain.rate for each in rounds)
    grouped = statistics.median(each.grouped.rate / each.plain.rate for each in rounds)
    print(
        f"delivery activity / aiosmtplib, {asked.connections} connections, {what}:"
        f" {statistics.median(ratios):.2f} (median of {len(ratios)},"
        f" {min(ratios):.2f} to {max(ratios):.2f}; goal 0.8; with two commits and nothing else"
        f" {least:.2f}, in groups {grouped:.2f}); {_middle([each.ours for each in rounds])};"
        f" plain {_middle([each.plain for each in rounds])}",
        flush=True,
    )


async def one_round(
    ours: Deliverer, port: int, asked: argparse.Namespace, rows: list[tuple[UUID, str, bytes]]
) -> Round:
    each, many = asked.connections, len(rows)
    # As many as the worker has places: those that are sent, and those behind them.
    at_once = asked.at_once or 2 * each
    again = [(uuid4(), to, data) for _, to, data in rows]
    return Round(
        plain=await measured(ours, many, lambda: plainly(port, each, rows)),
        least=await measured(ours, many, lambda: committed(ours.least, port, rows)),
        grouped=await measured(ours, many, lambda: committed([ours.grouped] * each, port, again)),
        ours=await measured(ours, many, lambda: durably(ours, at_once, rows)),
    )


def _middle(runs: Sequence[Run]) -> str:
    rate = statistics.median(run.rate for run in runs)
    ours = statistics.median(run.ours for run in runs)
    database = statistics.median(run.database for run in runs)
    return f"{rate:.0f}/s with {ours:.2f} ms of CPU and {database:.2f} of PostgreSQL's for each"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.deliveries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=500, help="a round")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--at-once", type=int, help="activities; twice the connections")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as name:
        folder = Path(name)
        async with sink.running() as port:
            what = "a server that only answers"
            await compared(what, port, folder / "fast", asked, asked.messages)
        async with sink.running("--sync", str(folder / "synced")) as port:
            what = "one that syncs its disk"
            await compared(what, port, folder / "synced-mails", asked, asked.messages)
        for after, messages in DISTANT.items():
            async with sink.running("--after", f"{after}") as port:
                what = f"one whose answers take {after} ms each"
                await compared(what, port, folder / f"after-{after}", asked, messages)


if __name__ == "__main__":
    asyncio.run(main())
