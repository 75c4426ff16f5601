"""The bridge, over HTTP: its answers as data, its refusals as sentences with an exit code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from mailroom.adapters.http import http_client
from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.errors import ExitCode, Failure
from mailroom.models.codes import find_code

ANSWER_SECONDS = 60
PAGE = 200
# Where a draft's code can be waiting: a failed mail has its draft and takes a word too.
WITH_CODES = ("/workflow/pending", "/workflow/failed")

EXIT_OF_STATUS: dict[int, ExitCode] = {
    HTTPStatus.NOT_FOUND: ExitCode.NOT_THERE,
    HTTPStatus.CONFLICT: ExitCode.REFUSED,
}


class Away(Failure):
    """The bridge can't take this now; the same request may pass a little later."""


class Refused(Failure):
    """The bridge refused this request; others may pass."""


class NotRunning(Failure):
    """Nobody listens where the bridge would be."""


class Bridge:
    """What the commands ask; every method raises `Failure` with a sentence."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str, **params: Any) -> Any:
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, **content: Any) -> Any:
        return await self._ask("POST", path, **content)

    async def put(self, path: str, **content: Any) -> Any:
        return await self._ask("PUT", path, **content)

    async def delete(self, path: str, **content: Any) -> None:
        await self._ask("DELETE", path, **content)

    async def pages(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Items of a list, page after page."""
        while True:
            page = await self.get(path, limit=PAGE, **params)
            for item in page["items"]:
                yield item
            params["cursor"] = page.get("next_cursor")
            if params["cursor"] is None:
                return

    async def download(self, path: str, **params: Any) -> AsyncIterator[bytes]:
        """What is no JSON, part by part."""
        try:
            async with self._http.stream("GET", f"{self._url}{path}", params=params) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                async for part in response.aiter_bytes():
                    yield part
        except httpx.ConnectError as error:
            raise not_running(self._url) from error
        except httpx.HTTPError as error:
            raise Away(f"Mailroom at {self._url} broke off; ask again.") from error

    async def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = await self._http.request(method, f"{self._url}{path}", **content)
        except httpx.ConnectError as error:
            raise not_running(self._url) from error
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise Away(f"Mailroom at {self._url} did not answer ({problem}).") from error
        except httpx.InvalidURL as error:
            raise Failure(f"{self._url} is no address ({error}); correct MAILROOM_URL.") from error
        return _content(response)


def not_running(url: str) -> NotRunning:
    return NotRunning(
        f"Mailroom isn't running at {url}; start it with `mailroom dev` or "
        "`mailroom daemon start`.",
        ExitCode.NOT_THERE,
    )


@asynccontextmanager
async def bridge(
    settings: Settings | None = None, token: str | None = None
) -> AsyncIterator[Bridge]:
    """The bridge of the settings, asked as its owner, or as whom the token stands for."""
    settings = settings or load_settings()
    async with http_client(ANSWER_SECONDS) as http:
        http.headers["Authorization"] = f"Bearer {token or token_of(settings)}"
        yield Bridge(http, settings.bridge_url)


def token_of(settings: Settings) -> str:
    """From MAILROOM_TOKEN, or as the local stack keeps it in its data folder."""
    if settings.mailroom_token:
        return settings.mailroom_token.get_secret_value()
    kept = settings.mailroom_data_dir / "token"
    try:
        return kept.read_text().strip()
    except FileNotFoundError as error:
        raise _no_token(settings, kept) from error


def _no_token(settings: Settings, kept: Path) -> Failure:
    if settings.mailroom_url:
        return Failure(f"A token is needed for {settings.mailroom_url}; set MAILROOM_TOKEN.")
    return Failure(
        f"Mailroom has not run here yet ({kept} is missing); start it with `mailroom dev`, or set "
        "MAILROOM_DATA_DIR or MAILROOM_TOKEN.",
        ExitCode.NOT_THERE,
    )


def _content(response: httpx.Response) -> Any:
    if not response.is_success:
        raise _refusal(response)
    if response.status_code == HTTPStatus.NO_CONTENT:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise Failure(f"{response.url} answers, but not as Mailroom does.") from error


def _refusal(response: httpx.Response) -> Failure:
    """The problem details' `detail` (RFC 9457), or what there is instead."""
    try:
        sentence = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        sentence = f"{response.url} answered {response.status_code} {response.reason_phrase}."
    match response.status_code:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Failure(sentence)
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.GATEWAY_TIMEOUT:
            return Away(sentence)
        case status:
            return Refused(sentence, EXIT_OF_STATUS.get(status, ExitCode.FAILED))


def path_of(message_id: str) -> str:
    """A mail's path. In angle brackets no Message-ID is taken for a fixed path."""
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return quote(f"<{bare}>", safe="")


async def resolved(to: Bridge, named: str) -> tuple[str, int | None]:
    """Message-ID and revision of what a person named: a draft's code, or a Message-ID.

    A code stands for one revision; a Message-ID for whichever is current (None).
    """
    code = find_code(named)
    if code is None:
        return named, None
    for path in WITH_CODES:
        async for mail in to.pages(path):
            if mail["code"] == code:
                return mail["message_id"], mail["revision"]
    raise Failure(f"No draft that waits has the code {code}.", ExitCode.NOT_THERE)
