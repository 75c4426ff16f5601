"""Lines typed into tmux sessions, and seen to have been submitted (tmux 3.2 or newer)."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import AsyncFileLock

from mailroom.models.nudges import typeable
from mailroom.models.panes import Screen, can_be_found, stands_typed, still_stands
from mailroom.models.text import one_line
from mailroom.ports import Transient

if TYPE_CHECKING:
    from mailroom.adapters.tmux_server import TmuxServer

NUDGE_SECONDS = 9.0
"""Of which waiting for other nudges into the same session is no part."""
QUEUE_SECONDS = 20.0
DRAWN_SECONDS = 2.0
"""How long a program may take to show what was typed."""
SUBMITTED_SECONDS = 1.0
"""How long it may take to submit it, before Enter is pressed again."""
MOST_ENTERS = 3
BETWEEN_LOOKS = 0.04
# Agents take keys that follow each other within about 0.1 s for a paste, and Enter for a line
# break in it.
BEFORE_ENTER = 0.15
LOCKS = 16
LINES_BACK = 2_000
LISTED_SECONDS = 0.25

_STATE = "#{cursor_x} #{cursor_y} #{cursor_flag} #{pane_dead}"


class Tmux:
    """`socket` is the path or the name of a tmux server's socket; None is the user's own."""

    def __init__(self, socket: str | None = None) -> None:
        self._socket = socket
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._listing = asyncio.Lock()
        self._listed: set[str] = set()
        self._listed_until = 0.0

    @cached_property
    def _server(self) -> "TmuxServer":
        # libtmux takes 3 MiB and 50 ms, which nobody needs who has no agents.
        from mailroom.adapters.tmux_server import TmuxServer  # noqa: PLC0415

        return TmuxServer(self._socket)

    async def first_alive(self, names: Sequence[str]) -> str | None:
        """The first of these that is the whole name of a session; none where no tmux runs.

        Raises `Transient` where tmux does not answer.
        """
        alive = await self._server.sessions()
        return next((name for name in names if name in alive), None)

    async def alive(self, names: Collection[str]) -> set[str]:
        """Those of these that are whole names of sessions, or were a moment ago: it is asked for
        each letter that waits. Raises `Transient`."""
        async with self._listing:
            # Where sessions come and go, one may just have come.
            misses = bool(self._listed) and self._listed.isdisjoint(names)
            if misses or time.monotonic() >= self._listed_until:
                self._listed = set(await self._server.sessions())
                self._listed_until = time.monotonic() + LISTED_SECONDS
        return set(names) & self._listed

    async def nudge(self, session: str, line: str) -> None:
        """Types one line into the active pane and submits it. Raises `Transient` where it can't
        be done, or was not seen to be done; then it is taken back, where that is possible."""
        text = typeable(line)
        if not can_be_found(text):
            raise Transient("A line without a letter or a digit can't be seen to arrive.")
        pane, lock = await self._active_pane(session)
        try:
            async with asyncio.timeout(QUEUE_SECONDS) as queueing, self._alone(lock):
                queueing.reschedule(None)
                async with asyncio.timeout(NUDGE_SECONDS):
                    await self._type(session, pane, text)
        except TimeoutError:
            raise Transient(f"The tmux session {session} was busy for too long.") from None

    async def has_shown(self, session: str, text: str) -> bool:
        """Whether the active pane, or what has scrolled out of it, has this text."""
        pane, _ = await self._active_pane(session)
        lines = await self._server.run(
            "capture-pane", "-p", "-J", "-S", f"-{LINES_BACK}", target=pane
        )
        return text in "\n".join(lines)

    async def _type(self, session: str, pane: str, text: str) -> None:
        # Copy mode and the like would take the keys for commands (tmux(1): -q leaves any mode).
        await self._server.run("copy-mode", "-q", target=pane)
        # What somebody has half typed must not be submitted with it, nor what is left of a nudge
        # that failed: ^U kills the line in terminals and line editors; theirs have it back by ^Y.
        await self._server.run("send-keys", "C-u", target=pane)
        before = await self._look(session, pane)
        await self._server.run("send-keys", "-l", "--", _argument(text), target=pane)
        typed = await self._until(
            lambda now: stands_typed(text, before, now), session, pane, DRAWN_SECONDS
        )
        if typed is None:
            await self._server.run("send-keys", "C-u", target=pane)
            raise Transient(f"The tmux session {session} shows nothing of what was typed.")
        await asyncio.sleep(BEFORE_ENTER)
        await self._submit(session, pane, text, await self._look(session, pane))

    async def _submit(self, session: str, pane: str, text: str, typed: Screen) -> None:
        for _ in range(MOST_ENTERS):
            await self._server.run("send-keys", "Enter", target=pane)
            if await self._submitted(session, pane, text, typed):
                return
        await self._server.run("send-keys", "C-u", target=pane)
        raise Transient(f"The tmux session {session} did not take what was typed: not submitted.")

    async def _submitted(self, session: str, pane: str, text: str, typed: Screen) -> bool:
        """Seen twice: a program that draws anew has an empty screen for a moment."""

        def gone(now: Screen) -> bool:
            return not still_stands(text, typed, now)

        if await self._until(gone, session, pane, SUBMITTED_SECONDS) is None:
            return False
        await asyncio.sleep(BETWEEN_LOOKS)
        return gone(await self._look(session, pane))

    async def _until(
        self, seen: Callable[[Screen], bool], session: str, pane: str, seconds: float
    ) -> Screen | None:
        """The first screen on which it is seen; None if it isn't for that long."""
        clock = asyncio.get_running_loop()
        end = clock.time() + seconds
        while not seen(now := await self._look(session, pane)):
            if clock.time() > end:
                return None
            await asyncio.sleep(BETWEEN_LOOKS)
        return now

    async def _look(self, session: str, pane: str) -> Screen:
        # One call for both, so that they are of the same moment.
        both = await self._server.run(
            "display-message", "-p", _STATE, ";", "capture-pane", "-p", "-t", pane, target=pane
        )
        x, y, shown, dead = both[0].split()
        if dead == "1":
            raise Transient(f"The program in the tmux session {session} has ended.")
        return Screen(rows=tuple(both[1:]), x=int(x), y=int(y), cursor_shown=shown == "1")

    async def _active_pane(self, session: str) -> tuple[str, Path]:
        """Its ID, and the file that whoever types there locks."""
        identity = (await self._server.sessions()).get(session)
        if identity is None:
            raise Transient(f"There is no tmux session {one_line(session, 100)}.")
        told = await self._server.run(
            "display-message", "-p", "#{pane_id} #{socket_path}", target=f"{identity}:"
        )
        pane, _, socket = told[0].partition(" ")
        return pane, Path(f"{socket}.mailroom-{int(pane.removeprefix('%')) % LOCKS}")

    @asynccontextmanager
    async def _alone(self, lock: Path) -> AsyncIterator[None]:
        """No two lines into one pane at once: of this process, in their order, and of others."""
        async with self._locks[lock], _locked(lock):
            yield


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    lock = AsyncFileLock(path, mode=0o600)
    try:
        await lock.acquire()
    except PermissionError:
        # A socket that was shared, in somebody else's folder: no other process is kept out then.
        yield
        return
    try:
        yield
    finally:
        await lock.release()


def _argument(text: str) -> str:
    """tmux takes a semicolon at the end of an argument for the end of a command (tmux(1), PARSING
    SYNTAX)."""
    return f"{text[:-1]}\\;" if text.endswith(";") else text
