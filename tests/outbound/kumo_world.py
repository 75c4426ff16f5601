"""A KumoMTA on loopback: its documented shapes, and none of its queues.

What it does is asked for in the recipient's name: `kumo-550`, `kumo-451` and `kumo-broken` are
failures that it counts, `kumo-http-STATUS` answers that status, `kumo-slow` answers once `hurry`
is set, `kumo-die` takes the message and hangs up while it answers, `kumo-too-old` is one that
does not know recipients' metadata.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from web import web_server

NODE = "557f3ad4-2c8c-11ee-976e-782d7e12e173"
BODY_LIMIT = 2 * 1024 * 1024
CREATED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
FAILURES = {
    "kumo-550": "550 5.7.1 we don't send that",
    "kumo-451": "runtime error: 451 4.7.1 not now\nstack traceback:\n\t[C]: in function 'reject'",
    "kumo-broken": "failed to write to spool: No space left on device (os error 28)",
    "kumo-bad-address": "recipient email nobody: expected an @",
}


class _Strict(BaseModel):
    """KumoMTA refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class _Recipient(_Strict):
    email: str
    name: str | None = None
    substitutions: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class _TraceHeaders(_Strict):
    received_header: bool = False
    supplemental_header: bool = True


class Injection(_Strict):
    """`POST /api/inject/v1`, with a finished message."""

    envelope_sender: str
    recipients: list[_Recipient]
    content: str
    deferred_spool: bool = False
    trace_headers: _TraceHeaders = _TraceHeaders()
    template_dialect: Literal["Jinja", "Static", "Handlebars"] = "Jinja"


