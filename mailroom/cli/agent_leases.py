"""Sessions and presence of agents, and their tokens."""

import asyncio
from typing import Any
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from mailroom.cli.agent_identity import Me, asked_as, in_form, whoami
from mailroom.cli.client import Bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, say, show
from mailroom.client import Presence, Session
from mailroom.client.mailroom import this_process
from mailroom.client.sessions import Registration


def register(
    address: str | None,
    session_id: str | None,
    daemon: str | None,
    channel: str | None,
    output: Output,
) -> None:
    me = whoami(address)
    registration = Registration(
        address=me.address,
        daemon_id=daemon or this_process(),
        session_id=session_id,
        channel=channel,
    )
    found = asyncio.run(_register(registration, me))
    if output is Output.JSON:
        print_json(found)
        return
    show(_pairs(Session=found["session_id"], Token=found["token"], Until=found["expires_at"]))
    say(f"{found['queued']} letters wait.")


async def _register(registration: Registration, me: Me) -> dict[str, Any]:
    async with asked_as(me) as to:
        asked = registration.model_dump(exclude_none=True)
        found: dict[str, Any] = await to.post("/sessions", json=asked)
        return found


def unregister(session: str, said: str | None) -> None:
    ended = asyncio.run(_unregister(session, whoami(said)))
    answer(one_line(f"The session {ended} has ended."))


async def _unregister(session: str, me: Me) -> str:
    async with asked_as(me) as to:
        session_id = await _found(to, session, me)
        await to.delete(f"/sessions/{quote(session_id, safe='')}")
        return session_id


def heartbeat(session: str, said: str | None, output: Output) -> None:
    found = asyncio.run(_heartbeat(session, whoami(said)))
    if output is Output.JSON:
        print_json(found)
        return
    again = " It had run out, and was registered again." if found["registered"] else ""
    answer(one_line(f"The session lasts until {found['expires_at']}.{again}"))


async def _heartbeat(session: str, me: Me) -> dict[str, Any]:
    async with asked_as(me) as to:
        session_id = await _found(to, session, me)
        found: dict[str, Any] = await to.post(f"/sessions/{quote(session_id, safe='')}/heartbeat")
        return found


async def _found(to: Bridge, beginning: str, me: Me) -> str:
    """The session that is called so, or the only one of mine that begins so."""
    known = [one.session_id for one in await _online(to, None if me.is_overseer else me.address)]
    begin_so = [each for each in known if each.startswith(beginning.strip())]
    if beginning in known or len(begin_so) != 1:
        # None: it may have run out, which the bridge knows; several: it has none of this name.
        return beginning
    return begin_so[0]


async def _online(to: Bridge, address: str | None) -> list[Session]:
    items = (await to.get("/sessions", **({"address": address} if address else {})))["items"]
    return [Session.model_validate(one) for one in items]


def list_sessions(address: str | None, output: Output) -> None:
    sessions = asyncio.run(_list(in_form(address) if address else None))
    if output is Output.JSON:
        print_json([one.model_dump(mode="json") for one in sessions])
        return
    if not sessions:
        say("Nobody is online." if not address else f"{one_line(address)} is offline.")
        return
    table = plain_table("Session", "Address", "Daemon", "Last active", "Until")
    for one in sessions:
        names = (one.session_id, one.address, one.daemon_id)
        times = (local(one.last_active_at), local(one.expires_at))
        table.add_row(*(Text(one_line(name)) for name in names), *times)
    show(table)


async def _list(address: str | None) -> list[Session]:
    async with asked_as(whoami()) as to:
        return await _online(to, address)


def show_session(address: str, output: Output) -> None:
    presence = asyncio.run(_presence(in_form(address)))
    if not presence.sessions:
        raise Failure(f"{presence.address} has no session.", ExitCode.NOT_THERE)
    latest = presence.sessions[0]
    if output is Output.JSON:
        print_json(latest.model_dump(mode="json"))
        return
    show(
        _pairs(
            Session=latest.session_id,
            Address=latest.address,
            Daemon=latest.daemon_id,
            Channel=latest.channel,
            Status=latest.status,
            Since=local(latest.created_at),
            Active=local(latest.last_active_at),
            Until=local(latest.expires_at),
        )
    )


def show_presence(address: str, output: Output) -> bool:
    """Prints it; True if somebody is there."""
    presence = asyncio.run(_presence(in_form(address)))
    if output is Output.JSON:
        print_json(presence.model_dump(mode="json"))
    else:
        state = "online" if presence.online else "offline"
        waits = f"; {presence.queued:,} letters wait" if presence.queued else ""
        answer(one_line(f"{presence.address} is {state}{waits}."))
    return presence.online


async def _presence(address: str) -> Presence:
    async with asked_as(whoami()) as to:
        return Presence.model_validate(await to.get(f"/presence/{quote(address)}"))


def show_token(address: str) -> None:
    answer(asyncio.run(_token(in_form(address))))


async def _token(address: str) -> str:
    async with asked_as(whoami()) as to:
        return str((await to.get("/agents/token", address=address))["token"])


def _pairs(**values: str | None) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        if value:
            table.add_row(name, Text(one_line(value)))
    return table
