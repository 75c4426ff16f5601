"""Letters to agents that take them by HTTP: Standard Webhooks, in the shape of seed 002's event."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from mailroom.adapters.retry_after import retry_after
from mailroom.models.agent_mail import Letter
from mailroom.models.letter_json import events_json
from mailroom.ports import Permanent, Transient

# Standard Webhooks, "Deliverability": 15 to 30 s.
SECONDS = 15.0
CONNECT_SECONDS = 5.0
MOST_LETTERS = 20

# RFC 9110 §15.5.9 and §15.5.10, RFC 8470 §5.2, RFC 6585 §4: the same again may go well.
_TRY_AGAIN = frozenset({408, 409, 425, 429})


class LetterWebhook:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def deliver(
        self, url: str, secret: str | None, letters: Sequence[Letter], address: str
    ) -> None:
        """One POST of 1 to 20 letters, to a URL from the configuration; returns once it was
        answered with 2xx. What it answers besides is not read."""
        if not 1 <= len(letters) <= MOST_LETTERS:
            raise ValueError(f"One POST takes 1 to {MOST_LETTERS} letters, not {len(letters)}.")
        event = events_json(letters, address)
        body = json.dumps(event)
        headers = _signed(event["id"], body, secret, address)
        try:
            async with asyncio.timeout(SECONDS):
                await self._post(url, body, headers, address)
        except TimeoutError:
            raise Transient(_sentence(address, f"took longer than {SECONDS:.0f} s")) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Permanent(_sentence(address, "has no address that works; correct it")) from None
        except httpx.HTTPError as error:
            # The URL may hold a token, and httpx's sentences may hold the URL.
            reason = f"can't be reached ({type(error).__name__})"
            raise Transient(_sentence(address, reason)) from None

    async def _post(self, url: str, body: str, headers: dict[str, str], address: str) -> None:
        timeout = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
        async with self._http.stream(
            "POST",
            url,
            content=body,
            headers=headers,
            timeout=timeout,
            # Only configured hosts are written to.
            follow_redirects=False,
        ) as response:
            _refuse_errors(response, address)


def _refuse_errors(response: httpx.Response, address: str) -> None:
    """Which answers are worth another try: all but those that blame the request."""
    if response.is_success:
        return
    status = response.status_code
    if response.is_client_error and status not in _TRY_AGAIN:
        raise Permanent(_sentence(address, f"refused the letter ({status})"))
    redirects = "; redirects are not followed" if response.is_redirect else ""
    raise Transient(
        _sentence(address, f"answered {status}{redirects}"), retry_after=retry_after(response)
    )


def _sentence(address: str, what: str) -> str:
    return f"The webhook of {address} {what}."


def _signed(webhook_id: str, body: str, secret: str | None, address: str) -> dict[str, str]:
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if secret is None:
        return headers
    try:
        signature = Webhook(secret).sign(webhook_id, now, body)
    except (ValueError, EmptyWebhookSecretError):
        raise Permanent(
            f"The webhook secret of {address} is none (whsec_ and base64); correct it."
        ) from None
    return headers | {"webhook-signature": signature}
