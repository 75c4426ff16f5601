"""Messages that KumoMTA delivers: one request each, its last byte told apart.

A body without its last byte is no JSON, so nothing is injected before that byte is written: it
is what the final dot is in SMTP. `before_dot` (which commits the send-once marker) runs right
before it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from mailroom.adapters.kumomta.injection import injection, outcome
from mailroom.adapters.kumomta.server import KumoServer
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.ports import SendUnknown
from mailroom.ports.outbound import Busy, Deferred, Refused

CONNECT_SECONDS = 10.0
# KumoMTA answers when the message is in its spool; under load it lets clients wait.
ANSWER_SECONDS = 120.0
BUSY_SECONDS = 5.0


class KumoCourier:
    def __init__(
        self,
        http: httpx.AsyncClient,
        server: KumoServer,
        connections: int = 10,
        *,
        seconds: float = ANSWER_SECONDS,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """`connections` requests at once; `seconds` is how long an answer is waited for."""
        self._http = http
        self._server = server
        self._free = asyncio.Semaphore(connections)
        self._seconds = seconds
        self._busy_seconds = busy_seconds

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        try:
            body = _Body(injection(parcel, data, self._server), before_dot)
            async with self._one_of_few():
                answer = await self._post(body)
            return outcome(answer, whole=body.whole)
        except (Refused, Deferred) as error:
            # What KumoMTA has to say, and that it is down, is nobody's fault at the recipient's.
            error.of_domain = False
            raise

    async def _post(self, body: "_Body") -> httpx.Response:
        try:
            return await self._http.post(
                f"{self._server.url}/api/inject/v1",
                content=body.parts(),
                headers={"Content-Type": "application/json", "Content-Length": str(body.size)},
                auth=self._server.auth or httpx.USE_CLIENT_DEFAULT,
                timeout=httpx.Timeout(self._seconds, connect=CONNECT_SECONDS),
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # httpx's sentences may hold the URL.
            name = type(error).__name__
            if body.whole:
                raise SendUnknown(f"KumoMTA did not confirm the message ({name}).") from None
            raise Deferred(f"KumoMTA can't be reached ({name}).") from None

    @asynccontextmanager
    async def _one_of_few(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._busy_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Busy("KumoMTA has as many messages of ours in hand as it may.") from None
        try:
            yield
        finally:
            self._free.release()


class _Body:
    """`whole` once its end may have been written."""

    def __init__(self, body: bytes, before_end: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._before_end = before_end
        self.whole = False

    @property
    def size(self) -> int:
        return len(self._body)

    async def parts(self) -> AsyncIterator[bytes]:
        yield self._body[:-1]
        await self._before_end()
        self.whole = True
        yield self._body[-1:]
