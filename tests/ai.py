"""An AI on loopback: an OpenAI-compatible endpoint and a reply generator, as a test wants them."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from web import web_server

KEY = "sk-for-tests-only"
MODEL = "model-7"


@dataclass
class Asked:
    """One request, as it came."""

    path: str
    authorization: str | None
    content: dict[str, Any]

    @property
    def system(self) -> str:
        return self.of("system")

    @property
    def user(self) -> str:
        return self.of("user")

    def of(self, role: str) -> str:
        [content] = [one["content"] for one in self.content["messages"] if one["role"] == role]
        return str(content)


Answer = Callable[[Asked], Awaitable[Response]]


def completion(content: str | None, **message: object) -> Response:
    """OpenAI, "The chat completion object"; `finish_reason` and `usage` may be given."""
    finish = message.pop("finish_reason", "stop")
    usage = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish,
            }
        ],
        "usage": usage,
    }
    return Response(json.dumps(answer), media_type="application/json")


def reply(text: str, **more: object) -> Response:
    return completion(json.dumps({"reply": text, **more}))


def error(status: int, code: str = "", **headers: str) -> Response:
    """OpenAI, "Error codes". Its sentence quotes what nobody may see in an error of ours."""
    sentence = f"Incorrect API key provided: {KEY}. You wrote: the secret of the mail"
    content = {"error": {"message": sentence, "type": "invalid_request_error", "code": code}}
    return Response(json.dumps(content), status, headers, media_type="application/json")


async def kind(asked: Asked) -> Response:
    return reply("Hi John,\n\nThat works for me.\n\nAda")


@dataclass
class Ai:
    url: str = ""
    answer: Answer = kind
    asked: list[Asked] = field(default_factory=list)
    models: Response = field(
        default_factory=lambda: Response(json.dumps({"data": [{"id": MODEL}]}))
    )

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        @app.post("/generate-reply")
        async def ask(request: Request) -> Response:
            asked = Asked(
                request.url.path, request.headers.get("authorization"), await request.json()
            )
            self.asked.append(asked)
            return await self.answer(asked)

        @app.get("/v1/models")
        async def models(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return error(401, "invalid_api_key")
            return self.models

        return app


@contextlib.asynccontextmanager
async def ai_running() -> AsyncIterator[Ai]:
    ai = Ai()
    async with web_server(ai.app()) as ai.url:
        yield ai
