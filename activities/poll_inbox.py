"""Takes the mail that the Email Monitor holds, and tells it what became of earlier mail."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog
from temporalio import activity

from mailroom.models.names import is_outbound
from mailroom.models.pending import BadItem, Pending, read_item
from mailroom.models.poll import Polled, StatusReport, TakenMail
from mailroom.ports import Inbox, MailMonitor, MonitoredMails, Permanent, Transient

log = structlog.get_logger()

# Mails in memory: as many as this product.
LANES, BATCH = 20, 10
ACCEPT_SECONDS = 60
# So many that can't be taken are no fault of theirs: Temporal or the blob store is away.
TOO_MANY_DEFERRED = 20
REPORTS = 500


@dataclass
class _Tally:
    new: int = 0
    known: int = 0
    refused: int = 0
    deferred: int = 0

    def result(self, reported: int) -> Polled:
        return Polled(
            new=self.new,
            known=self.known,
            refused=self.refused,
            deferred=self.deferred,
            reported=reported,
        )


@dataclass(frozen=True)
class PollInbox:
    monitor: MailMonitor
    inbox: Inbox
    store: MonitoredMails
    max_bytes: int

    @activity.defn
    async def poll_inbox(self) -> Polled:
        async with self.monitor.pending() as items:
            await self.store.polled()
            tally = await _Taking(self.inbox, self.store, items, self.max_bytes).all()
        if tally.deferred >= TOO_MANY_DEFERRED:
            raise Transient(f"{tally.deferred} mails could not be taken; the log says why.")
        return tally.result(await self.report())

    async def report(self) -> int:
        """Tells the monitor what changed since it was told last; how much that was."""
        told = 0
        while reports := await self.store.changed(REPORTS):
            taken = await self._tell(reports)
            told += taken
            if taken < len(reports) or activity.is_worker_shutdown():
                break
        return told

    async def _tell(self, reports: Sequence[StatusReport]) -> int:
        """How many of `reports` are done with: all, unless the monitor takes no more now."""
        done: list[StatusReport] = []
        # The first one goes alone: it shows whether the monitor wants any.
        for some in (reports[:1], reports[1:]):
            telling = _Telling(self.monitor, iter(some), done)
            await _in_lanes(telling.lane)
            await self.store.reported(done)
            for report in telling.not_taken:
                await self.store.asked(report)
            if telling.not_taken:
                break
        return len(done)


def _taken(workflow_id: str, mail: Pending, digest: str) -> TakenMail:
    if is_outbound(workflow_id):
        # Several reports may be about one message of ours.
        workflow_id = f"{workflow_id}/{digest[:16]}"
    return TakenMail(workflow_id=workflow_id, monitor_id=mail.monitor_id, digest=digest)


async def _in_lanes(lane: Callable[[], Coroutine[None, None, None]]) -> None:
    """Runs it side by side with itself; where one fails the others end too."""
    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(lane())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


@dataclass
class _Taking:
    """One poll's mails: a few lanes take them from one iterator, so that memory is bounded."""

    inbox: Inbox
    store: MonitoredMails
    items: Iterator[object]
    max_bytes: int
    tally: _Tally = field(default_factory=_Tally)

    async def all(self) -> _Tally:
        await _in_lanes(self.lane)
        return self.tally

    async def lane(self) -> None:
        # What is left at a stop comes with the next poll.
        while not activity.is_worker_shutdown() and self.tally.deferred < TOO_MANY_DEFERRED:
            items = list(islice(self.items, BATCH))
            if not items:
                return
            await self._batch(list(self._read(items)))

    def _read(self, items: Sequence[object]) -> Iterator[Pending]:
        for item in items:
            try:
                yield read_item(item, self.max_bytes)
            except BadItem as error:
                self.tally.refused += 1
                log.warning("an item of the Email Monitor is refused", reason=str(error))

    async def _batch(self, mails: Sequence[Pending]) -> None:
        digests = [hashlib.sha256(mail.arrival.raw).hexdigest() for mail in mails]
        known = await self.store.known(digests)
        taken = []
        for mail, digest in zip(mails, digests, strict=True):
            if digest in known:
                self.tally.known += 1
            elif workflow_id := await self._accept(mail):
                taken.append(_taken(workflow_id, mail, digest))
        if taken:
            await self.store.keep(taken)

    async def _accept(self, mail: Pending) -> str | None:
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                accepted = await self.inbox.accept(mail.arrival)
        except Permanent as error:
            self.tally.refused += 1
            log.warning("a mail of the Email Monitor is refused", reason=str(error))
            return None
        except Exception as error:  # noqa: BLE001  whatever it was, the monitor keeps the mail
            self.tally.deferred += 1
            log.warning("a mail of the Email Monitor is deferred", error=type(error).__name__)
            return None
        self.tally.new += accepted.new
        self.tally.known += not accepted.new
        return accepted.workflow_id


@dataclass
class _Telling:
    """Reports, told in lanes. Where the monitor takes one no more, all of them stop."""

    monitor: MailMonitor
    reports: Iterator[StatusReport]
    done: list[StatusReport]
    not_taken: list[StatusReport] = field(default_factory=list)

    async def lane(self) -> None:
        for report in self.reports:
            if not await self._is_done(report):
                self.not_taken.append(report)
            if self.not_taken:
                return

    async def _is_done(self, report: StatusReport) -> bool:
        try:
            taken = await self.monitor.report(report.monitor_id, report.status)
        except Transient as error:
            log.warning("the Email Monitor was not told", error=str(error))
            return False
        except Permanent as error:
            # It never will take this one; the next state is another matter.
            log.warning("the Email Monitor refused a status", error=str(error))
            taken = True
        if taken:
            self.done.append(report)
        return taken
