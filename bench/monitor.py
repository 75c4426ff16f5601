"""The Email Monitor against inbound SMTP: mails taken per second, their workflows started.

    python -m bench.monitor [--mails 10000] [--concurrency 20]

Both ways bring mail that triage ignores (Precedence: bulk), so that the worker's other work is
the same small one on both sides: each mail's workflow writes its row and ends. By SMTP a mail
counts when it is accepted (250), from the monitor when its workflow was started, all of it from
the first question to the last mail. SMTP is measured before and after; the monitor is told of
each mail too, after the last one was taken, which is not in the figure and is printed beside it.
"""

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench import __main__ as bench
from bench import world as worlds
from mailroom.models.names import MAIL_TASK_QUEUE
from mailroom.models.poll import Polled
from workflows.inbox_poll import InboxPollWorkflow


def raw(mark: str) -> bytes:
    return b"Precedence: bulk\r\n" + worlds.mail(mark)


@dataclass
class Monitor:
    """Answers each question for pending mail with `pending`, and takes every status."""

    pending: bytes = b"[]"
    port: int = 0
    told: int = 0
    first: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await worlds._head(reader):
            if head.startswith(b"GET"):
                writer.write(_answer(self.pending))
                continue
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            self.first = self.first or time.perf_counter()
            self.told += 1
            writer.write(_answer(b"{}"))
        writer.close()


def _answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


@asynccontextmanager
async def monitor_running() -> AsyncIterator[Monitor]:
    monitor = Monitor()
    server = await asyncio.start_server(monitor.serve, "127.0.0.1", 0)
    monitor.port = server.sockets[0].getsockname()[1]
    yield monitor
    server.close()


async def by_smtp(port: int, name: str, mails: int, concurrency: int) -> float:
    """Mails accepted per second, over connections that are kept open."""
    marks = iter([f"bench-{name}-{n}" for n in range(mails)])

    async def connection() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=60) as smtp:
            for mark in marks:
                await smtp.sendmail("ada@example.com", ["owner@mailroom.test"], raw(mark))

    begun = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(concurrency)))
    return mails / (time.perf_counter() - begun)


async def by_monitor(client: Client, monitor: Monitor, mails: int) -> float:
    """Mails taken per second, from the question until the first one is reported."""
    listed = [
        {
            "message_id": f"<bench-monitor-{n}@example.com>",
            "from": "Ada <ada@example.com>",
            "to": "owner@mailroom.test",
            "subject": "News",
            "body": "Hi, can we meet tomorrow at 2pm to discuss the project?\n",
            "raw": base64.b64encode(raw(f"bench-monitor-{n}")).decode(),
        }
        for n in range(mails)
    ]
    monitor.pending, monitor.first = json.dumps({"emails": listed}).encode(), 0.0
    begun = time.perf_counter()
    polled: Polled = await client.execute_workflow(
        InboxPollWorkflow.run, id="bench-poll", task_queue=MAIL_TASK_QUEUE
    )
    ended = time.perf_counter()
    if polled.new != mails or polled.deferred:
        raise SystemExit(f"Not every mail was taken: {polled}")
    print(f"  monitor told of {polled.reported} states in {ended - monitor.first:.1f} s more")
    return mails / (monitor.first - begun)


async def settled(client: Client) -> None:
    """Nothing that one way left to do is done while the other one is measured."""
    query = "ExecutionStatus = 'Running' AND WorkflowType = 'EmailReplyWorkflow'"
    while (await client.count_workflows(query)).count:  # noqa: ASYNC110
        await asyncio.sleep(0.5)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.monitor", description=__doc__)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=20)
    asked = parser.parse_args()
    half = asked.mails // 2
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, monitor_running() as monitor:
            # The Schedule itself never comes: the poll is started here.
            more = {
                "EMAIL_MONITOR_URL": f"http://127.0.0.1:{monitor.port}",
                "POLL_INTERVAL": "86400",
            }
            async with bench.stack(Path(folder), world, more) as here:
                client = await Client.connect(here.temporal, data_converter=pydantic_data_converter)
                port = here.senders._port
                await by_smtp(port, "warm", 200, asked.concurrency)
                await settled(client)
                before = await by_smtp(port, "before", half, asked.concurrency)
                await settled(client)
                polled = await by_monitor(client, monitor, asked.mails)
                await settled(client)
                after = await by_smtp(port, "after", half, asked.concurrency)
    smtp = 2 / (1 / before + 1 / after)
    print(f"  inbound SMTP {before:.0f} mails/s before, {after:.0f} after")
    print(f"  Email Monitor {polled:.0f} mails/s, {asked.mails} pending")
    print(f"Email Monitor / inbound SMTP: {polled / smtp:.2f} (goal 0.7)")


if __name__ == "__main__":
    asyncio.run(main())
