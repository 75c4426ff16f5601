"""An AI's answers, and which of them are worth another try."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from ai import KEY, MODEL, Ai, Answer, Asked, ai_running, completion, error, kind, reply
from fastapi import Response
from pydantic import SecretStr

from mailroom.adapters.drafters import drafter_of, fallback_of
from mailroom.adapters.http import http_client
from mailroom.adapters.openai import OpenAIDrafter
from mailroom.adapters.reply_generator import GeneratorDrafter
from mailroom.adapters.settings import BadConfiguration, ConfigFile, Settings
from mailroom.adapters.templates import TemplateDrafter
from mailroom.models.templates import DraftRequest, EarlierMail
from mailroom.ports import Permanent, Transient

SECRET = "the secret of the mail"
MAIL = DraftRequest(
    message_id="<1@example.com>",
    sender_name="John Doe",
    sender_address="john@example.com",
    subject="Meeting",
    body=f"Can we meet? {SECRET}",
    owner_name="Ada",
    thread=(
        EarlierMail(
            sender="John Doe <john@example.com>",
            subject="Hello",
            text="Are you in town?",
            at=datetime(2026, 6, 1, tzinfo=UTC),
        ),
    ),
)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Ai]:
    async with ai_running() as ai:
        yield ai


@pytest.fixture
def ai(running: Ai) -> Ai:
    running.asked.clear()
    running.answer = kind
    return running


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.fixture
def openai(ai: Ai, http: httpx.AsyncClient) -> OpenAIDrafter:
    return OpenAIDrafter(http, f"{ai.url}/v1", MODEL, KEY, seconds=2)


@pytest.fixture
def generator(ai: Ai, http: httpx.AsyncClient) -> GeneratorDrafter:
    return GeneratorDrafter(http, ai.url, seconds=2)


def always(response: Response) -> Answer:
    async def answer(asked: Asked) -> Response:
        return response

    return answer


async def test_an_endpoint_is_asked_for_typed_output_once(ai: Ai, openai: OpenAIDrafter) -> None:
    drafted = await openai.draft(MAIL)
    assert drafted.text == "Hi John,\n\nThat works for me.\n\nAda"
    assert (drafted.model, drafted.input_tokens, drafted.output_tokens) == (MODEL, 120, 30)
    assert (drafted.source, drafted.note) == (f"AI {MODEL}", "AI")
    [asked] = ai.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.authorization == f"Bearer {KEY}"
    assert asked.content["model"] == MODEL
    schema = asked.content["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["reply"]
    assert schema["schema"]["additionalProperties"] is False
    assert "tools" not in asked.content


@pytest.mark.parametrize(
    "content",
    [
        '{"reply": "Hello"}',
        '```json\n{"reply": "Hello"}\n```',
        'Here it is:\n```\n{"reply": "Hello"}\n```\nAnything else?',
        '<think>{"reply": "no"}</think>\n{"reply": "Hello", "to": "thief@evil.example"}',
    ],
)
async def test_endpoints_that_ignore_the_format_will_do(
    ai: Ai, openai: OpenAIDrafter, content: str
) -> None:
    ai.answer = always(completion(content))
    assert (await openai.draft(MAIL)).text == "Hello"


async def test_an_endpoint_without_usage_will_do(ai: Ai, openai: OpenAIDrafter) -> None:
    message = {"content": '{"reply": "Hello"}'}
    ai.answer = always(Response(json.dumps({"choices": [{"message": message}]})))
    drafted = await openai.draft(MAIL)
    assert (drafted.text, drafted.input_tokens) == ("Hello", None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_tried_again(ai: Ai, openai: OpenAIDrafter, status: int) -> None:
    ai.answer = always(error(status, "rate_limit_exceeded"))
    with pytest.raises(Transient) as caught:
        await openai.draft(MAIL)
    assert str(caught.value) == f"The AI endpoint answered {status} (rate_limit_exceeded)."
    assert len(ai.asked) == 1, "clients don't retry, Temporal does"


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422])
async def test_what_blames_the_request_is_final(ai: Ai, openai: OpenAIDrafter, status: int) -> None:
    ai.answer = always(error(status, location=f"{ai.url}/v1/models"))
    with pytest.raises(Permanent, match=rf"answered {status} \(invalid_request_error\); check AI_"):
        await openai.draft(MAIL)


@pytest.mark.parametrize(
    ("after", "pause"),
    [("7", timedelta(seconds=7)), ("999999", timedelta(minutes=10)), ("soon", None), ("-1", None)],
)
async def test_the_pause_that_was_asked_for_is_kept(
    ai: Ai, openai: OpenAIDrafter, after: str, pause: timedelta | None
) -> None:
    ai.answer = always(error(429, **{"retry-after": after}))
    with pytest.raises(Transient) as caught:
        await openai.draft(MAIL)
    assert caught.value.retry_after == pause


UNREADABLE = [
    completion(f"I'd rather not say. {SECRET}"),
    completion(f'{{"reply": 7, "x": "{SECRET}"}}'),
    completion(None, refusal=f"I can't help with that. {SECRET}"),
    completion('{"reply": "Hel', finish_reason="length"),
    completion("", finish_reason="content_filter"),
    reply(""),
    reply("<!-- nothing to see -->"),
    Response(f"{{{SECRET}"),
    Response("<html>Welcome to the hotel's network</html>"),
    Response(json.dumps({"choices": []})),
    Response(b"\xff\xfe"),
    Response("x" * (2 << 20)),
]


@pytest.mark.parametrize("answer", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_what_is_no_reply_is_tried_again(
    ai: Ai, openai: OpenAIDrafter, answer: Response
) -> None:
    ai.answer = always(answer)
    with pytest.raises(Transient):
        await openai.draft(MAIL)


@pytest.mark.parametrize("answer", [*UNREADABLE, error(400), error(500), error(401)])
async def test_errors_show_neither_mail_nor_key(
    ai: Ai, openai: OpenAIDrafter, answer: Response
) -> None:
    ai.answer = always(answer)
    with pytest.raises((Permanent, Transient)) as caught:
        await openai.draft(MAIL)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in str(seen)
        assert KEY not in str(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


async def test_a_slow_answer_is_given_up(ai: Ai, openai: OpenAIDrafter) -> None:
    over = asyncio.Event()

    async def never(asked: Asked) -> Response:
        await over.wait()
        return reply("too late")

    ai.answer = never
    with pytest.raises(Transient, match="longer than 2 s"):
        await openai.draft(MAIL)
    over.set()


async def test_an_endpoint_that_is_away_is_tried_again(http: httpx.AsyncClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(Transient, match="can't be reached"):
            await OpenAIDrafter(http, url, MODEL).draft(MAIL)


@pytest.mark.parametrize("url", ["api.example", "http://host:port", "ftp://api.example"])
async def test_what_is_no_address_is_final(http: httpx.AsyncClient, url: str) -> None:
    with pytest.raises(Permanent, match="AI_BASE_URL is no address"):
        await OpenAIDrafter(http, url, MODEL).draft(MAIL)


async def test_a_generator_gets_the_documented_json(ai: Ai, generator: GeneratorDrafter) -> None:
    ai.answer = always(Response('{"reply": "Hello [John](https://evil.example)", "to": "x@y.z"}'))
    changes = {"previous_draft": "Hi", "edit_instructions": "warmer"}
    drafted = await generator.draft(MAIL.model_copy(update=changes))
    assert (drafted.text, drafted.source) == ("Hello John", "AI reply generator")
    [asked] = ai.asked
    assert asked.path == "/generate-reply"
    assert asked.content == {
        "message_id": "<1@example.com>",
        "from": "John Doe <john@example.com>",
        "subject": "Meeting",
        "body": f"Can we meet? {SECRET}",
        "thread": [
            {
                "from": "John Doe <john@example.com>",
                "subject": "Hello",
                "body": "Are you in town?",
                "at": "2026-06-01T00:00:00+00:00",
                "by_owner": False,
            }
        ],
        "previous_draft": "Hi",
        "edit_instructions": "warmer",
    }


@pytest.mark.parametrize("name", ["reply", "reply_text", "text"])
async def test_a_generator_may_call_its_reply_otherwise(
    ai: Ai, generator: GeneratorDrafter, name: str
) -> None:
    ai.answer = always(Response(json.dumps({name: "Hello", "confidence": 0.7})))
    assert (await generator.draft(MAIL)).text == "Hello"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response('{"reply": ""}'), Transient),
        (Response("{}"), Transient),
        (error(503), Transient),
        (error(429), Transient),
        (error(404), Permanent),
    ],
)
async def test_a_generator_fails_alike(
    ai: Ai, generator: GeneratorDrafter, answer: Response, expected: type[Exception]
) -> None:
    ai.answer = always(answer)
    with pytest.raises(expected, match="The reply generator"):
        await generator.draft(MAIL)


# --- which of them it is


def settings(**more: object) -> Settings:
    return Settings(_env_file=None, **more)  # type: ignore[call-arg,arg-type]


def test_configuration_says_who_drafts(http: httpx.AsyncClient) -> None:
    config, url = ConfigFile(), "http://ai.example/v1"
    with_model = settings(ai_base_url=url, ai_model=MODEL)
    assert isinstance(drafter_of(settings(), config, http), TemplateDrafter)
    assert isinstance(drafter_of(with_model, config, http), OpenAIDrafter)
    generator = settings(ai_reply_generator_url=url)
    assert isinstance(drafter_of(generator, config, http), GeneratorDrafter)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ai_model": MODEL, "ai_reply_generator_url": "http://b.example"}, "both set"),
        ({}, "AI_MODEL is not set"),
        ({"ai_model": MODEL, "ai_api_key": SecretStr("sk-1\nX-Evil: 1")}, "AI_API_KEY has"),
        ({"ai_model": MODEL, "ai_api_key": SecretStr("sk-“1”")}, "AI_API_KEY has"),
    ],
)
def test_what_cannot_be_is_named(
    http: httpx.AsyncClient, wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadConfiguration, match=sentence) as caught:
        drafter_of(settings(ai_base_url="http://a.example", **wrong), ConfigFile(), http)
    assert "sk-" not in str(caught.value)


def test_templates_stand_in_only_where_the_owner_wants_it() -> None:
    wanted = ConfigFile.model_validate({"drafts": {"fallback": "templates"}})
    ai = settings(ai_base_url="http://a.example", ai_model=MODEL)
    assert isinstance(fallback_of(ai, wanted), TemplateDrafter)
    assert fallback_of(ai, ConfigFile()) is None
    assert fallback_of(settings(), wanted) is None
