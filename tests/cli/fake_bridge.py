"""The bridge's routes on a real HTTP server, with nothing behind them."""

import asyncio
import contextlib
import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from typer.testing import Result

Run = Callable[..., Result]
TOKEN = "a-token-for-the-command-line"


def mail(number: int, state: str = "awaiting_user", **more: Any) -> dict[str, Any]:
    """An item of `/workflow`."""
    return {
        "id": number,
        "message_id": f"<mail-{number}@example.com>",
        "email_subject": f"Subject {number}",
        "email_from": "John Doe <john@example.com>",
        "email_body_preview": "Can we meet tomorrow?",
        "current_state": state,
        "reason": None,
        "code": None,
        "revision": 1,
        "draft_note": None,
        "ai_reply_text": "Hi John,\n\nYes.\n",
        "error_message": None,
        "received_at": datetime.now(UTC).isoformat(),
        "timeout_at": None,
        **more,
    }


def figures() -> dict[str, Any]:
    """What `/workflow/stats` says: nothing on one day, three mails on the next."""
    quiet = {
        "mails": 0,
        "texts": 0,
        "answers": {"approve": 0, "edit": 0, "ignore": 0, "none": 0},
        "response_seconds": None,
        "edits_per_draft": None,
        "failures": {"draft": 0, "sms": 0, "reply": 0},
        "input_tokens": 0,
        "output_tokens": 0,
    }
    busy = {
        "mails": 3,
        "texts": 4,
        "answers": {"approve": 1, "edit": 2, "ignore": 0, "none": 0},
        "response_seconds": 180.0,
        "edits_per_draft": 0.667,
        "failures": {"draft": 0, "sms": 1, "reply": 0},
        "input_tokens": 100,
        "output_tokens": 20,
    }
    rates = {"mails": 3, "approved": 1, "edited": 2, "ignored": 0}
    edit = {
        "workflow_id": "email-reply/1",
        "sender": "John Doe <john@example.com>",
        "subject": "Meeting",
        "at": "2026-03-02T10:00:00Z",
        "instructions": "make it warmer",
        "diff": "-Regards,\n+Warm regards,",
    }
    return {
        "total": busy,
        "days": [{"day": "2026-03-01", **quiet}, {"day": "2026-03-02", **busy}],
        "senders": [{"name": "john@example.com", **rates}],
        "sources": [{"name": "template meeting", **rates}],
        "edits": [edit],
    }


def open_way() -> dict[str, Any]:
    """What `/spool` says of an empty spool while all is well."""
    queues: dict[str, dict[str, int]] = {"inbound": {}, "outbound": {}, "dead-letter": {}}
    return {"open": True, "since": None, "why": None, "queues": queues, "oldest": None}


@dataclass
class FakeBridge:
    """Answers from `mails`, and remembers what it was asked. A posted mail with `refuse-me` in
    it is refused; one with `busy-once` gets a 503 the first time, one with `keep-me` is kept in
    its spool. A drain answers what `drained` has, if there is a spool."""

    url: str = ""
    mails: list[dict[str, Any]] = field(default_factory=list)
    words: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)
    tries: Counter[bytes] = field(default_factory=Counter)
    now: int = 0
    at_once: int = 0
    refusal: str | None = None
    figures: dict[str, Any] = field(default_factory=figures)
    days: list[str] = field(default_factory=list)
    spool: dict[str, Any] = field(default_factory=open_way)
    drained: dict[str, Any] = field(default_factory=lambda: {"forwarded": 3, "left": 0, "dead": 0})
    drains: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    drain_until_looked_at: bool = False

    def find(self, message_id: str) -> dict[str, Any] | None:
        return next((m for m in self.mails if m["message_id"] == message_id), None)

    def page(self, request: Request, states: list[str]) -> dict[str, Any]:
        """Two items a page, whatever was asked for: the caller has to turn pages."""
        after = int(request.query_params.get("cursor", 0))
        found = [m for m in self.mails if not states or m["current_state"] in states][after:]
        return {"items": found[:2], "next_cursor": after + 2 if found[2:] else None}

    async def take(self, raw: bytes) -> JSONResponse:
        self.now += 1
        self.at_once = max(self.at_once, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        self.tries[raw] += 1
        if b"refuse-me" in raw:
            return problem(413, "A mail may have 10 bytes at most.")
        if b"busy-once" in raw and self.tries[raw] == 1:
            return problem(503, "Temporal did not take the mail.")
        new = raw not in self.posted
        self.posted.append(raw)
        key = hashlib.sha256(raw).hexdigest()
        if b"keep-me" in raw:
            kept = {"workflow_id": None, "message_id": f"<{key}@x>", "new": None, "spooled": True}
            return JSONResponse(kept, 202)
        return JSONResponse({"workflow_id": key, "message_id": f"<{key}@x>", "new": new}, 202)


def problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"status": status, "detail": detail}, status)


