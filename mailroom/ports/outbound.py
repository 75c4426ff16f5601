"""What the steps of outbound messages need of the world."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from mailroom.models.outbound.claim import Attempted, Claim
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import DeliverInput, Settled, SettleMessage
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.words import MessageQueueStatus
from mailroom.ports import Permanent, Transient


class Refused(Permanent):
    """A server will not have this message, now or later; `response` is what it said, if it was a
    server that refused. `of_domain`: it says something of the recipient's domain."""

    def __init__(
        self, sentence: str, response: SmtpResponse | None = None, *, of_domain: bool = True
    ) -> None:
        super().__init__(sentence)
        self.response = response
        self.of_domain = of_domain


class Deferred(Transient):
    """A server can't have it now, or none could be reached. `of_domain` as of `Refused`."""

    def __init__(
        self,
        sentence: str,
        response: SmtpResponse | None = None,
        *,
        retry_after: timedelta | None = None,
        of_domain: bool = True,
    ) -> None:
        super().__init__(sentence, retry_after=retry_after)
        self.response = response
        self.of_domain = of_domain


class Busy(Exception):
    """As many connections to the destination are in use as may be: no attempt was made."""


class Courier(Protocol):
    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        """`before_dot` runs when everything but the end of the message was handed over; if it
        raises, nothing was sent. Raises `Refused`, `Deferred`, `Busy`, and `SendUnknown` after the
        dot."""


class Signer(Protocol):
    async def sign(self, data: bytes, from_domain: str) -> bytes:
        """The mail with its DKIM signature in front; as it is where no key fits. The same for the
        same bytes. Raises `Permanent` where its headers are none."""


class MessageStore(Protocol):
    """Messages as rows. A write of an older step never overwrites a newer one."""

    async def claim(self, request: DeliverInput) -> Claim:
        """The message, now in delivery; or what keeps it from that. Raises `Permanent` where there
        is no such message."""

    async def put_back(self, request: DeliverInput) -> None:
        """What was claimed, and is in nobody's hands: it waits for its turn."""

    async def attempted(self, attempted: Attempted) -> MessageQueueStatus:
        """How an attempt ended; the status afterwards."""

    async def settle(self, settle: SettleMessage) -> Settled: ...


class MessageFlows(Protocol):
    """What steps ask of messages' workflows."""

    async def wake(self, id: UUID) -> None:
        """What held it does so no longer."""
