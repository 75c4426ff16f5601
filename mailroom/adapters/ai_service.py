"""What both services that write drafts have in common: one POST, and what its answer means."""

import asyncio
import re
from collections.abc import Mapping
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from mailroom.adapters.retry_after import retry_after
from mailroom.ports import Permanent, Transient

# Models think long before the first byte. The step itself may take 90 s
# (workflows/retry_policies.py), and a call has to end before it does.
CALL_SECONDS = 75.0
CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 1 << 20

# RFC 9110 §15.5.9 and RFC 6585 §4 ask for another try; 425 is RFC 8470 §5.2.
_TRY_AGAIN = frozenset({408, 425, 429})

Answer = TypeVar("Answer", bound="ServiceAnswer")


class ServiceAnswer(BaseModel):
    """JSON of a service: fields that we don't know are ignored. What it says stays out of errors,
    because it is mail."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class AiService:
    """`name` is what sentences call it; `settings` are all that may be wrong about it, its address
    first."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        name: str,
        settings: tuple[str, ...],
        key: str | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self._client = client
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._seconds = seconds
        self._settings = settings
        self.name = name

    async def post(self, content: Mapping[str, object], model: type[Answer]) -> Answer:
        """One call, no retry: Temporal retries."""
        try:
            async with asyncio.timeout(self._seconds):
                data = await self._posted(content)
        except TimeoutError:
            raise Transient(f"{self.name} took longer than {self._seconds:.0f} s.") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Permanent(f"{self._settings[0]} is no address; correct it.") from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Transient(f"{self.name} can't be reached ({reason}).") from None
        try:
            return model.model_validate_json(data)
        except ValidationError:
            raise Transient(f"{self.name} answered in a form that can't be read.") from None

    async def _posted(self, content: Mapping[str, object]) -> bytes:
        timeout = httpx.Timeout(self._seconds, connect=CONNECT_SECONDS)
        async with self._client.stream(
            "POST", self._url, json=content, headers=self._headers, timeout=timeout
        ) as response:
            data = await self._bounded(response)
        self._refuse_errors(response, data)
        return data

    async def _bounded(self, response: httpx.Response) -> bytes:
        data = bytearray()
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > LARGEST_ANSWER:
                raise Transient(f"{self.name} answered more than {LARGEST_ANSWER >> 20} MiB.")
        return bytes(data)

    def _refuse_errors(self, response: httpx.Response, data: bytes) -> None:
        """Which answers are worth another try: all but those that blame the request."""
        if response.is_success:
            return
        status = response.status_code
        sentence = f"{self.name} answered {status}{_code(data)}"
        if status in _TRY_AGAIN or response.is_server_error:
            raise Transient(f"{sentence}.", retry_after=retry_after(response))
        raise Permanent(f"{sentence}; check {' and '.join(self._settings)}.")


class _Error(ServiceAnswer):
    code: str | int | None = None
    type: str | None = None


class _Errors(ServiceAnswer):
    error: _Error


def _code(data: bytes) -> str:
    """The provider's word for the error. Its sentence may quote the mail or the key."""
    try:
        error = _Errors.model_validate_json(data).error
    except ValidationError:
        return ""
    code = str(error.code or error.type or "")
    return f" ({code})" if re.fullmatch(r"[a-z][a-z_]{2,59}", code) else ""
