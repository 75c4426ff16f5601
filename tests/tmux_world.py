"""A tmux server of a test's own, and programs to run in its panes."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from world import eventually

PROGRAM = Path(__file__).with_name("terminal_program.py")


@dataclass(frozen=True)
class TmuxServer:
    binary: Path
    folder: Path
    process: asyncio.subprocess.Process

    @property
    def socket(self) -> str:
        return str(self.folder / "socket")

    def run(self, *arguments: str) -> str:
        command = [self.binary, "-f", "/dev/null", "-S", self.socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def session(self, name: str, *command: str, width: int = 80) -> None:
        self.run("new-session", "-d", "-s", name, "-x", str(width), "-y", "24", *command)

    async def shell(self, name: str, prompt: str = "$ ", width: int = 80) -> None:
        """A POSIX shell whose folder is the server's: what runs in it can leave files there."""
        bash = ["env", f"PS1={prompt}", "bash", "--norc", "--noprofile", "-i"]
        self.session(name, "-c", str(self.folder), *bash, width=width)
        await self.shows(name, prompt.strip())

    async def program(self, name: str, *options: str, width: int = 80) -> Path:
        """The file that gets what was submitted to it, a line each."""
        record = self.folder / f"{name}.submitted"
        self.session(name, sys.executable, str(PROGRAM), str(record), *options, width=width)
        await _there(record)
        return record

    def screen(self, name: str) -> str:
        return self.run("capture-pane", "-p", "-J", "-t", f"={name}:")

    async def shows(self, name: str, text: str) -> None:
        async def holds() -> bool:
            return text in self.screen(name)

        await eventually(holds)

    async def end_program(self, name: str) -> None:
        """Of a pane that stays."""
        asked = ("display-message", "-p", "-t", f"={name}:")
        os.kill(int(self.run(*asked, "#{pane_pid}")), signal.SIGKILL)

        async def is_dead() -> bool:
            return self.run(*asked, "#{pane_dead}").strip() == "1"

        await eventually(is_dead)

    def stop(self) -> None:
        """It answers nobody until `go_on`."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


async def _there(file: Path) -> None:
    async def holds() -> bool:
        return await asyncio.to_thread(file.exists)

    await eventually(holds)


@asynccontextmanager
async def tmux_running(binary: Path) -> AsyncIterator[TmuxServer]:
    """In a folder in /tmp: a socket's path may have about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="tmux-", dir="/tmp"))
    process = await asyncio.create_subprocess_exec(
        binary, "-D", "-f", "/dev/null", "-S", folder / "socket",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _there(folder / "socket")
        yield TmuxServer(binary, folder, process)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