@dataclass
class Kumo:
    """`injected` is what it took, oldest first; `asked` are the bodies of the admin interface."""

    url: str = ""
    login: str | None = None
    version: str = "2026.05.12-a6845223"
    injected: list[Injection] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    suspensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    bounces: dict[str, dict[str, Any]] = field(default_factory=dict)
    scheduled: dict[str, float] = field(default_factory=lambda: {"example.com": 3.0})
    ready_queues: dict[str, float] = field(
        default_factory=lambda: {
            "smtp_client": 2.0,
            "smtp_client:source2->mx.example.com@smtp_client": 2.0,
        }
    )
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def restart(self) -> None:
        """What it was told is in its memory alone."""
        for entries in (self.suspensions, self.ready, self.bounces):
            entries.clear()

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/api/inject/v1")
        async def inject(request: Request) -> Response:
            body = await request.body()
            if self.login not in (None, request.headers.get("authorization")):
                return PlainTextResponse("Error: not authorized", 401)
            if len(body) > BODY_LIMIT:
                return PlainTextResponse("length limit exceeded", 413)
            try:
                return await self.take(Injection.model_validate_json(body))
            except ValidationError as error:
                [name, *_] = error.errors()[0]["loc"]
                return PlainTextResponse(f"unknown field `{name}`", 422)

        self._suspensions(app, "/api/admin/suspend/v1", self.suspensions)
        self._suspensions(app, "/api/admin/suspend-ready-q/v1", self.ready)
        self._bounces(app)
        self._inspection(app)
        return app

    def _suspensions(self, app: FastAPI, path: str, entries: dict[str, dict[str, Any]]) -> None:
        @app.post(path)
        async def suspend(request: Request) -> dict[str, str]:
            asked = dict(await self.note(request))
            length = timedelta(seconds=int(asked.pop("duration", "300s")[:-1]))
            for id in [id for id, one in entries.items() if criteria(one) == criteria(asked)]:
                del entries[id]
            id, until = str(uuid4()), datetime.now(UTC) + length
            entries[id] = {"id": id, **asked, "expires": until.isoformat()}
            return {"id": id}

        @app.get(path)
        async def listed() -> list[dict[str, Any]]:
            return [listed_as(one) for one in entries.values() if left(one)]

        @app.delete(path)
        async def lift(request: Request) -> Response:
            id = (await request.json())["id"]
            gone = entries.pop(id, None)
            return PlainTextResponse(f"removed {id}" if gone else "not found", 200 if gone else 404)

    def _bounces(self, app: FastAPI) -> None:
        @app.post("/api/admin/bounce/v1")
        async def bounce(request: Request) -> dict[str, Any]:
            asked = await self.note(request)
            id = str(uuid4())
            self.bounces[id] = {**asked, "id": id, "duration": "5m", "bounced": {"a.test": 2}}
            return {"id": id, "bounced": {}, "total_bounced": 0}

        @app.get("/api/admin/bounce/v1")
        async def listed() -> list[dict[str, Any]]:
            return [entry | {"total_bounced": 2} for entry in self.bounces.values()]

        @app.delete("/api/admin/bounce/v1")
        async def end(request: Request) -> Response:
            gone = self.bounces.pop((await request.json())["id"], None)
            return PlainTextResponse("", 200 if gone else 404)

        @app.post("/api/admin/rebind/v1")
        async def rebind(request: Request) -> dict[str, Any]:
            await self.note(request)
            return {}

    def _inspection(self, app: FastAPI) -> None:
        @app.get("/api/admin/inspect-message/v1")
        async def message(id: str, want_body: bool = False) -> Response:
            number = int(id) if id.isdecimal() else len(self.injected)
            if number >= len(self.injected):
                return PlainTextResponse("Error: no such message", 500)
            return JSONResponse(inspected(number, self.injected[number], want_body))

        @app.get("/api/admin/inspect-sched-q/v1")
        async def queue(queue_name: str, limit: int, want_body: bool = False) -> dict[str, Any]:
            shown = [inspected(n, one, want_body) for n, one in enumerate(self.injected)]
            return {
                "queue_name": queue_name,
                "messages": shown[:limit],
                "num_scheduled": len(shown),
                "delayed_metric": 0,
                "last_changed": CREATED.isoformat(),
                "now": CREATED.isoformat(),
                "queue_config": {"max_age": "5d"},
            }

        @app.get("/api/machine-info")
        async def machine(request: Request) -> Response:
            if self.login not in (None, request.headers.get("authorization")):
                return PlainTextResponse("Error: not authorized", 401)
            known = {"hostname": "mta1.example.com", "version": self.version, "num_cores": 64}
            return JSONResponse(known | {"process_kind": "kumod", "node_id": NODE})

        @app.get("/metrics.json")
        async def metrics() -> dict[str, Any]:
            return {
                "scheduled_count": gauge({"queue": self.scheduled}),
                "ready_count": gauge({"service": self.ready_queues}),
                "memory_usage": gauge(185683968.0),
                "lua_event_latency": gauge({"event": {"init": {"avg": 0.1, "bucket": {}}}}),
            }

    async def note(self, request: Request) -> dict[str, Any]:
        asked: dict[str, Any] = await request.json()
        self.asked.append((request.url.path, asked))
        return asked

    async def take(self, asked: Injection) -> Response:
        to = asked.recipients[0].email
        self.seen.append(to)
        if status := re.search(r"kumo-http-(\d+)", to):
            return PlainTextResponse("Error: as asked", int(status[1]))
        if "kumo-too-old" in to:
            return PlainTextResponse(
                "recipients[0]: unknown field `metadata`, expected `email`", 422
            )
        if "kumo-slow" in to:
            await self.hurry.wait()
        for word, error in FAILURES.items():
            if word in to:
                return JSONResponse(counts(0, [to], [f"{to}: {error}"]))
        self.injected.append(asked)
        if "kumo-die" in to:
            return StreamingResponse(_hangs_up(), headers={"Content-Length": "70"})
        return JSONResponse(counts(1))

    def to(self, recipient: str) -> list[Injection]:
        return [one for one in self.injected if one.recipients[0].email == recipient]


def criteria(entry: dict[str, Any]) -> list[Any]:
    """Who suspends the same once more takes the place of the one before."""
    return [entry.get(name) for name in ("campaign", "tenant", "domain", "queue_names", "name")]


def listed_as(entry: dict[str, Any]) -> dict[str, Any]:
    """Which names of queues were given is not among it."""
    return {k: v for k, v in entry.items() if k != "queue_names"} | {"duration": left(entry)}


