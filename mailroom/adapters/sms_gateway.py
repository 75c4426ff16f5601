"""The generic SMS gateway of seed 003: `POST {SMS_GATEWAY_URL}/sms/send`."""

import httpx
from pydantic import BaseModel, Field, ValidationError

from mailroom.ports import Permanent, Transient

TOO_MANY_REQUESTS = 429
REQUEST_TIMEOUT = 408


class _Taken(BaseModel):
    message_id: str = Field(min_length=1, max_length=200)


class GatewayTexter:
    def __init__(self, client: httpx.AsyncClient, url: str, token: str | None = None) -> None:
        self._client = client
        self._url = f"{url}/sms/send"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def send(self, to: str, body: str, reference: str) -> str:
        """The gateway's message ID; `reference` is sent as `client_reference`, its
        idempotency key."""
        content = {"to": to, "body": body, "client_reference": reference}
        try:
            response = await self._client.post(self._url, json=content, headers=self._headers)
        except httpx.HTTPError as error:
            raise Transient(f"The SMS gateway can't be reached: {error or type(error)}.") from error
        _refuse_errors(response)
        try:
            return _Taken.model_validate_json(response.content).message_id
        except ValidationError as error:
            raise Transient("The SMS gateway answered without a message_id.") from error


def _refuse_errors(response: httpx.Response) -> None:
    """Which answers are worth another try: all but those that blame the request."""
    if response.is_success:
        return
    sentence = f"The SMS gateway answered {response.status_code}: {response.text[:200]}"
    if response.status_code in (TOO_MANY_REQUESTS, REQUEST_TIMEOUT) or response.is_server_error:
        raise Transient(sentence)
    raise Permanent(sentence)
