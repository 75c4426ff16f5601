"""KumoMTA as operators of Mailroom know it (port `RelayAdmin`), whichever shapes it speaks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx

from mailroom.adapters.couriers import KUMOMTA, route_of
from mailroom.adapters.kumomta import listing, mirror
from mailroom.adapters.kumomta.admin import KumoAdmin
from mailroom.adapters.kumomta.seed_paths import SeedAdmin
from mailroom.adapters.kumomta.server import KumoServer, kumo_server_of
from mailroom.adapters.settings import Settings
from mailroom.models.outbound.kumo_queues import Which
from mailroom.models.outbound.relay import (
    Detected,
    Interface,
    KumoMTAMessageDetails,
    KumoMTAQueue,
    KumoMTAQueueResponse,
)
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import Held
from mailroom.ports import Permanent
from mailroom.ports.relay import NotThere

# A bounce is of what is there. This long it is also of what comes, so that it meets what is between
# two queues.
BOUNCING = timedelta(seconds=10)

# https://docs.kumomta.com/changelog/2025.12.02-67ee9e96/
NAMES_SINCE = "2025.12.02"
# By the seed's paths.
NAMED_THERE = (None, SuspensionScope.DOMAIN)


class KumoRelay:
    def __init__(self, http: httpx.AsyncClient, server: KumoServer) -> None:
        self._admin = KumoAdmin(http, server)
        self._seed = SeedAdmin(self._admin.wire)
        self._detected: Detected | None = None

    async def detect(self) -> Detected:
        """Once; what it is called by now is asked by who wants to know."""
        if self._detected is None:
            self._detected = await self._look()
        return self._detected

    async def hold(self, held: Held) -> None:
        if await self._is_seed():
            await self._seed_hold([held])
        elif await self._understands(held):
            await mirror.hold(self._admin, held, await mirror.there(self._admin))

    async def lift(self, scope: SuspensionScope | None, name: str) -> None:
        if not await self._is_seed():
            await mirror.lift(self._admin, scope, name)
        elif scope in NAMED_THERE:
            await self._seed.resume(name)

    async def align(self, ours: Callable[[], Awaitable[Sequence[Held]]]) -> int:
        if await self._is_seed():
            return await self._seed_hold(await ours())
        theirs = await mirror.there(self._admin)
        held = [one for one in await ours() if await self._understands(one)]
        return await mirror.align(self._admin, theirs, held)

    async def bounce(self, which: Which, reason: str) -> None:
        await self._admin.bounce(which, reason, BOUNCING)

    async def rebind(self, which: Which, data: Mapping[str, str], reason: str) -> None:
        await self._admin.rebind(which, data, reason)

    async def queues(self, limit: int, name: str | None = None) -> KumoMTAQueueResponse:
        if name is not None and not await self._is_seed():
            return KumoMTAQueueResponse(queues=[await self._one(name)])
        found = await (self._seed.queues() if await self._is_seed() else self._all())
        wanted = [one for one in found if name in (None, one.name)]
        if name is not None and not wanted:
            raise NotThere(f"KumoMTA has no queue {name}.")
        return KumoMTAQueueResponse(queues=wanted[:limit])

    async def message(self, id: str) -> KumoMTAMessageDetails:
        if await self._is_seed():
            return await self._seed.message(id)
        return listing.details(await self._admin.message(id, want_body=True))

    async def _all(self) -> list[KumoMTAQueue]:
        return listing.listed(
            await self._admin.queue_counts(),
            await self._admin.suspensions(),
            await self._admin.ready_queue_suspensions(),
        )

    async def _one(self, name: str) -> KumoMTAQueue:
        """Its metrics leave out what idles; the queue itself knows."""
        found = await self._admin.scheduled_queue(name, limit=1)
        held = listing.is_held(name, await self._admin.suspensions())
        return listing.queue(name, found.num_scheduled, suspended=held)

    async def _seed_hold(self, ours: Sequence[Held]) -> int:
        """Queues are suspended there by their names, those of domains too."""
        held, said = await self._seed.held(), 0
        for one in ours:
            length = mirror.left(one, datetime.now(UTC))
            named = one.scope in NAMED_THERE and one.name not in held
            if named and length > timedelta():
                await self._seed.suspend(one.name, mirror.reason_of(one), length)
                said += 1
        return said

    async def _understands(self, held: Held) -> bool:
        """One that does not know `queue_names` passes over them: then nothing is given, and it
        suspends all."""
        if held.scope or mirror.is_ready_queue(held.name):
            return True
        version = (await self.detect()).version
        return version is not None and version >= NAMES_SINCE

    async def _is_seed(self) -> bool:
        return (await self.detect()).interface is Interface.SEED

    async def _look(self) -> Detected:
        """The current shapes first. `machine-info` is younger than those that we need."""
        try:
            machine = await self._admin.machine()
        except NotThere:
            return Detected(interface=await self._interface())
        return Detected(
            interface=Interface.CURRENT, version=machine.version, hostname=machine.hostname
        )

    async def _interface(self) -> Interface:
        for interface, asked in (
            (Interface.CURRENT, self._admin.suspensions),
            (Interface.SEED, self._seed.queues),
        ):
            try:
                await asked()
            except NotThere:
                continue
            return interface
        raise Permanent("There is no admin interface of KumoMTA at KUMOMTA_URL; correct it.")


def relay_of(settings: Settings, http: httpx.AsyncClient) -> KumoRelay | None:
    """None where messages go another way."""
    server = kumo_server_of(settings)
    return KumoRelay(http, server) if server and route_of(settings) == KUMOMTA else None
