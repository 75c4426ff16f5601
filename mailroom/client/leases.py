"""The sessions that this client holds: registered, renewed, registered again, ended."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
from pydantic import AwareDatetime, TypeAdapter

from mailroom.client.errors import NoActiveSessionError, OrchestratorRoutingError, Refused
from mailroom.client.sessions import RegisteredSession, Registration
from mailroom.client.wire import Wire, segment_of
from mailroom.models.agent_handling import Wishes

BEATS_IN_A_LEASE = 3
"""Two may be lost."""
SHORTEST_PAUSE, PAUSE_AFTER_FAILURE = 0.2, 5.0

log = logging.getLogger(__name__)


class Leases:
    def __init__(self, wire: Wire, wishes: Wishes) -> None:
        self._wire = wire
        self._wishes = wishes
        self._held: dict[str, RegisteredSession] = {}

    def adopt(self, session: RegisteredSession) -> None:
        """Of one that was registered elsewhere, too."""
        self._held.setdefault(session.session_id, session)

    def held(self, session_id: str) -> RegisteredSession:
        if session_id not in self._held:
            raise NoActiveSessionError(f"The session {session_id} is not registered here.")
        return self._held[session_id]

    def holds(self, session_id: str) -> bool:
        return session_id in self._held

    def of(self, address: str) -> list[RegisteredSession]:
        """Those of an address, the latest last."""
        found = [each for each in self._held.values() if each.address == address]
        if not found:
            raise NoActiveSessionError(f"This client has no session of {address}.")
        return found

    async def register(self, registration: Registration) -> RegisteredSession:
        asked = registration.wire(self._wishes)
        response = await self._wire.ask("POST", "/sessions", json=asked)
        known = {**registration.model_dump(), **response.json(), "lease": lease_of(response)}
        session = RegisteredSession.model_validate(known)
        self._held[session.session_id] = session
        return session

    async def register_again(self, session_id: str) -> RegisteredSession:
        """Under the same ID. Raises NoActiveSessionError where that is refused."""
        held = self.held(session_id)
        known = held.model_dump(include=set(Registration.model_fields))
        try:
            return await self.register(Registration.model_validate(known))
        except Refused as refusal:
            raise NoActiveSessionError(
                f"The session {session_id} of {held.address} is gone: {refusal}"
            ) from refusal

    async def renew(self, session_id: str) -> RegisteredSession:
        """A sign of life; a session that is gone is registered again."""
        held = self.held(session_id)
        try:
            response = await self._wire.ask("POST", f"/sessions/{segment_of(session_id)}/heartbeat")
        except Refused as refusal:
            if refusal.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise
            return await self.register_again(session_id)
        changes = {"expires_at": _end_of(response), "lease": lease_of(response)}
        return self._kept(held.model_copy(update=changes))

    async def end(self, session_id: str) -> None:
        """Its lease may have run out before."""
        self._held.pop(session_id, None)
        try:
            await self._wire.ask("DELETE", f"/sessions/{segment_of(session_id)}")
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise

    def _kept(self, session: RegisteredSession) -> RegisteredSession:
        # It may have been ended while it was renewed.
        if session.session_id in self._held:
            self._held[session.session_id] = session
        return session

    @asynccontextmanager
    async def renewing(self, session_id: str) -> AsyncIterator[None]:
        """Renews it in the background."""
        beating = asyncio.create_task(self._beat(session_id))
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, session_id: str) -> None:
        pause = _pause(self.held(session_id).lease)
        while True:
            await asyncio.sleep(pause)
            if not self.holds(session_id):
                return
            try:
                pause = _pause((await self.renew(session_id)).lease)
            except OrchestratorRoutingError as error:
                log.warning("no sign of life could be given for a session: %s", error)
                pause = min(pause, PAUSE_AFTER_FAILURE)


def _pause(lease: timedelta) -> float:
    return max(lease.total_seconds() / BEATS_IN_A_LEASE, SHORTEST_PAUSE)


_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


def _end_of(response: httpx.Response) -> datetime:
    return _TIME.validate_python(response.json()["expires_at"])


def lease_of(response: httpx.Response) -> timedelta:
    """By the clock of the bridge (RFC 9110 §6.6.1): this machine's may be another one."""
    return _end_of(response) - _their_now(response)


def _their_now(response: httpx.Response) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
