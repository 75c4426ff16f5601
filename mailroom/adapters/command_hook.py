"""Letters handed to a command of the user's own: as a way to deliver them, and as `MailReceived`
hooks (seed 000)."""

import asyncio
import errno
import json
import os
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

import structlog

from mailroom.adapters.settings import bare_environment
from mailroom.models.agent_mail import Letter
from mailroom.models.letter_json import letter_json
from mailroom.models.text import one_line, unescaped
from mailroom.ports import Permanent, Transient

SECONDS = 30.0
MOST_SAID = 4096
"""Bytes of what a command writes to stderr that its failure quotes."""
CHUNK = 1 << 16

_NEVER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC})

log = structlog.get_logger()


class CommandHook:
    async def deliver(self, command: Sequence[str], letter: Letter) -> None:
        """Runs a program with its arguments, by no shell: the letter is JSON on its stdin, and in
        `MAIL_*`. It has taken the letter if it ends with 0; what it started ends with it."""
        with tempfile.TemporaryFile() as stdin, _stderr() as (stderr, said):
            stdin.write(json.dumps(letter_json(letter)).encode())
            stdin.seek(0)
            status = await _run(command, _environment(letter), stdin, stderr)
            reason = said()
        if status:
            told = f": {reason}" if reason else "."
            raise Transient(f"{_name(command)} {_how_it_ended(status)}{told}")


async def run_hooks(commands: Sequence[Sequence[str]], letter: Letter) -> None:
    """Tells all of them of a letter that was received. What fails is logged, and that is all."""
    await asyncio.gather(*(_run_hook(command, letter) for command in commands))


async def _run_hook(command: Sequence[str], letter: Letter) -> None:
    try:
        await CommandHook().deliver(command, letter)
    except Exception as error:  # noqa: BLE001  a hook is best effort, whatever is wrong with it
        log.warning("hook failed", letter=letter.id, reason=str(error))


async def _run(
    command: Sequence[str], environment: dict[str, str], stdin: IO[bytes], stderr: int
) -> int:
    process = await _started(command, environment, stdin, stderr)
    try:
        async with asyncio.timeout(SECONDS):
            return await process.wait()
    except TimeoutError:
        sentence = f"{_name(command)} took longer than {SECONDS:.0f} s and was ended."
        raise Transient(sentence) from None
    finally:
        # macOS answers "not permitted" for a group of which only a zombie is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _started(
    command: Sequence[str], environment: dict[str, str], stdin: IO[bytes], stderr: int
) -> Process:
    """This is the one place that says why a command can't be started, and whether ever."""
    if not command:
        raise Permanent("No command is configured; name one.")
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=stdin,
            stdout=DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    except ValueError:
        raise Permanent(f"{_name(command)} has a NUL in it; correct it.") from None
    except OSError as error:
        sentence = f"{_name(command)} can't be started ({os.strerror(error.errno or 0)})."
        raise (Permanent if error.errno in _NEVER else Transient)(sentence) from None


def _environment(letter: Letter) -> dict[str, str]:
    """Values of one line: what reads them may be a shell script."""
    values = {
        "MAIL_ID": letter.id,
        "MAIL_FROM": letter.sender,
        "MAIL_TO": letter.to,
        "MAIL_SUBJECT": letter.subject,
        "MAIL_PRIORITY": letter.priority.value,
    }
    return bare_environment() | {name: one_line(value) for name, value in values.items()}


@contextmanager
def _stderr() -> Iterator[tuple[int, Callable[[], str]]]:
    """What a program can write to, and the begin of what it wrote, as one line. All else is read
    and dropped: it should neither wait for a reader nor fill a disk. A process that got away and
    holds the pipe open is not waited for."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    begin = bytearray()

    def read() -> None:
        with suppress(BlockingIOError):
            begin.extend(os.read(reading, CHUNK)[: MOST_SAID - len(begin)])

    def said() -> str:
        read()
        return one_line(unescaped(begin.decode(errors="replace")))

    loop = asyncio.get_running_loop()
    loop.add_reader(reading, read)
    try:
        yield writing, said
    finally:
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)


def _name(command: Sequence[str]) -> str:
    """Without its arguments, which may be secrets."""
    return f"The command {one_line(command[0], 200)}"


def _how_it_ended(status: int) -> str:
    return f"ended with {status}" if status > 0 else f"was killed by signal {-status}"
