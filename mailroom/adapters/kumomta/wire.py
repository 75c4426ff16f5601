"""Requests to KumoMTA's HTTP listener: bounded in time and size, its errors in our words."""

import asyncio
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from mailroom.adapters.kumomta.server import KumoServer
from mailroom.models.attached import size_words
from mailroom.models.text import one_line
from mailroom.ports import Permanent, Transient
from mailroom.ports.relay import NotThere, RelayAway

LONGEST_QUOTE = 300
# Metrics of many queues, or a message with its body; what is longer is not read.
MOST_BYTES = 64 * 1024 * 1024
# From the request to the last byte of the answer.
SECONDS = 30.0
# What has no such path, or no such method there.
UNKNOWN = (404, 405)

Answer = TypeVar("Answer")


class KumoWire:
    """Raises `Permanent` for what it refuses, `NotThere` for what it does not know, `Transient` for
    its errors, and `RelayAway` where it can't be reached."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        server: KumoServer,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._http = http
        self._server = server
        self._seconds = seconds
        self._most_bytes = most_bytes

    async def read(self, method: str, path: str, kind: type[Answer], **asked: Any) -> Answer:
        """What it answers, in the shape that is expected."""
        return _read(_successful(await self._send(method, path, **asked)), kind)

    async def tell(self, method: str, path: str, **asked: Any) -> None:
        """Where what it answers does not matter."""
        _successful(await self._send(method, path, **asked))

    async def _send(self, method: str, path: str, **asked: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._bounded(method, path, **asked)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # httpx's sentences may hold the URL.
            raise RelayAway(f"KumoMTA can't be reached ({type(error).__name__}).") from None

    async def _bounded(self, method: str, path: str, **asked: Any) -> httpx.Response:
        read = bytearray()
        async with self._http.stream(
            method,
            f"{self._server.url}{path}",
            auth=self._server.auth or httpx.USE_CLIENT_DEFAULT,
            **asked,
        ) as response:
            async for part in response.aiter_bytes():
                read += part
                if len(read) > self._most_bytes:
                    raise Permanent(
                        f"KumoMTA's answer is longer than {size_words(self._most_bytes)}."
                    )
        return httpx.Response(response.status_code, content=bytes(read))


def _successful(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    if response.is_success:
        return response
    if status in (401, 403):
        raise Permanent(
            f"KumoMTA does not let us in ({status}). Add this machine to trusted_hosts of its HTTP "
            "listener, or correct KUMOMTA_USER and KUMOMTA_PASSWORD."
        )
    sentence = f"KumoMTA answered {status}: {one_line(response.text, LONGEST_QUOTE) or 'no reason'}"
    if status in UNKNOWN:
        raise NotThere(sentence)
    raise Permanent(sentence) if response.is_client_error else Transient(sentence)


def _read(response: httpx.Response, kind: type[Answer]) -> Answer:
    try:
        return TypeAdapter(kind).validate_json(response.content)
    except ValidationError:
        raise Permanent(
            "KumoMTA answered something else than it documents; is KUMOMTA_URL its address?"
        ) from None
