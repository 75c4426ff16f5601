"""An Email Monitor (seed 003) on loopback."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from web import web_server


@dataclass
class Monitor:
    """`answers` are given one after the other, and then `emails` in the usual form. A mail that
    is orchestrated is pending no more; `forgetful` monitors go on showing it."""

    emails: list[Any] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    bare: bool = False
    forgetful: bool = False
    status_code: int = 200
    polls: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    url: str = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/emails/pending")
        async def pending() -> Response:
            self.polls += 1
            if self.answers:
                return self.answers.pop(0)
            return JSONResponse(self.emails if self.bare else {"count": 1, "emails": self.emails})

        @app.post("/emails/{message_id:path}/status")
        async def status(message_id: str, request: Request) -> Response:
            state = (await request.json())["status"]
            # As it was written: a slash in it is no path.
            written = request.scope["raw_path"].decode().split("/")
            assert len(written) == 4, written
            self.asked.append((message_id, state))
            if self.status_code == 200:
                self.take(message_id, state)
            return Response(status_code=self.status_code)

        return app

    def take(self, message_id: str, state: str) -> None:
        self.statuses[message_id].append(state)
        if not self.forgetful:
            self.emails = [one for one in self.emails if one["message_id"] != message_id]


def email(marker: str, number: int = 1, **more: object) -> dict[str, Any]:
    return {
        "message_id": f"<{number}/{marker}@example.com>",
        "from": f"{marker} <{marker}@example.com>",
        "to": "owner@mailroom.test",
        "subject": f"Meeting {marker}",
        "body": "Hi, can we meet tomorrow at 2pm?",
        "received_at": "2025-11-21T10:00:00Z",
        **more,
    }


@contextlib.asynccontextmanager
async def monitor_running() -> AsyncIterator[Monitor]:
    monitor = Monitor()
    async with web_server(monitor.app()) as monitor.url:
        yield monitor
