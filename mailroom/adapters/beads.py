"""`bd`, the command of Beads, as a source of letters (port `Beads`).

What it is asked is seed 000's: `bd list --type=message --status=open` and `bd label add`. `bd list
--json` writes an array of issues, or with BD_JSON_ENVELOPE=1 (the default from 2.0 on)
`{"schema_version", "data": [...]}` (beads, docs/JSON_SCHEMA.md). Without `--limit=0` it ends after
50 issues, or 20; releases about 0.59 need `--flat` for JSON and older ones refuse it, and 0.58 says
"No issues found." in words (gastown, internal/mail/bd.go and mailbox.go).
"""

import asyncio
import errno
import json
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mailroom.adapters.settings import bare_environment
from mailroom.models.beads import ID
from mailroom.models.text import one_line, unescaped
from mailroom.ports import Permanent, Transient

BD = "bd"
# Many agents use one database, and wait for each other's locks (gastown, internal/mail/bd.go).
SECONDS = 60.0
LABEL_SECONDS = 30.0
MOST_BYTES = 32 * 1024 * 1024
MOST_SAID = 4096
"""Bytes of stderr that a failure quotes."""
CHUNK = 1 << 16

OPEN = ("--status=open", "--json", "--limit=0")
# A town of today labels its mail instead of giving it a type (gastown, internal/mail/router.go).
WHICH = ("--type=message", "--label=gt:message")
FLAT = "--flat"

_NEVER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC})


class _Failed(Transient):
    """`said` is what it wrote to stderr."""

    def __init__(self, sentence: str, said: str) -> None:
        super().__init__(sentence)
        self.said = said


@dataclass(frozen=True)
class BeadsCommand:
    folder: str | None = None

    async def messages(self) -> list[object]:
        """Those of both kinds; one that is both is there twice."""
        # One after the other: two of them would wait for the same lock.
        return [message for which in WHICH for message in await self._listed(which)]

    async def label(self, beads_id: str, label: str) -> None:
        if not ID.fullmatch(beads_id):
            raise Permanent("It is no ID of Beads.")
        await self._run(("label", "add", beads_id, label), LABEL_SECONDS)

    async def _listed(self, which: str) -> list[object]:
        words = ("list", which, *OPEN)
        try:
            return await asyncio.to_thread(_array, await self._run((*words, FLAT), SECONDS))
        except _Failed as error:
            if "invalid issue type" in error.said:
                return []  # of a Beads that knows no messages but those that are labelled
            if FLAT not in error.said:
                raise
        return await asyncio.to_thread(_array, await self._run(words, SECONDS))

    async def _run(self, words: Sequence[str], seconds: float) -> bytes:
        """What it wrote to stdout."""
        with _Heard.opened(MOST_BYTES) as out, _Heard.opened(MOST_SAID) as err:
            status = await self._ended(words, out.writing, err.writing, seconds)
            written, said = out.all(), err.all()
        if status:
            reason = one_line(unescaped(said[:MOST_SAID].decode(errors="replace")))
            told = f": {reason}" if reason else "."
            raise _Failed(f"bd {words[0]} ended with {status}{told}", reason)
        if len(written) > MOST_BYTES:
            raise Transient(f"bd {words[0]} wrote more than {MOST_BYTES:,} bytes.")
        return written

    async def _ended(self, words: Sequence[str], out: int, err: int, seconds: float) -> int:
        process = await self._started(words, out, err)
        try:
            async with asyncio.timeout(seconds):
                return await process.wait()
        except TimeoutError:
            sentence = f"bd {words[0]} took longer than {seconds:.0f} s and was ended."
            raise Transient(sentence) from None
        finally:
            # Its database server has a group of its own and stays.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _started(self, words: Sequence[str], out: int, err: int) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                BD,
                *words,
                cwd=self.folder,
                env=bare_environment(),
                stdin=DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            sentence = (
                f"bd can't be started ({os.strerror(error.errno or 0)}); install Beads where the "
                "worker runs, correct agents.beads.folder, or set agents.beads.enabled = false."
            )
            raise (Permanent if error.errno in _NEVER else Transient)(sentence) from None


class _Heard:
    """The begin of what is written to a pipe, and one byte more if there is more; the rest is read
    and dropped. Nobody waits for a process that holds it open."""

    def __init__(self, reading: int, writing: int, most: int) -> None:
        self.writing = writing
        self._reading = reading
        self._most = most
        self._kept = bytearray()

    @classmethod
    @contextmanager
    def opened(cls, most: int) -> Iterator["_Heard"]:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        heard = cls(reading, writing, most)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, heard._read)
        try:
            yield heard
        finally:
            loop.remove_reader(reading)
            os.close(reading)
            os.close(writing)

    def all(self) -> bytes:
        """Of a process that has ended."""
        while self._read():
            pass
        return bytes(self._kept)

    def _read(self) -> int:
        with suppress(BlockingIOError):
            found = os.read(self._reading, CHUNK)
            self._kept += found[: self._most + 1 - len(self._kept)]
            return len(found)
        return 0


def _array(written: bytes) -> list[object]:
    text = written.strip()
    if not text or text.startswith(b"No "):
        return []
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Transient("bd list wrote no JSON.") from None
    if isinstance(found, dict):
        found = found.get("data")
    if found is None:
        return []
    if not isinstance(found, list):
        raise Transient("bd list wrote no JSON array of issues.")
    return found
