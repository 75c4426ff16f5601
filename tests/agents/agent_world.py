"""Agents that talk to a real bridge: sessions with their event streams, letters, tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from house import TOKEN, House
from world import eventually

OVERSEER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Desk:
    """An agent with a session, and what came over its stream."""

    http: httpx.AsyncClient
    address: str
    session_id: str
    token: str
    confirms: bool = True
    seen: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def subjects(self) -> list[str]:
        return [event["message"]["subject"] for event in self.seen]

    async def listen(self, up: asyncio.Event) -> None:
        path = f"/sessions/{self.session_id}/events"
        async with self.http.stream("GET", path, headers=self.headers) as stream:
            assert stream.status_code == 200
            up.set()
            async for kind, data in _events(stream):
                if kind == "message.received":
                    await self.take(data)
                else:
                    self.told.append(data)

    async def take(self, event: dict[str, Any]) -> None:
        self.seen.append(event)
        if self.confirms:
            path = f"/sessions/{self.session_id}/events/{event['event_id']}/confirm"
            answer = await self.http.post(path, headers=self.headers)
            assert answer.status_code in (200, 404), answer.text

    async def has(self, *subjects: str) -> None:
        async def there() -> bool:
            return [each for each in self.subjects if each in subjects] == list(subjects)

        await eventually(there)

    async def saw(self, count: int) -> list[str]:
        """The subjects of so many letters, in the order in which they came."""

        async def there() -> bool:
            return len(self.seen) >= count

        await eventually(there)
        return self.subjects

    async def heartbeat(self) -> dict[str, Any]:
        path = f"/sessions/{self.session_id}/heartbeat"
        return (await self.http.post(path, headers=self.headers)).raise_for_status().json()


async def _events(stream: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in stream.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def registered(http: httpx.AsyncClient, address: str, **more: str) -> Desk:
    new = {"address": address, "daemon_id": "daemon-1", **more}
    answer = await http.post("/sessions", json=new, headers=OVERSEER)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return Desk(http, made["address"], made["session_id"], made["token"])


@dataclass
class Hook:
    """`POST /mail`: takes letters, or answers with `status`."""

    url: str = ""
    status: int = 200
    calls: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/mail")
        async def mail(request: Request) -> Response:
            self.calls.append(await request.json())
            return Response(status_code=self.status)

        return app


async def status_of(house: House, letter: str) -> str:
    state = await house.context.letters.state(letter)
    return state.value if state else "unknown"


async def reaches(house: House, letter: str, status: str) -> None:
    async def there() -> bool:
        return await status_of(house, letter) == status

    await eventually(there)


@asynccontextmanager
async def online(
    http: httpx.AsyncClient, address: str, *, confirms: bool = True, **more: str
) -> AsyncIterator[Desk]:
    """A session that listens while the block runs."""
    desk = await registered(http, address, **more)
    desk.confirms = confirms
    up = asyncio.Event()
    listening = asyncio.create_task(desk.listen(up))
    try:
        await asyncio.wait_for(up.wait(), 10)
        yield desk
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def send(
    http: httpx.AsyncClient,
    to: str,
    subject: str = "hello",
    *,
    wait: float = 0,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    letter = {"to": to, "subject": subject, "body": f"about {subject}", **more}
    answer = await http.post(
        "/mail", json=letter, params={"wait": wait}, headers=headers or OVERSEER
    )
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]
