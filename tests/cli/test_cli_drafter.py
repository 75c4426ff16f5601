"""What `mailroom doctor` says of whoever writes the drafts."""

import json
from collections.abc import AsyncIterator

import pytest
from ai import KEY, MODEL, Ai, ai_running
from fastapi import Response
from pydantic import SecretStr

from mailroom.adapters.settings import Settings
from mailroom.cli.drafter import drafter
from mailroom.cli.findings import Level


@pytest.fixture
async def ai() -> AsyncIterator[Ai]:
    async with ai_running() as running:
        yield running


def settings(**more: object) -> Settings:
    return Settings(_env_file=None, **more)  # type: ignore[call-arg,arg-type]


def endpoint(url: str, model: str = MODEL, key: str = KEY) -> Settings:
    return settings(ai_base_url=f"{url}/v1", ai_model=model, ai_api_key=SecretStr(key))


async def test_without_an_ai_there_are_templates() -> None:
    assert (await drafter(settings())).finding == "come from templates"


async def test_an_endpoint_that_has_the_model_is_well(ai: Ai) -> None:
    found = await drafter(endpoint(ai.url))
    assert found.level is Level.OK
    assert found.finding == f"{ai.url}/v1 answers, and has {MODEL}"
    assert not ai.asked, "nothing is drafted"


async def test_a_key_that_is_refused_is_named_but_not_shown(ai: Ai) -> None:
    found = await drafter(endpoint(ai.url, key="sk-wrong"))
    assert found.level is Level.FAILED
    assert found.mend == "Correct AI_API_KEY."
    assert "sk-wrong" not in found.model_dump_json()


async def test_a_model_that_is_not_there_is_named(ai: Ai) -> None:
    found = await drafter(endpoint(ai.url, model="model-9"))
    assert found.level is Level.WARNING
    assert found.mend == f"Set AI_MODEL to one of them: {MODEL}."


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Response("", 404), Level.OK),
        (Response("<html>", 200), Level.WARNING),
        (Response(json.dumps({"data": []}), 200), Level.WARNING),
        (Response("", 500), Level.FAILED),
    ],
)
async def test_not_every_endpoint_lists_its_models(ai: Ai, answer: Response, level: Level) -> None:
    ai.models = answer
    assert (await drafter(endpoint(ai.url))).level is level


async def test_a_generator_that_is_there_is_well(ai: Ai) -> None:
    found = await drafter(settings(ai_reply_generator_url=ai.url))
    assert found.level is Level.OK


async def test_what_is_away_is_named_without_its_password() -> None:
    found = await drafter(settings(ai_reply_generator_url="http://ada:secret@127.0.0.1:9"))
    assert found.level is Level.FAILED
    assert "AI_REPLY_GENERATOR_URL" in (found.mend or "")
    assert "secret" not in found.model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"ai_base_url": "http://a.example/v1"},
        {"ai_base_url": "http://a.example", "ai_model": "m", "ai_reply_generator_url": "http://b"},
    ],
)
async def test_what_cannot_be_configured_is_named(wrong: dict[str, object]) -> None:
    found = await drafter(settings(**wrong))
    assert found.level is Level.FAILED
    assert "AI_" in found.finding
