"""Sessions of agents: register, heartbeat, unregister, presence (seed 002)."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from mailroom.bridge.agent_auth import Agent, AgentCaller, AgentRoute, session_token
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.post_office import Unsendable, sender_of
from mailroom.bridge.problems import Problem
from mailroom.models.agent_handling import Wishes
from mailroom.models.base import Frozen
from mailroom.models.new_letter import Channel
from mailroom.models.sessions import Confirmed, Presence, Session

router = APIRouter(tags=["sessions"], route_class=AgentRoute)

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$"


LARGEST = 2**63 - 1
SessionId = Annotated[str, Path(pattern=NAME)]
EventId = Annotated[int, Field(ge=1, le=LARGEST)]


class NewSession(Frozen):
    """`daemon_id` is the process behind it; `channel` the seed's channel, handed back with each
    event."""

    address: str | None = Field(default=None, max_length=200)
    session_id: str | None = Field(default=None, pattern=NAME)
    daemon_id: str = Field(pattern=NAME)
    channel: Channel | None = None
    options: Wishes | None = Field(
        default=None, description="of this address, over what mailroom.toml says"
    )


class Registered(BaseModel):
    session_id: str
    address: str
    token: str
    expires_at: AwareDatetime
    queued: int


class Alive(BaseModel):
    """`registered`: the lease had run out, and the session was registered again."""

    session_id: str
    expires_at: AwareDatetime
    registered: bool


class SessionList(BaseModel):
    items: list[Session]


class EventIds(Frozen):
    event_ids: list[EventId] = Field(min_length=1, max_length=1000)


class Delivered(BaseModel):
    delivered: list[str]


class OneDelivered(BaseModel):
    delivered: bool


@router.post("/sessions", status_code=HTTPStatus.CREATED)
async def register(new: NewSession, the: The, agent: Agent) -> Registered:
    """Takes a lease for an address; letters that wait for it follow in order."""
    address = _address(new, agent)
    session_id = new.session_id or uuid4().hex
    if new.options:
        await the.agent_mailboxes.wish(address, new.options)
    session, queued = await _registered(the, session_id, address, new.daemon_id, new.channel)
    return Registered(
        session_id=session_id,
        address=address,
        token=session_token(the, address, session_id, new.daemon_id),
        expires_at=session.expires_at,
        queued=queued,
    )


@router.post("/sessions/{session_id}/heartbeat")
async def heartbeat(session_id: SessionId, the: The, agent: Agent) -> Alive:
    """Renews the lease; with the session's own token also one that ran out."""
    if agent.session_id != session_id:
        session = await the_session(the, agent, session_id)
        agent = AgentCaller(session.address, session_id, session.daemon_id)
    return await _renewed(the, agent, session_id)


async def _renewed(the: Context, agent: AgentCaller, session_id: str) -> Alive:
    address, daemon = agent.address or "", agent.daemon_id or ""
    found = await the.sessions.renew(session_id, address, the.agents.lease)
    if found and not found[1]:
        return Alive(session_id=session_id, expires_at=found[0].expires_at, registered=False)
    channel = found[0].channel if found else None
    session, _ = await _registered(the, session_id, address, daemon, channel)
    return Alive(session_id=session_id, expires_at=session.expires_at, registered=True)


async def _registered(
    the: Context, session_id: str, address: str, daemon: str, channel: str | None
) -> tuple[Session, int]:
    """With the number of letters that wait, which follow."""
    made = await the.sessions.register(session_id, address, daemon, channel, the.agents.lease)
    if made is None:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"The session {session_id} is another address's; take another name.",
        )
    if made[1]:
        the.errands.start(the.letter_flows.drain(address))
    return made


@router.delete("/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT)
async def unregister(session_id: SessionId, the: The, agent: Agent) -> None:
    """Gives the lease back; a session that is gone already is no error."""
    session = await the.sessions.find(session_id)
    if session:
        agent.check(session.address)
        await the.sessions.unregister(session_id)


@router.get("/sessions")
async def sessions(
    the: The, agent: Agent, address: Annotated[str | None, Query(max_length=200)] = None
) -> SessionList:
    """Those that are online, the latest first; of all addresses for the overseer."""
    wanted = _of(address) if address else agent.address
    return SessionList(items=await the.sessions.online(wanted))


@router.get("/sessions/{session_id}")
async def session(session_id: SessionId, the: The, agent: Agent) -> Session:
    return await the_session(the, agent, session_id)


@router.get("/presence/{address:path}")
async def presence(address: str, the: The, agent: Agent) -> Presence:
    """Whether an address is online; everybody with a token may ask."""
    return await the.sessions.presence(_of(address))


@router.post("/sessions/{session_id}/events/{event_id}/confirm")
async def confirm(
    session_id: SessionId, event_id: Annotated[int, Path(ge=1, le=LARGEST)], the: The, agent: Agent
) -> OneDelivered:
    """The session has the letter; false where it had been confirmed before."""
    delivered = await _confirmed(the, agent, session_id, [event_id])
    return OneDelivered(delivered=bool(delivered))


@router.post("/sessions/{session_id}/confirm")
async def confirm_several(
    session_id: SessionId, events: EventIds, the: The, agent: Agent
) -> Delivered:
    found = await _confirmed(the, agent, session_id, events.event_ids)
    return Delivered(delivered=[one.id for one in found])


async def _confirmed(
    the: Context, agent: AgentCaller, session_id: str, events: Iterable[int]
) -> list[Confirmed]:
    address = agent.address
    if agent.session_id != session_id or address is None:
        address = (await the_session(the, agent, session_id)).address
    found = await the.sessions.confirm(session_id, address, list(events))
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "There is no such event of this session; another may have taken it.",
        )
    resting = [one.id for one in found if one.waits]
    if resting:
        the.errands.start(told(the, resting))
    return found


async def told(the: Context, letters: list[str]) -> None:
    """Letters that arrived while their workflows rested."""
    for letter in letters:
        await the.letter_flows.tell_letter(letter, "delivered", "session")
    await the.letters.told(letters)


async def the_session(the: Context, agent: AgentCaller, session_id: str) -> Session:
    found = await the.sessions.find(session_id)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no session {session_id}; register it.")
    agent.check(found.address)
    return found


def _address(new: NewSession, agent: AgentCaller) -> str:
    if new.address is None and agent.overseer:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "An address is needed, such as rig/worker.")
    address = _of(new.address) if new.address else agent.name
    agent.check(address)
    return address


def _of(address: str) -> str:
    try:
        return sender_of(address)
    except Unsendable as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