def left(entry: dict[str, Any]) -> str:
    """As KumoMTA writes lengths of time; empty where it is over."""
    seconds = (datetime.fromisoformat(entry["expires"]) - datetime.now(UTC)).total_seconds()
    return f"{int(seconds // 60)}m {int(seconds % 60)}s 21us" if seconds > 0 else ""


def gauge(value: object) -> dict[str, Any]:
    return {"help": "as it says", "type": "gauge", "value": value}


def counts(success: int, failed: Sequence[str] = (), errors: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "success_count": success,
        "fail_count": len(failed),
        "failed_recipients": list(failed),
        "errors": list(errors),
    }


async def _hangs_up() -> AsyncIterator[bytes]:
    yield b'{"success_count":'
    raise ConnectionAbortedError


def inspected(number: int, one: Injection, want_body: bool) -> dict[str, Any]:
    message = {
        "sender": one.envelope_sender,
        "recipient": one.recipients[0].email,
        "meta": {"extra": one.recipients[0].metadata, "reception_protocol": "HTTP"},
        "data": one.content if want_body else None,
    }
    return {"id": str(number), "message": message}


def record(
    kind: str, injected: Injection, code: int = 250, said: str = "OK", **more: Any
) -> dict[str, Any]:
    """A record of its log about a message that it took, with `extra` and the Message-ID logged."""
    [recipient], now = injected.recipients, datetime.now(UTC)
    message_id = re.search(r"^Message-ID: (.*?)\r?$", injected.content, re.MULTILINE)
    return {
        "type": kind,
        "id": uuid4().hex,
        "sender": injected.envelope_sender,
        "recipient": recipient.email,
        "queue": recipient.email.partition("@")[2],
        "site": "unspecified->mx.example.com",
        "size": len(injected.content),
        "response": {
            "code": code,
            "enhanced_code": {"class": code // 100, "subject": 1, "detail": 1},
            "content": said,
            "command": ".",
        },
        "peer_address": {"name": "mx.example.com.", "addr": "192.0.2.25"},
        "timestamp": int(now.timestamp()),
        "event_time": now.isoformat().replace("+00:00", "123Z"),
        "created": int(CREATED.timestamp()),
        "created_time": CREATED.isoformat(),
        "num_attempts": 0,
        "bounce_classification": "Uncategorized",
        "egress_pool": "pool0",
        "egress_source": "source2",
        "source_address": {"address": "10.0.0.1:53210"},
        "feedback_report": None,
        "meta": {"extra": recipient.metadata},
        "headers": {"Message-ID": message_id[1] if message_id else ""},
        "delivery_protocol": "ESMTP",
        "reception_protocol": "HTTP",
        "nodeid": NODE,
        "session_id": str(uuid4()),
    } | more


def out_of_band(injected: Injection, said: str = "no such user") -> dict[str, Any]:
    """A bounce that came as a mail, to the envelope sender: with nothing that we gave it."""
    about = record("OOB", injected, 550, said)
    return about | {"meta": {}, "headers": {}, "reception_protocol": "ESMTP"}


def feedback(injected: Injection, kind: str = "abuse") -> dict[str, Any]:
    """An ARF report, whose own mail the record is about."""
    report = {
        "feedback_type": kind,
        "user_agent": "SomeGenerator/1.0",
        "version": "1",
        "arrival_date": "2026-11-21T10:00:00Z",
        "original_mail_from": f"<{injected.envelope_sender}>",
        "original_rcpto_to": [f"<{injected.recipients[0].email}>"],
        "original_message": injected.content,
        "supplemental_trace": None,
        "extensions": {},
    }
    about = {"sender": "fbl@provider.example", "recipient": "fbl@mailroom.test", "meta": {}}
    more = about | {"headers": {}, "reception_protocol": "ESMTP", "feedback_report": report}
    return record("Feedback", injected, **more)


async def post_log(http: httpx.AsyncClient, *records: dict[str, Any]) -> dict[str, Any]:
    """What the bridge answers to its hook, which runs on the same machine."""
    answer = await http.post("/kumomta/log", json=list(records))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


@contextlib.asynccontextmanager
async def kumo_running() -> AsyncIterator[Kumo]:
    kumo = Kumo()
    async with web_server(kumo.app()) as kumo.url:
        try:
            yield kumo
        finally:
            kumo.hurry.set()
