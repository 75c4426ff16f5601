"""Questions to a tmux server, by libtmux, which knows no time-outs."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from libtmux import Server
from libtmux.common import tmux_cmd
from libtmux.exc import LibTmuxException

from mailroom.models.text import one_line
from mailroom.ports import Transient

# It would log what is typed, which is mail.
logging.getLogger("libtmux").setLevel(logging.CRITICAL)

CALL_SECONDS = 3.0
MOST_AT_ONCE = 8

_NOT_RUNNING = ("no server running", "No such file or directory")


class TmuxServer:
    """`socket` is the path or the name of its socket; None is the user's own. All raise
    `Transient`."""

    def __init__(self, socket: str | None = None) -> None:
        path = socket if socket and "/" in socket else None
        self._server = Server(socket_name=None if path else socket, socket_path=path)
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def sessions(self) -> dict[str, str]:
        """IDs by name. Names are compared here: tmux takes a prefix or a pattern for a name too
        (tmux(1), COMMANDS)."""
        if shutil.which("tmux") is None:
            return {}
        listed = await self._answer("list-sessions", "-F", "#{session_id} #{session_name}")
        if any(sign in line for line in listed.stderr for sign in _NOT_RUNNING):
            return {}
        identities = (line.partition(" ") for line in _output(listed))
        return {name: identity for identity, _, name in identities}

    async def run(self, command: str, *arguments: str, target: str) -> list[str]:
        return _output(await self._answer(command, *arguments, target=target))

    async def _answer(self, *command: str, target: str | None = None) -> tmux_cmd:
        """In a thread of its own that nobody waits for: libtmux knows no time-outs, and a tmux
        that was stopped would hold up the pool, or the end of the program."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._free.acquire()
                future = _beside(lambda: self._server.cmd(*command, target=target))
                loop = asyncio.get_running_loop()
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free.release))
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Transient("tmux does not answer.") from None
        except (LibTmuxException, OSError) as error:
            reason = one_line(str(error), 200) or type(error).__name__
            raise Transient(f"tmux can't be asked: {reason}.") from None


def _beside(call: Callable[[], tmux_cmd]) -> Future[tmux_cmd]:
    future: Future[tmux_cmd] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=_settle, args=(future, call), daemon=True).start()
    return future


def _settle(future: Future[tmux_cmd], call: Callable[[], tmux_cmd]) -> None:
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001  whoever asked raises it
        future.set_exception(error)


def _output(answer: tmux_cmd) -> list[str]:
    """What it printed. This is the one place that says what a refusal of tmux means."""
    if answer.returncode:
        raise Transient(f"tmux refused: {one_line(' '.join(answer.stderr), 200)}.")
    return answer.stdout
