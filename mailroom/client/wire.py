"""Requests to the bridge, and its answers as data or as one of our errors."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from mailroom.client.errors import Refused, Unreachable

PAGE = 200
LATER = (
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class Wire:
    """Raises `Unreachable` and `Refused`."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self._url = url.rstrip("/")

    def url(self, path: str) -> str:
        return f"{self._url}{path}"

    async def get(self, path: str, **content: Any) -> Any:
        return (await self.ask("GET", path, **content)).json()

    async def post(self, path: str, **content: Any) -> Any:
        return (await self.ask("POST", path, **content)).json()

    async def items(self, path: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Of a list, page after page."""
        asked = {"limit": PAGE, **params}
        while True:
            page = await self.get(path, params=asked)
            for item in page["items"]:
                yield item
            if not page.get("next_cursor"):
                return
            asked["cursor"] = page["next_cursor"]

    async def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            response = await self.http.request(method, self.url(path), **content)
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise Unreachable(f"Mailroom at {self._url} did not answer ({problem}).") from error
        check(response)
        return response


def check(response: httpx.Response) -> None:
    """Of a response that was read."""
    if response.is_success:
        return
    sentence = _detail(response)
    if response.status_code in LATER:
        raise Unreachable(sentence)
    raise Refused(sentence, response.status_code)


def _detail(response: httpx.Response) -> str:
    """The problem details' `detail` (RFC 9457), or what there is instead."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code} {response.reason_phrase}."


def path_of(address: str) -> str:
    """An address in a path; its slashes stay."""
    return quote(address)


def segment_of(id: str) -> str:
    """An ID as one segment of a path."""
    return quote(id, safe="")
