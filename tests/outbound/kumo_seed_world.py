"""A KumoMTA that speaks the paths of seed 004, section 7, and none of the current ones."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from web import web_server

DETAILS = {
    "id": "m1",
    "queue": "example.com",
    "recipient": "ann@example.com",
    "sender": "news@company.com",
    "size": 4312,
    "attempts": 2,
    "next_attempt": "2026-11-22T10:00:00Z",
    "last_response": {"code": 451, "message": "later"},
}


@dataclass
class SeedKumo:
    """`planned`: messages are where its own paths had them, not where the seed lists them."""

    url: str = ""
    planned: bool = False
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/api/admin/bounce/v1/list-scheduled-queues")
        async def listed() -> dict[str, Any]:
            return {"queues": [{"name": name} | one for name, one in self.queues.items()]}

        @app.get("/api/admin/bounce/v1/inspect-message/{id}")
        async def inspected(id: str) -> dict[str, Any]:
            return self.message(id, planned=False)

        @app.get("/api/admin/inspect-message/v1/{id}")
        async def inspected_as_planned(id: str) -> dict[str, Any]:
            return self.message(id, planned=True)

        @app.post("/api/admin/suspend/v1/{domain}")
        async def suspend(domain: str, request: Request) -> dict[str, Any]:
            self.asked.append((domain, await request.json()))
            self.queue(domain)["state"] = "suspended"
            return {}

        @app.post("/api/admin/resume-scheduled-queue/v1/{queue}")
        async def resume(queue: str) -> dict[str, Any]:
            self.queue(queue)["state"] = "active"
            return {}

        return app

    def queue(self, name: str) -> dict[str, Any]:
        return self.queues.setdefault(name, {"message_count": 0, "state": "active"})

    def message(self, id: str, *, planned: bool) -> dict[str, Any]:
        if id != DETAILS["id"] or planned is not self.planned:
            raise HTTPException(404)
        return DETAILS


@contextlib.asynccontextmanager
async def seed_kumo_running() -> AsyncIterator[SeedKumo]:
    kumo = SeedKumo()
    async with web_server(kumo.app()) as kumo.url:
        yield kumo
