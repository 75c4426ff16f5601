"""Drafts by any endpoint that speaks OpenAI's chat completions
(`POST {AI_BASE_URL}/chat/completions`), with typed output."""

import re

import httpx
from pydantic import Field, ValidationError

from mailroom.adapters.ai_service import CALL_SECONDS, AiService, ServiceAnswer
from mailroom.models.ai_drafts import ai_draft
from mailroom.models.prompt import prompt
from mailroom.models.templates import Drafted, DraftRequest
from mailroom.ports import Transient

NAME = "The AI endpoint"

# Endpoints that don't know `response_format` answer as models like to: after thinking aloud, and
# in a code fence.
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)


class _Reply(ServiceAnswer):
    """What the model has to answer."""

    reply: str


class _Message(ServiceAnswer):
    content: str | None = None
    refusal: str | None = None


class _Choice(ServiceAnswer):
    message: _Message
    finish_reason: str | None = None


class _Usage(ServiceAnswer):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(ServiceAnswer):
    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage | None = None


# Strict schemas allow no other fields (OpenAI, "Structured model outputs").
_SCHEMA = _Reply.model_json_schema() | {"additionalProperties": False}
RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "strict": True, "schema": _SCHEMA},
}


class OpenAIDrafter:
    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        model: str,
        key: str | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self._service = AiService(
            client,
            f"{base_url}/chat/completions",
            name=NAME,
            settings=("AI_BASE_URL", "AI_MODEL", "AI_API_KEY"),
            key=key,
            seconds=seconds,
        )
        self._model = model

    async def draft(self, request: DraftRequest) -> Drafted:
        asked = prompt(request)
        content = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": asked.system},
                {"role": "user", "content": asked.user},
            ],
            "response_format": RESPONSE_FORMAT,
        }
        completion = await self._service.post(content, _Completion)
        draft = ai_draft(_reply(completion.choices[0]), request, f"AI {self._model}")
        if draft is None:
            raise Transient(f"{NAME} answered with an empty reply.")
        usage = completion.usage or _Usage()
        return draft.model_copy(
            update={
                "model": self._model,
                "input_tokens": usage.prompt_tokens,
                "output_tokens": usage.completion_tokens,
            }
        )


def _reply(choice: _Choice) -> str:
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise Transient(f"{NAME} refused to answer this mail.")
    if choice.finish_reason == "length":
        raise Transient(f"{NAME} broke off in the middle of the reply.")
    content = _THOUGHTS.sub("", choice.message.content or "").strip()
    for text in (content, *_FENCE.findall(content)):
        try:
            return _Reply.model_validate_json(text).reply
        except ValidationError:
            continue
    raise Transient(f"{NAME} answered in a form that can't be read.")
