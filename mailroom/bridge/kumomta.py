"""KumoMTA's log: what became of the messages that it delivers for us."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from mailroom.bridge.api_route import bounded
from mailroom.bridge.auth import The, caller, operator
from mailroom.bridge.problems import Problem
from mailroom.models.base import Frozen
from mailroom.models.outbound.kumomta import LogRecord
from mailroom.models.outbound.kumomta_batch import BadRecord, NoRecords, read_log
from mailroom.models.outbound.kumomta_reports import report_of
from mailroom.models.outbound.report import Report

router = APIRouter(tags=["queue"])

# 10,000 records have about 20 MB.
MOST_BYTES = 64 * 1024 * 1024
# Each writes to PostgreSQL, whose connections others need, too.
AT_ONCE = 4
LOCAL_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
# A proxy or a browser hands on what others ask: that it is on this machine says nothing then.
OTHERS_ASK = ("forwarded", "x-forwarded-for", "x-real-ip", "via", "origin")

Take = Callable[[Report], Awaitable[bool]]


class LogTaken(Frozen):
    """All but the rejected ones are durable."""

    received: int
    taken: int = Field(description="that were new, and about messages of ours")
    rejected: tuple[BadRecord, ...] = ()


async def _trusted(request: Request) -> None:
    """The operator's token, or a program on this machine."""
    if "authorization" in request.headers or not _from_here(request):
        await operator(await caller(request))


def _from_here(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in OTHERS_ASK):
        return False
    return ip_address(request.client.host).is_loopback and request.url.hostname in LOCAL_NAMES


@router.post("/kumomta/log", dependencies=[Depends(_trusted)])
async def kumomta_log(request: Request, the: The) -> LogTaken:
    """A record, a JSON array of them, or one a line. 422 where none is one; 503 while PostgreSQL
    is away: then all of them are to be sent again, and those that were taken count once."""
    body = await Request(request.scope, bounded(request.receive, MOST_BYTES)).body()
    try:
        # Off the loop: parsing many takes a second.
        read = await asyncio.to_thread(lambda: list(read_log(body)))
    except NoRecords as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    rejected = [one for one in read if isinstance(one, BadRecord)]
    records = [one for one in read if isinstance(one, LogRecord)]
    if rejected and not records:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"None of these is a record of KumoMTA's log. The first: {rejected[0].error}",
            rejected=[one.model_dump() for one in rejected],
        )
    taken = await take_all(records, the.returns.reports.take, the.returns.message_of)
    return LogTaken(received=len(read), taken=taken, rejected=tuple(rejected))


async def take_all(
    records: Iterable[LogRecord], take: Take, bounced_to: Callable[[str], UUID | None]
) -> int:
    """How many were new. Those of one message in the order of their times; several messages at
    once. What fails ends it: what was taken by then is known when it comes again."""
    stories = iter(_by_message(report_of(one, bounced_to) for one in records))

    async def work() -> int:
        return sum([await take(report) for story in stories for report in story])

    workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        return sum(await asyncio.gather(*workers))
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)


def _by_message(reports: Iterable[Report | None]) -> list[list[Report]]:
    stories: defaultdict[object, list[Report]] = defaultdict(list)
    for report in filter(None, reports):
        stories[report.id or (report.message_id, report.recipient)].append(report)
    return [sorted(story, key=lambda report: report.at) for story in stories.values()]
