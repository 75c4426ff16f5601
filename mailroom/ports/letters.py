"""What the steps of letters between agents need of the world."""

import asyncio
from collections.abc import (
    Collection,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from mailroom.models.agent_handling import Mailbox as AgentMailbox
from mailroom.models.agent_mail import (
    Channel,
    Event,
    Letter,
    LetterState,
    Move,
    Placed,
    Placing,
    Priority,
    Waiting,
)
from mailroom.models.breaker import BreakerTerms, Circuit
from mailroom.models.events import MailEvent
from mailroom.models.given_letter import GivenLetter


class LetterStore(Protocol):
    """Letters between agents as rows; a letter that has arrived stays so."""

    async def place(self, placing: Placing) -> Placed:
        """Puts it into the inbox, and pushes it to who is online."""

    async def move(self, move: Move, to: str) -> LetterState:
        """The letter's state afterwards."""

    async def state(self, letter_id: str) -> LetterState | None: ...

    async def broke_off(self, letter: Letter) -> bool:
        """Whether the try before this one ended without a word: its worker died."""

    async def online(self, address: str) -> bool: ...

    async def depth(self, address: str) -> int:
        """Letters that wait for an address."""

    async def oldest(self, address: str, beyond: int) -> list[str]:
        """The oldest of those that wait, where there are more than `beyond`; none that a session
        has before it."""

    async def waiting(
        self,
        address: str,
        most: int,
        *,
        by_priority: bool,
        besides: Sequence[str] = (),
        unannounced: bool = False,
    ) -> list[Waiting]:
        """Those whose workflows rest, in the order in which they go on; `unannounced`: of which
        nobody was told. One that failed only for who has come since then."""

    async def push(self, address: str, letters: Sequence[str], *, all_sessions: bool) -> list[int]:
        """Pushes them to who is online; the events, none where nobody is."""

    async def unconfirmed(self, events: Sequence[int]) -> list[str]:
        """The letters of these events that nobody has confirmed."""

    async def arrived(self, address: str, letters: Sequence[str], how: Channel) -> None:
        """Letters whose workflows rest were taken."""

    async def notified(self, address: str, letters: Sequence[str], how: Channel | None) -> None:
        """The recipient was told of them; None: it wants not to be told."""

    async def enabled(self) -> bool:
        """Whether letters are processed at all."""

    async def circuit(self, address: str) -> Circuit: ...

    async def claim_probe(self, address: str, free_after: float) -> bool:
        """Whether the caller may try a recipient whose circuit is half open; seconds."""

    async def reached(self, address: str, *, ok: bool, terms: BreakerTerms) -> None:
        """What an attempt says of the recipient's circuit."""

    async def tell(self, address: str, about: str, event: Event, detail: dict[str, object]) -> None:
        """A line of the timeline that changes no letter."""

    async def untold(self, most: int) -> list[tuple[str, str]]:
        """Letters that arrived while their workflows rested, and those were told nothing yet,
        with their states."""

    async def told(self, letters: Sequence[str]) -> None: ...


class AgentMailboxes(Protocol):
    async def of(self, address: str) -> AgentMailbox:
        """How letters to an address are handled, for now."""


class LetterNews(Protocol):
    """What happens to letters, as it happens."""

    def subscribe(
        self, owner: str | None = None
    ) -> AbstractAsyncContextManager[asyncio.Queue[MailEvent]]: ...


class LetterFlows(Protocol):
    """What steps ask of workflows."""

    async def drain(self, address: str, *, gathers: bool = False) -> None: ...

    async def tell_letter(self, letter_id: str, news: str, *args: str) -> None:
        """A signal; a workflow that has ended needs none."""


class AgentSessions(Protocol):
    async def clean(self, kept: timedelta) -> list[tuple[str, str]]:
        """Ends leases that have run out, and forgets older confirmations."""

    async def ready(self, priorities: Sequence[Priority], most: int) -> list[str]:
        """Addresses of which a session is online and letters of these priorities wait."""

    async def waiting_addresses(self, priorities: Sequence[Priority], most: int) -> list[str]:
        """Addresses for which letters of these priorities wait that nobody was told of."""


class Nudges(Protocol):
    """Terminals in which agents sit."""

    async def first_alive(self, names: Sequence[str]) -> str | None: ...

    async def alive(self, names: Collection[str]) -> set[str]:
        """Those of these that are there. Raises `Transient`."""

    async def nudge(self, session: str, line: str) -> None:
        """Types a line and sees to it that it was submitted."""

    async def has_shown(self, session: str, text: str) -> bool:
        """Whether a text is to be seen there, or was not long ago."""


class LetterWebhooks(Protocol):
    async def deliver(
        self, url: str, secret: str | None, letters: Sequence[Letter], address: str
    ) -> None: ...


class LetterCommands(Protocol):
    async def deliver(self, command: Sequence[str], letter: Letter) -> None: ...


class Beads(Protocol):
    """Messages in the issue tracker of that name."""

    async def messages(self) -> Sequence[object]:
        """Those that are open, as it wrote them: data, and possibly nonsense."""

    async def label(self, beads_id: str, label: str) -> None: ...


class LetterIntake(Protocol):
    """Where letters of another program are handed over."""

    async def known(self, letters: Collection[str]) -> set[str]:
        """Those of them that were taken before."""

    async def known_since(self) -> datetime | None:
        """Of older ones nobody knows any more whether they were taken; None: of all."""

    async def take(self, letter: GivenLetter, source: str) -> None:
        """Returns once it is durable. Who is not known yet becomes known."""
