"""The AI Reply Generator of seed 003: `POST {AI_REPLY_GENERATOR_URL}/generate-reply`."""

import httpx
from pydantic import AliasChoices, Field

from mailroom.adapters.ai_service import CALL_SECONDS, AiService, ServiceAnswer
from mailroom.models.addresses import Address
from mailroom.models.ai_drafts import ai_draft
from mailroom.models.templates import Drafted, DraftRequest, EarlierMail
from mailroom.ports import Transient

NAME = "The reply generator"


class _Generated(ServiceAnswer):
    reply: str = Field(validation_alias=AliasChoices("reply", "reply_text", "text"))


class GeneratorDrafter:
    def __init__(self, client: httpx.AsyncClient, url: str, seconds: float = CALL_SECONDS) -> None:
        self._service = AiService(
            client,
            f"{url}/generate-reply",
            name=NAME,
            settings=("AI_REPLY_GENERATOR_URL",),
            seconds=seconds,
        )

    async def draft(self, request: DraftRequest) -> Drafted:
        generated = await self._service.post(_content(request), _Generated)
        draft = ai_draft(generated.reply, request, "AI reply generator")
        if draft is None:
            raise Transient(f"{NAME} answered with an empty reply.")
        return draft


def _content(request: DraftRequest) -> dict[str, object]:
    sender = Address(name=request.sender_name, address=request.sender_address)
    return {
        "message_id": request.message_id,
        "from": str(sender),
        "subject": request.subject,
        "body": request.body,
        "thread": [_earlier(mail) for mail in request.thread],
        "previous_draft": request.previous_draft,
        "edit_instructions": request.edit_instructions,
    }


def _earlier(mail: EarlierMail) -> dict[str, object]:
    return {
        "from": mail.sender,
        "subject": mail.subject,
        "body": mail.text,
        "at": mail.at.isoformat(),
        "by_owner": mail.by_owner,
    }
