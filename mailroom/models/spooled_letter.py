"""A letter out of the spool: as `POST /mail` kept it, or in the JSON of Gas Town's `mail.Message`
(gastown, internal/mail/types.go), which an older orchestrator's queues hold."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    StrictBool,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from mailroom.models.agent_addresses import OVERSEER, address_of
from mailroom.models.agent_mail import Delivery, Priority
from mailroom.models.given_letter import (
    MOST_COPIES,
    OURS,
    GivenLetter,
    NoLetter,
    digest,
    letter_id,
    recipients,
    sane,
    thread_id,
)
from mailroom.models.new_letter import NewLetter

_TIME = TypeAdapter(AwareDatetime)
NAMES = {"sender": "from"}


def _word(given: object) -> object:
    return given.casefold() if isinstance(given, str) else given


def _priority(given: object) -> object:
    """As mail.ParsePriority: what is no word of ours is normal."""
    word = _word(given)
    return word if word in list(Priority) else Priority.NORMAL


def _delivery(given: object) -> object:
    word = _word(given)
    return word if word in list(Delivery) else Delivery.AUTO


def _moment(given: object) -> datetime | None:
    try:
        return _TIME.validate_python(given) if isinstance(given, str) else None
    except ValidationError:
        return None


class _Message(BaseModel):
    """What has a meaning here. `type`, `wisp`, `claimed_by`, `claimed_at` and `delivery_state`
    are about how the other orchestrator went on with it."""

    id: StrictStr = ""
    sender: Annotated[StrictStr, Field(alias="from")] = OVERSEER
    to: StrictStr = ""
    subject: StrictStr = ""
    body: StrictStr = ""
    timestamp: Annotated[datetime | None, BeforeValidator(_moment)] = None
    read: StrictBool = False
    priority: Annotated[Priority, BeforeValidator(_priority)] = Priority.NORMAL
    delivery: Annotated[Delivery, BeforeValidator(_delivery)] = Delivery.AUTO
    thread_id: StrictStr = ""
    reply_to: StrictStr = ""
    pinned: StrictBool = False
    cc: Annotated[tuple[StrictStr, ...], Field(max_length=MOST_COPIES)] = ()
    queue: StrictStr = ""
    channel: StrictStr | None = None
    ttl_seconds: float | None = None


def spooled_letter(message: dict[str, JsonValue], queued_at: datetime) -> GivenLetter:
    """Names in any case, and null as if it were not there, as encoding/json reads them. Raises
    `NoLetter`."""
    given = {name.casefold(): value for name, value in message.items() if value is not None}
    try:
        said = _Message.model_validate(given)
        to, *cc = recipients([_to(said), *said.cc])
        return GivenLetter(
            id=_id(said, to, given),
            sender=address_of(said.sender or OVERSEER),
            new=_new(said, to),
            sent_at=sane(said.timestamp, queued_at),
            cc=tuple(cc),
            thread=thread_id(said.thread_id) if said.thread_id else None,
        )
    except ValidationError as error:
        raise NoLetter(_sentence(error)) from None
    except NoLetter:
        raise
    except ValueError as error:
        raise NoLetter(f"from: {str(error).rstrip('.')}.") from None


def _to(said: _Message) -> str:
    """Gas Town has three ways: to an agent, to whoever claims it, to all who read a channel."""
    if said.to:
        return said.to
    if said.queue:
        raise NoLetter(f"It is for whoever claims it from the queue {said.queue[:60]}.")
    if said.channel:
        raise NoLetter(f"It is for the readers of the channel {said.channel[:60]}.")
    raise NoLetter("It says nobody who it is for (to).")


def _id(said: _Message, to: str, given: Mapping[str, object]) -> str:
    if OURS.fullmatch(said.id):
        return said.id
    if not said.id:
        return digest("message", repr(sorted(given.items())))
    return letter_id(said.id, to, said.subject, said.body)


def _new(said: _Message, to: str) -> NewLetter:
    # A letter that was read over there interrupts nobody. Whom it answered has another ID here:
    # what belongs together shows by the thread.
    return NewLetter(
        to=to,
        subject=said.subject,
        body=said.body,
        priority=said.priority,
        delivery=Delivery.QUEUE if said.read else said.delivery,
        ttl_seconds=said.ttl_seconds,
        reply_to=said.reply_to if OURS.fullmatch(said.reply_to) else None,
        pinned=said.pinned,
        channel=said.channel,
    )


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{NAMES.get(field, field)}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
