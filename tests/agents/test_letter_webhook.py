"""Letters by HTTP: a real server takes them, or doesn't."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from letter_world import SENT_AT, a_letter
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from web import web_server

from mailroom.adapters import letter_webhook
from mailroom.adapters.letter_webhook import LetterWebhook
from mailroom.ports import Permanent, Transient

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADDRESS = "rig/worker"
HTTP_MD = Path(__file__).parents[2] / "docs" / "http.md"


@dataclass
class Agent:
    """It keeps what it gets, and answers as it is told."""

    answer: Callable[[], Response] = Response
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    pause: float = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/letters")
        async def letters(request: Request) -> Response:
            self.got.append((dict(request.headers), await request.body()))
            await asyncio.sleep(self.pause)
            return self.answer()

        @app.post("/elsewhere")
        async def elsewhere() -> Response:
            self.got.append(({}, b"followed"))
            return Response()

        return app


@asynccontextmanager
async def agent_running() -> AsyncIterator[Agent]:
    agent = Agent()
    async with web_server(agent.app()) as url:
        agent.url = f"{url}/letters?token=hidden"
        yield agent


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    async with agent_running() as running:
        yield running


@pytest.fixture
async def webhook() -> AsyncIterator[LetterWebhook]:
    # Of a client that follows redirects elsewhere: not here.
    async with httpx.AsyncClient(follow_redirects=True) as http:
        yield LetterWebhook(http)


async def test_a_letter_comes_signed_in_the_events_shape(
    agent: Agent, webhook: LetterWebhook
) -> None:
    letter = a_letter()
    await webhook.deliver(agent.url, SECRET, [letter], ADDRESS)
    ((headers, body),) = agent.got
    assert headers["webhook-id"] == letter.id
    assert Webhook(SECRET).verify(body, headers) == {
        "id": letter.id,
        "type": "message.received",
        "daemon_id": None,
        "address": ADDRESS,
        "payload": {"message_id": letter.id, "channel_id": "harbour", "content": letter.body},
        "message": {
            "id": letter.id,
            "from": "mayor/",
            "to": ADDRESS,
            "subject": letter.subject,
            "body": letter.body,
            "priority": "high",
            "thread_id": letter.thread,
            "reply_to": None,
            "sent_at": SENT_AT.isoformat(),
        },
        "timestamp": SENT_AT.isoformat(),
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"ferry", b"plane"), headers)


async def test_the_example_of_the_documentation_is_what_is_sent(
    agent: Agent, webhook: LetterWebhook
) -> None:
    section = HTTP_MD.read_text().split("## Letters by webhook\n")[1]
    example = json.loads(section.split("```json\n")[1].split("```")[0])
    told = example["message"]
    letter = a_letter(
        **{key: told[key] for key in ("id", "subject", "body", "priority", "sent_at")},
        thread=told["thread_id"],
        channel=example["payload"]["channel_id"],
    )
    await webhook.deliver(agent.url, SECRET, [letter], ADDRESS)
    assert json.loads(agent.got[0][1]) == example


async def test_a_second_try_is_the_same_webhook(agent: Agent, webhook: LetterWebhook) -> None:
    letters = [a_letter() for _ in range(20)]
    for batch in (letters[:1], letters[:1], letters, letters):
        await webhook.deliver(agent.url, SECRET, batch, ADDRESS)
    ids = [headers["webhook-id"] for headers, _ in agent.got]
    assert ids[0] == ids[1] == letters[0].id
    assert ids[2] == ids[3] != ids[0]
    assert agent.got[2][1] == agent.got[3][1]


async def test_several_come_as_a_list_in_their_order(agent: Agent, webhook: LetterWebhook) -> None:
    letters = [a_letter(sent_at=SENT_AT + timedelta(seconds=n)) for n in range(20)]
    await webhook.deliver(agent.url, SECRET, letters, ADDRESS)
    event = Webhook(SECRET).verify(agent.got[0][1], agent.got[0][0])
    assert [each["id"] for each in event["letters"]] == [each.id for each in letters]
    assert event["letters"][0]["payload"]["content"] == letters[0].body
    assert event["timestamp"] == letters[-1].sent_at.isoformat()
    for number in (0, 21):
        with pytest.raises(ValueError, match="1 to 20"):
            await webhook.deliver(agent.url, SECRET, [a_letter()] * number, ADDRESS)


async def test_without_a_secret_nothing_is_signed(agent: Agent, webhook: LetterWebhook) -> None:
    await webhook.deliver(agent.url, None, [a_letter()], ADDRESS)
    assert "webhook-signature" not in agent.got[0][0]
    for secret in ("", "whsec_", "größer", "whsec_x"):
        with pytest.raises(Permanent, match="secret of rig/worker"):
            await webhook.deliver(agent.url, secret, [a_letter()], ADDRESS)
    assert len(agent.got) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_delivered(agent: Agent, webhook: LetterWebhook, status: int) -> None:
    agent.answer = lambda: Response(status_code=status)
    await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)
    assert len(agent.got) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_what_blames_the_letter_is_permanent(
    agent: Agent, webhook: LetterWebhook, status: int
) -> None:
    agent.answer = lambda: Response("hidden", status_code=status)
    with pytest.raises(Permanent, match=f"rig/worker refused the letter .{status}.") as refused:
        await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 408, 409, 425, 429, 500, 502, 503, 507])
async def test_all_else_is_tried_again(agent: Agent, webhook: LetterWebhook, status: int) -> None:
    elsewhere = agent.url.replace("/letters", "/elsewhere")
    told = {"Retry-After": "7", "Location": elsewhere}
    agent.answer = lambda: Response(status_code=status, headers=told)
    with pytest.raises(Transient, match=f"answered {status}") as failed:
        await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)
    assert failed.value.retry_after == timedelta(seconds=7)
    assert len(agent.got) == 1, "a redirect was followed"
    assert "hidden" not in str(failed.value)


@pytest.mark.parametrize(
    ("told", "pause"),
    [("999999", timedelta(minutes=10)), ("-1", None), ("soon", None), ("٣", None)],
)
async def test_nonsense_is_no_pause(
    agent: Agent, webhook: LetterWebhook, told: str, pause: timedelta | None
) -> None:
    agent.answer = lambda: _answer_with(told)
    with pytest.raises(Transient) as failed:
        await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)
    assert failed.value.retry_after == pause


def _answer_with(retry_after: str) -> Response:
    response = Response(status_code=503)
    response.raw_headers.append((b"retry-after", retry_after.encode()))
    return response


async def test_an_agent_that_is_slow_is_not_waited_for(
    agent: Agent, webhook: LetterWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_webhook, "SECONDS", 0.2)
    agent.pause = 1
    with pytest.raises(Transient, match=r"took longer|can't be reached"):
        await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)


async def test_an_answer_without_end_is_not_read(agent: Agent, webhook: LetterWebhook) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)

    agent.answer = lambda: StreamingResponse(endless())
    async with asyncio.timeout(5):
        await webhook.deliver(agent.url, SECRET, [a_letter()], ADDRESS)
    assert len(agent.got) == 1


async def test_nobody_there_is_tried_again(webhook: LetterWebhook) -> None:
    async with agent_running() as gone:
        url = gone.url
    with pytest.raises(Transient, match="can't be reached") as failed:
        await webhook.deliver(url, SECRET, [a_letter()], ADDRESS)
    assert "hidden" not in str(failed.value)


@pytest.mark.parametrize("url", ["", "example.org/x", "file:///etc/passwd", "http://"])
async def test_no_url_is_permanent(webhook: LetterWebhook, url: str) -> None:
    with pytest.raises(Permanent, match="no address that works"):
        await webhook.deliver(url, SECRET, [a_letter()], ADDRESS)
