"""`Mailroom`: letters to agents and from them, sessions, and what happens to them."""

import logging
import os
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from mailroom.adapters.http import http_client
from mailroom.client.errors import OrchestratorOfflineError, Refused, Unreachable
from mailroom.client.handlers import Handler, Handlers
from mailroom.client.leases import Leases
from mailroom.client.letters import Letter, Message, RouteMessageResult, Sent, result_of
from mailroom.client.sessions import (
    RegisteredSession,
    Registration,
    SessionEvent,
    queues,
    ttl_of,
)
from mailroom.client.stream import Stream
from mailroom.client.wire import Wire, path_of, segment_of
from mailroom.models.agent_handling import OfflineQueue, Retry, Wishes
from mailroom.models.agent_mail import Delivery
from mailroom.models.sessions import Presence, Session

ANSWER_SECONDS = 20.0
ROUTING_SECONDS = 60
"""As long as the bridge waits at most until a letter is delivered, queued or failed."""

Said = TypeVar("Said", bound=BaseModel)

log = logging.getLogger(__name__)


class Mailroom:
    """A client of one bridge. `token` is the operator's, an agent's or a session's; `address` is
    whom it writes as (else whom the token stands for). `retry`, `offline_queue` and
    `delivery_timeout` hold for the sessions that it registers, over what mailroom.toml says;
    besides, of letters that it routes: without `offline_queue.enabled` nothing is sent to who is
    offline, and `offline_queue.ttl`, where given, is that of letters that say none.

    Everything but `route_message` raises OrchestratorRoutingError (`Unreachable`, `Refused`) where
    the bridge can't be asked or refuses.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        address: str | None = None,
        retry: Retry | None = None,
        offline_queue: OfflineQueue | None = None,
        delivery_timeout: timedelta | None = None,
    ) -> None:
        self._http = http_client(ANSWER_SECONDS)
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._wire = Wire(self._http, url)
        self._address = address
        self._wishes = Wishes(
            retry=retry, offline_queue=offline_queue, delivery_timeout=delivery_timeout
        )
        self._leases = Leases(self._wire, self._wishes)
        self._handlers = Handlers()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sessions stay registered until their leases run out, unless they are unregistered."""
        await self._http.aclose()

    # --- Routing (seed 002)

    async def route_message(self, message: Message | str, address: str) -> RouteMessageResult:
        """Sends it and waits until it is delivered, waits for somebody to come, or has failed.

        What becomes of it is the answer, also where it is refused or the bridge is away (then
        `failed`: it was not accepted, and may be routed again). Raises OrchestratorOfflineError
        where the recipient is offline and `offline_queue.enabled` is off, and `Refused` where the
        token may not send this.
        """
        try:
            if not queues(self._wishes) and not await self.is_online(address):
                raise OrchestratorOfflineError(
                    f"{address} is offline, and this client queues nothing (offline_queue)."
                )
            return result_of(await self.send(message, address, wait=ROUTING_SECONDS))
        except Unreachable as error:
            log.warning("a letter was not routed: %s", error)
            return RouteMessageResult.failed(str(error))
        except Refused as refusal:
            if refusal.of_caller:
                raise
            return RouteMessageResult.failed(str(refusal))

    async def get_session(self, address: str) -> Session | None:
        """The latest active one of an address."""
        sessions = (await self.presence(address)).sessions
        return sessions[0] if sessions else None

    async def is_online(self, address: str) -> bool:
        return (await self.presence(address)).online

    async def presence(self, address: str) -> Presence:
        found = await self._wire.get(f"/presence/{path_of(address)}")
        sessions = tuple(_known(Session, each) for each in found.get("sessions", ()))
        return _known(Presence, {**found, "sessions": sessions})

    async def queue_message_for_offline(self, message: Message | str, address: str) -> None:
        """Puts it into the inbox without an interruption; it is not waited for. Who is online
        gets it at once, who is not when they come. Raises `Refused` where the queue is full and
        set to reject."""
        queued = _message(message).model_copy(update={"delivery": Delivery.QUEUE})
        await self.send(queued, address)

    async def register_session(
        self,
        address: str,
        *,
        session_id: str | None = None,
        daemon_id: str | None = None,
        channel: str | None = None,
    ) -> RegisteredSession:
        """Somebody is there now: what waits is delivered, in order, to `events`. With the
        `session_id` of an earlier one that one goes on. `daemon_id` names the process."""
        daemon = daemon_id or this_process()
        return await self._leases.register(
            Registration(address=address, daemon_id=daemon, session_id=session_id, channel=channel)
        )

    async def unregister_session(self, session: RegisteredSession | str) -> None:
        """One, or all that this client has of an address. Its `events` end."""
        for each in self._of(session):
            await self._leases.end(each.session_id)

    async def update_session_activity(self, session: RegisteredSession | str) -> RegisteredSession:
        """A heartbeat, of a session or the latest one of an address. One that has expired is
        registered again, and what waits is delivered. `events` does this by itself."""
        return await self._leases.renew(self._of(session)[-1].session_id)

    def _of(self, session: RegisteredSession | str) -> Sequence[RegisteredSession]:
        if isinstance(session, str):
            return self._leases.of(session)
        return [self._leases.held(session.session_id)]

    # --- Events

    async def events(self, session: RegisteredSession) -> AsyncGenerator[SessionEvent, None]:
        """What comes to a session, as it comes, until it is unregistered; those of the type
        `message.received` have a `message`.

        A letter is confirmed before it is handed out, so that a crash shows none twice; one that
        was confirmed and not shown is unread in the inbox. The next letter is confirmed when it is
        asked for: who works on one for longer than `delivery_timeout` does that in a task, or the
        ones behind it count as not taken and come again later.

        Lost connections are made again, and heartbeats sent meanwhile. Raises NoActiveSessionError
        where the session is gone and may not be registered again.
        """
        self._leases.adopt(session)
        stream = Stream(self._wire, self._leases, session.session_id)
        async with self._leases.renewing(session.session_id), aclosing(stream.events()) as events:
            async for event in events:
                await self._handlers.call(event)
                yield event

    async def run(self, session: RegisteredSession) -> None:
        """`events` for the callbacks of `on` alone."""
        async for _ in self.events(session):
            pass

    def on(self, type: str, handler: Handler) -> Callable[[], None]:
        """Has `handler` called, and awaited if it is async, with each event of this type ("*":
        of all) that comes while `events` is read. Call what is returned to end that."""
        return self._handlers.add(type, handler)

    # --- Letters

    async def send(
        self, message: Message | str, to: str, *, wait: int = 0, sender: str | None = None
    ) -> Sent:
        """Returns once it is accepted durably; with `wait` (60 s at most) once it is delivered,
        queued or failed. `to` is an address, a group (`@staff`) or an announcement (`rig/*`)."""
        letter = _message(message)
        answer = await self._wire.post(
            "/mail",
            json=letter.wire(to, sender or self._address, ttl_of(self._wishes)),
            params={"wait": wait} if wait else {},
            headers={"Idempotency-Key": letter.key(to)},
            timeout=httpx.Timeout(ANSWER_SECONDS, read=ANSWER_SECONDS + wait),
        )
        return Sent.model_validate(answer)

    async def inbox(
        self, address: str | None = None, *, read: bool = False
    ) -> AsyncIterator[Letter]:
        """Unread letters and pinned ones, in the order in which they are to be read; with `read`
        the others, too."""
        params: dict[str, Any] = {"all": "true"} if read else {}
        if whose := address or self._address:
            params["address"] = whose
        async for item in self._wire.items("/mail/inbox", params):
            yield Letter.model_validate(item)

    async def read(self, letter_id: str) -> Letter:
        """The letter, marked as read."""
        return await self._step(letter_id, "read")

    async def ack(self, letter_id: str) -> Letter:
        """Says that it was seen, which ends its escalation."""
        return await self._step(letter_id, "ack")

    async def get(self, letter_id: str) -> Letter | None:
        """As it is, without marking it; None if there is none."""
        try:
            return Letter.model_validate(await self._wire.get(f"/mail/{segment_of(letter_id)}"))
        except Refused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _step(self, letter_id: str, step: str) -> Letter:
        return Letter.model_validate(await self._wire.post(f"/mail/{segment_of(letter_id)}/{step}"))


def this_process() -> str:
    """Its number and machine, as `POST /sessions` takes the name of a daemon."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "-", f"{os.getpid()}:{socket.gethostname()}")[:100]


def _message(message: Message | str) -> Message:
    return Message(body=message) if isinstance(message, str) else message


def _known(model: type[Said], found: dict[str, Any]) -> Said:
    """Of what the bridge says, the fields that are known here."""
    return model.model_validate({n: v for n, v in found.items() if n in model.model_fields})
