"""Whether a message can be submitted, as far as that can be told without the bridge."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from mailroom.models.outbound.content import Unbuildable, built
from mailroom.models.outbound.submission import NewMessage

ANY = UUID(int=0)


def problem_of(item: dict[str, Any]) -> str | None:
    """What the bridge says of it, or None. Queues and tenants may refuse it still."""
    now = datetime.now(UTC)
    try:
        new = NewMessage.model_validate(item)
        built(new, ANY, now, {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"].removeprefix("Value error, ").rstrip(".")
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), f"{said}.")))
    except Unbuildable as error:
        return str(error)
    if new.expires_at and new.expires_at <= now:
        return "expires_at is over already."
    return None
