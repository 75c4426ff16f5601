"""The Email Monitor of seed 003: `GET {EMAIL_MONITOR_URL}/emails/pending`, and what became of
each mail by `POST {EMAIL_MONITOR_URL}/emails/{message_id}/status`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import quote

import httpx
import ijson
import structlog

from mailroom.models.states import ProcessedStatus
from mailroom.ports import Permanent, Transient

log = structlog.get_logger()

# An answer beyond this waits on disk, not in memory, while its mails are taken.
IN_MEMORY_BYTES = 4 * 1024 * 1024
# What comes after this is left for the next poll.
LARGEST_ANSWER = 512 * 1024 * 1024
ANSWER_SECONDS = 300.0
DEPTH = 32
BEGINS, ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})
# The last comes of a number with thousands of digits.
BROKEN = (ijson.JSONError, ValueError, ArithmeticError, SystemError)
NO_ROUTE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT)


class EmailMonitor:
    def __init__(
        self, client: httpx.AsyncClient, url: str, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._client = client
        self._url = url
        self._answer_seconds = answer_seconds

    @asynccontextmanager
    async def pending(self) -> AsyncIterator[Iterator[object]]:
        """Its pending mails, one by one, as they stand in its JSON."""
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as answer:
            await self._download(answer)
            yield _items(answer, _where_they_are(answer))

    async def report(self, monitor_id: str, status: ProcessedStatus) -> bool:
        """False where the monitor has no such route: it reads `processed_emails` instead."""
        url = f"{self._url}/emails/{quote(monitor_id, safe='')}/status"
        try:
            response = await self._client.post(url, json={"status": status.value})
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if response.status_code in NO_ROUTE:
            return False
        _refuse_errors(response)
        return True

    async def _download(self, answer: IO[bytes]) -> None:
        request = self._client.stream("GET", f"{self._url}/emails/pending")
        try:
            async with asyncio.timeout(self._answer_seconds), request as response:
                _refuse_errors(response)
                async for chunk in response.aiter_bytes(65_536):
                    answer.write(chunk)
                    if answer.tell() > LARGEST_ANSWER:
                        log.warning("the Email Monitor's answer is cut", bytes=answer.tell())
                        break
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        except TimeoutError as error:
            raise Transient(
                f"The Email Monitor did not finish its answer in {self._answer_seconds:g} s."
            ) from error


def _where_they_are(answer: IO[bytes]) -> str:
    """The place of the mails in `{"emails": [...]}` or a bare list."""
    answer.seek(0)
    try:
        for prefix, event, _ in ijson.parse(_events(answer)):
            if event == "start_array" and prefix in ("", "emails"):
                return f"{prefix}.item".lstrip(".")
    except BROKEN as error:
        raise Transient("The Email Monitor answered something that is no JSON.") from error
    raise Transient('The Email Monitor answered JSON without "emails".')


def _items(answer: IO[bytes], where: str) -> Iterator[object]:
    answer.seek(0)
    try:
        yield from ijson.items(ijson.parse(_events(answer)), where)
    except BROKEN:
        # What stands before the break was taken; the rest comes with the next poll.
        log.warning("the Email Monitor's answer breaks off")


def _events(answer: IO[bytes]) -> Iterator[tuple[str, object]]:
    """Of JSON that isn't nested too deep: a path to each level takes memory with its square."""
    depth = 0
    for event, value in ijson.basic_parse(answer, use_float=True):
        depth += (event in BEGINS) - (event in ENDS)
        if depth > DEPTH:
            raise ValueError("too deep")
        yield event, value


def _unreachable(error: httpx.HTTPError) -> Transient:
    return Transient(f"The Email Monitor can't be reached: {error or type(error).__name__}.")


def _refuse_errors(response: httpx.Response) -> None:
    """Which answers are worth another try: all but those that blame the request."""
    if response.is_success:
        return
    sentence = f"The Email Monitor answered {response.status_code}."
    if response.status_code in AGAIN or response.is_server_error:
        raise Transient(sentence)
    raise Permanent(f"{sentence} Correct EMAIL_MONITOR_URL, or mend the monitor.")
