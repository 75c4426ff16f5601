"""A bridge's context without servers, for the pages: rows, letters and flows in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
from fastapi import APIRouter, FastAPI

from mailroom.adapters.links import SignedLinks
from mailroom.adapters.postgres.statistics import Counts
from mailroom.adapters.postgres.views import TimelineEntry, WorkflowState
from mailroom.bridge import attachments, pages, problems, workflows
from mailroom.bridge.context import Context, Limits, Secrets
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.handover import Handover
from mailroom.models.email_reply import MailRef, Outcome, OwnersWord, Verdict
from mailroom.models.events import MailEvent
from mailroom.models.figures import Amounts, Day, Figures, KeptEdit, Rates
from mailroom.models.names import email_reply_id
from mailroom.models.owner import Owner
from mailroom.models.states import MailState
from mailroom.ports import Permanent

TOKEN = "a-token-for-tests"
OWNER = Owner(id="owner", addresses=("owner@mailroom.test",), phone="+12025550123")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def some_figures() -> Figures:
    """Two mails yesterday, none today."""
    busy = Amounts(mails=2, texts=3, response_seconds=90.0, edits_per_draft=0.5, input_tokens=1_200)
    return Figures(
        total=busy,
        days=[
            Day(day=NOW.date() - timedelta(days=1), **dict(busy)),
            Day(day=NOW.date()),
        ],
        senders=[Rates(name="john@example.com", mails=2, approved=1, edited=1, ignored=0)],
        sources=[Rates(name="template meeting", mails=2, approved=1, edited=1, ignored=0)],
        edits=[an_edit()],
    )


def an_edit(**known: object) -> KeptEdit:
    values: dict[str, object] = {
        "workflow_id": email_reply_id(OWNER.id, "<1@example.com>"),
        "sender": "John Doe <john@example.com>",
        "subject": "Meeting tomorrow",
        "at": NOW,
        "instructions": "make it warmer",
        "diff": "-Regards,\n+Warm regards,\n Owner",
    }
    return KeptEdit.model_validate(values | known)


@dataclass
class World:
    """What the pages show, and what they were asked to do."""

    rows: list[WorkflowState] = field(default_factory=list)
    drafts: dict[tuple[str, int], str] = field(default_factory=dict)
    lines: list[TimelineEntry] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    words: list[OwnersWord] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    outcome: Outcome | NotRunning | None = None
    periods: list[int] = field(default_factory=list)
    shown: Figures = field(default_factory=some_figures)
    queues: set[asyncio.Queue[MailEvent]] = field(default_factory=set)
    links: SignedLinks = field(default_factory=lambda: SignedLinks("links", "http://pages.test"))

    # Views

    async def page(
        self,
        owners: Sequence[str],
        states: Sequence[MailState] = (),
        before: int | None = None,
        limit: int = 50,
    ) -> list[WorkflowState]:
        found = [
            row
            for row in sorted(self.rows, key=lambda row: -row.id)
            if row.owner in owners
            and (not states or row.current_state in states)
            and (before is None or row.id < before)
        ]
        return found[:limit]

    async def find(self, owners: Sequence[str], message_id: str) -> list[WorkflowState]:
        return [row for row in self.rows if row.owner in owners and row.message_id == message_id]

    async def by_workflow(self, workflow_id: str) -> WorkflowState | None:
        return next((row for row in self.rows if row.workflow_id == workflow_id), None)

    async def draft_blob(self, row: WorkflowState, revision: int) -> str | None:
        return self.drafts.get((row.workflow_id, revision))

    async def timeline(self, owner: str, message_id: str) -> list[TimelineEntry]:
        return self.lines

    # Statistics, figures, blobs

    async def figures(self, days: int, owners: Sequence[str] | None = None) -> Figures:
        self.periods.append(days)
        return self.shown

    async def counts(self, owners: Sequence[str] | None = None) -> Counts:
        states = [row.current_state for row in self.rows]
        return Counts(
            pending=0,
            awaiting_user=states.count(MailState.AWAITING_USER),
            completed_today=states.count(MailState.REPLY_SENT),
            failed=states.count(MailState.FAILED),
        )

    async def get(self, sha256: str) -> bytes:
        if sha256 not in self.blobs:
            raise Permanent("gone")
        return self.blobs[sha256]

    # Flows

    async def decide(self, workflow_id: str, word: OwnersWord, within: timedelta) -> Outcome:
        self.words.append(word)
        if isinstance(self.outcome, NotRunning):
            raise self.outcome
        self.happened(workflow_id)
        return self.outcome or Outcome(
            verdict=Verdict.ACCEPTED,
            state=MailState.AWAITING_USER,
            revision=1,
            text="The reply is on its way.",
        )

    async def retry(self, workflow_id: str) -> None:
        self.signals.append("retry")
        self.happened(workflow_id)

    async def expire(self, workflow_id: str) -> None:
        self.signals.append("expire")
        self.happened(workflow_id)

    # The event feed

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Queue[MailEvent]]:
        queue: asyncio.Queue[MailEvent] = asyncio.Queue()
        self.queues.add(queue)
        try:
            yield queue
        finally:
            self.queues.discard(queue)

    def happened(self, workflow_id: str) -> None:
        for row in self.rows:
            if row.workflow_id == workflow_id:
                self.publish(row.owner, row.message_id)

    def publish(self, owner: str, message_id: str) -> None:
        for queue in self.queues:
            queue.put_nowait(MailEvent(id=1, owner=owner, message_id=message_id, type="x"))

    # What a test puts into it

    def add(self, raw: bytes = b"From: john@example.com\r\n\r\nHi", **known: object) -> str:
        """A mail that waits for its owner; its hash."""
        number = len(self.rows) + 1
        row = a_row(id=number, message_id=f"<{number}@example.com>", **known)
        row = row.model_copy(update={"blob": self.keep(raw)})
        self.rows.append(row)
        if row.ai_reply_text:
            self.drafts[row.workflow_id, row.revision or 1] = self.keep(row.ai_reply_text.encode())
        return row.workflow_id.rpartition("/")[2]

    def keep(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    def become(self, **changes: object) -> None:
        """The newest mail changes."""
        self.rows[-1] = self.rows[-1].model_copy(update=changes)

    def link(self, revision: int = 1) -> str:
        row = self.rows[-1]
        mail = MailRef(
            **{name: getattr(row, name) for name in ("owner", "message_id", "workflow_id", "blob")},
            reply_from="owner@mailroom.test",
            sender="John",
            subject="Meeting",
            received_at=NOW,
        )
        return self.links.draft(mail, revision).removeprefix("http://pages.test")


def a_row(**known: object) -> WorkflowState:
    values: dict[str, object] = dict.fromkeys(WorkflowState.model_fields)
    values |= {
        "id": 1,
        "owner": OWNER.id,
        "message_id": "<1@example.com>",
        "email_subject": "Meeting tomorrow",
        "email_from": "John Doe <john@example.com>",
        "current_state": MailState.AWAITING_USER,
        "code": "K7M4",
        "revision": 1,
        "ai_reply_text": "Hi John,\n\nThat time works.",
        "edit_iteration": 0,
        "retry_count": 0,
        "created_at": NOW,
        "updated_at": NOW,
        "received_at": NOW,
        "blob": "",
    }
    values |= known
    values["workflow_id"] = email_reply_id(str(values["owner"]), str(values["message_id"]))
    return WorkflowState.model_validate(values)


def an_entry(type: str, **detail: object) -> TimelineEntry:
    return TimelineEntry(id=1, type=type, at=NOW, detail=detail)


def app_of(world: World, *more: APIRouter, https: bool = False) -> FastAPI:
    fake = cast(Any, world)
    app = FastAPI()
    # A page that needs more than the world knows fails where it asks for it.
    parts = [
        part.name for part in fields(Context) if part.default is MISSING is part.default_factory
    ]
    known: dict[str, Any] = dict.fromkeys(parts, fake) | {
        "handover": Handover(fake),
        "links": world.links,
        "owners": {OWNER.id: OWNER},
        "secrets": Secrets(token=TOKEN, webhook="", session="session"),
        "limits": Limits(max_message_bytes=1_000_000, sms_per_minute=60),
        "temporal_ui": "http://temporal.test",
    }
    app.state.context = Context(**known)
    problems.install(app)
    app.include_router(attachments.router)
    app.include_router(workflows.router)
    for router in more:
        app.include_router(router)
    pages.install(app, https=https)
    return app


def browser(app: FastAPI) -> httpx.AsyncClient:
    """Cookies, and no redirect followed by itself."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://pages.test")