def lists(app: FastAPI, bridge: FakeBridge) -> None:
    """Mails by state, and figures."""

    @app.get("/workflow")
    async def everything(request: Request) -> dict[str, Any]:
        return bridge.page(request, request.query_params.getlist("state"))

    @app.get("/workflow/pending")
    async def pending(request: Request) -> dict[str, Any]:
        return bridge.page(request, ["awaiting_user"])

    @app.get("/workflow/failed")
    async def failed(request: Request) -> dict[str, Any]:
        return bridge.page(request, ["failed"])

    @app.get("/workflow/stats")
    async def stats(days: str) -> dict[str, Any]:
        bridge.days.append(days)
        return bridge.figures


def spools(app: FastAPI, bridge: FakeBridge) -> None:
    """What waits, and what is kept for how long."""

    @app.get("/retention")
    async def retention() -> dict[str, Any]:
        none = {"last_run": None, "older_than": None}
        return {"bodies": {"days": 90, "due": 12, **none}, "rows": {"days": None, "due": 0, **none}}

    @app.get("/spool")
    async def spool() -> dict[str, Any]:
        bridge.looked.set()
        return bridge.spool

    @app.post("/spool/drain")
    async def drain() -> dict[str, Any]:
        bridge.drains += 1
        if bridge.drain_until_looked_at:
            await bridge.looked.wait()
        return bridge.drained


def words(app: FastAPI, bridge: FakeBridge) -> None:
    """One mail, and what is said of it."""

    @app.post("/workflow/timeout/{message_id:path}", status_code=202)
    async def time_out(message_id: str) -> dict[str, str]:
        bridge.signals.append(("timeout", message_id))
        return {"detail": "The wait for the owner ends now."}

    @app.post("/workflow/{message_id:path}/retry", status_code=202)
    async def retry(message_id: str) -> dict[str, str]:
        bridge.signals.append(("retry", message_id))
        return {"detail": "The stage sms is tried again."}

    @app.post("/workflow/{message_id:path}/decide")
    async def decide(message_id: str, word: dict[str, Any]) -> Any:
        if bridge.refusal:
            return problem(409, bridge.refusal)
        bridge.words.append((message_id, word))
        text = "The reply is on its way."
        return {"verdict": "accepted", "state": "awaiting_user", "revision": 1, "text": text}

    @app.get("/workflow/{message_id:path}")
    async def one(message_id: str) -> Any:
        found = bridge.find(message_id)
        if found is None:
            return problem(404, f"There is no mail {message_id}.")
        at = datetime.now(UTC).isoformat()
        timeline = [{"id": 1, "type": "sms_sent", "at": at, "detail": {"texts": 2, "error": None}}]
        return {**found, "timeline": timeline}


def mails(app: FastAPI, bridge: FakeBridge) -> None:
    """Mail that is handed over, and forgotten."""

    @app.post("/emails", status_code=202)
    async def emails(request: Request) -> JSONResponse:
        assert request.headers["content-type"] == "message/rfc822"
        return await bridge.take(await request.body())

    @app.post("/emails/forget")
    async def forget(asked: dict[str, str]) -> dict[str, int]:
        bridge.forgotten.append(asked["address"])
        found = [m for m in bridge.mails if asked["address"] in m["email_from"]]
        return {"mails": len(found), "drafts": 2 * len(found)}


def app_of(bridge: FakeBridge) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def check_token(request: Request, call_next: Any) -> Any:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return await call_next(request)
        return problem(401, "This token is not the one of this Mailroom.")

    # In this order: a Message-ID matches what the lists do not.
    for routes in (lists, spools, words, mails):
        routes(app, bridge)
    return app


@contextlib.contextmanager
def fake_bridge() -> Iterator[FakeBridge]:
    """Runs in a thread: the command line blocks the one it is called in."""
    bridge = FakeBridge()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    bridge.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(app_of(bridge), log_config=None, lifespan="off", timeout_keep_alive=75)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield bridge
    finally:
        server.should_exit = True
        thread.join()
