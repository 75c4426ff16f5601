"""`mailroom dev` as a process on a data folder and ports of its own: started, asked, killed,
started again."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiosmtplib
import httpx
import psycopg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from mailroom.adapters.settings import Settings
from mailroom.models.states import MailState, is_final

T = TypeVar("T")

FINAL = [state for state in MailState if is_final(state)]

# Generous: the machines of CI are slow, and others run tests beside us.
WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.05
# Where the tools of the machine are is the machine's business; all else is the test's.
INHERITED = {"MAILROOM_CACHE_DIR", "MAILROOM_TEMPORAL_CLI"}
OURS = {name.upper() for name in Settings.model_fields} - INHERITED
# Below the ports that the system gives to clients, so that none takes ours between two starts.
PORTS = range(20_000, 32_000)


async def until(
    look: Callable[[], Awaitable[T]], what: str = "it", seconds: float = WAIT_SECONDS
) -> T:
    """What `look` found, as soon as it finds something that is true."""
    seen: object = None
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if found := await look():
                    return found
                seen = found
                await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"{what} did not happen in {seconds:.0f} s; last seen: {seen!r}")


def free_ports(count: int) -> list[int]:
    return [port for port in random.sample(PORTS, 100) if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass
class Stack:
    """One data folder with its ports, and the process that runs on it, if one does.

    `environment` is what the process gets besides: the routes to the gateway and the mail
    server of a test, say. Without them nothing leaves the stack.
    """

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    smtp_host: str = "127.0.0.1"
    ports: list[int] = field(default_factory=lambda: free_ports(4))
    process: asyncio.subprocess.Process | None = None
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def smtp_port(self) -> int:
        return self.ports[1]

    @property
    def temporal_address(self) -> str:
        return f"127.0.0.1:{self.ports[2]}"

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text().strip()

    @property
    def client(self) -> httpx.AsyncClient:
        """A client with the token; the same one at every call."""
        if not self.clients:
            self.clients.append(
                httpx.AsyncClient(
                    base_url=self.url,
                    headers={"Authorization": f"Bearer {self.token}"},
                    timeout=WAIT_SECONDS,
                    # A killed server's connections would be tried first after its new start.
                    limits=httpx.Limits(max_keepalive_connections=0),
                )
            )
        return self.clients[0]

    async def temporal(self) -> Client:
        return await Client.connect(self.temporal_address, data_converter=pydantic_data_converter)

    async def database(self) -> psycopg.AsyncConnection:
        """A connection of the tests' own, to look and to hold locks."""
        lines = (self.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
        return await psycopg.AsyncConnection.connect(
            host=lines[4], port=int(lines[3]), user="postgres", dbname="mailroom", autocommit=True
        )

    # From start to stop

    async def begin(self) -> None:
        """Starts the process, and does not wait for more."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mailroom.cli.main", "dev", "--no-samples"),
                cwd=self.data_dir,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Signals are for the process alone, as a supervisor sends them.
                start_new_session=True,
            )

    async def start(self) -> None:
        """Starts the process and waits until all is up."""
        await self.begin()
        await until(self._is_healthy, "a healthy stack")

    def kill(self) -> None:
        """SIGKILL, without a word before."""
        assert self.process is not None
        self.process.kill()

    async def ended(self) -> int:
        """The exit status, once the process has ended."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), WAIT_SECONDS)

    async def restart(self) -> None:
        """SIGKILL and a new start on the same folder."""
        self.kill()
        await self.ended()
        await self.start()

    async def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return await self.ended()

    async def close(self) -> None:
        """Leaves nothing running, whatever the test left."""
        for client in self.clients:
            await client.aclose()
        if self.process and self.process.returncode is None:
            await self.interrupt()
        for pid in await self.running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def running(self) -> list[int]:
        """Processes that name this data folder in their command line: Temporal, PostgreSQL."""
        return [pid for pid, command in await processes() if str(self.data_dir) in command]

    async def pid_of(self, what: str) -> int:
        found = [
            pid
            for pid, command in await processes()
            if str(self.data_dir) in command and command.split()[0].endswith(what)
        ]
        [pid] = found
        return pid

    @property
    def output(self) -> Path:
        return self.data_dir / "dev.out"

    def _environment(self) -> dict[str, str]:
        http, smtp, temporal, ui = map(str, self.ports)
        return {
            **{name: value for name, value in os.environ.items() if name.upper() not in OURS},
            "MAILROOM_DATA_DIR": str(self.data_dir),
            "MAILROOM_PORT": http,
            "MAILROOM_SMTP_PORT": smtp,
            "MAILROOM_TEMPORAL_PORT": temporal,
            "MAILROOM_TEMPORAL_UI_PORT": ui,
            **self.environment,
        }

    async def _is_healthy(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"`mailroom dev` ended: {self.output.read_text()[-2000:]}")
        async with httpx.AsyncClient() as http:
            try:
                return (await http.get(f"{self.url}/health")).status_code == 200
            except httpx.TransportError:
                return False

    # Mail

    async def send(self, raw: bytes, sender: str = "john@example.com") -> str:
        """One mail by SMTP; the server's answer to it. Raises what aiosmtplib raises."""
        async with aiosmtplib.SMTP(
            hostname=self.smtp_host, port=self.smtp_port, timeout=WAIT_SECONDS
        ) as smtp:
            _, answer = await smtp.sendmail(sender, ["owner@mailroom.test"], raw)
        return answer

    async def row(self, message_id: str) -> dict[str, object]:
        """The mail as the API shows it; empty if it is not listed (yet)."""
        response = await self.client.get(f"/workflow/{quote(message_id, safe='')}")
        return response.json() if response.status_code == 200 else {}

    async def reach(self, message_id: str, *states: str) -> dict[str, object]:
        """The mail, once it is in one of these states."""

        async def look() -> bool:
            row.clear()
            row.update(await self.row(message_id))
            state = row.get("current_state")
            if state not in states and state in FINAL:
                raise AssertionError(f"{message_id} ended as {state}: {row['reason']}")
            return state in states

        row: dict[str, object] = {}
        try:
            await until(look, f"{message_id} in {' or '.join(states)}")
        except AssertionError as error:
            known = ("current_state", "reason", "error_message")
            raise AssertionError(f"{error}, {[row.get(name) for name in known]}") from None
        return row

    async def decide(self, message_id: str, word: str) -> httpx.Response:
        path = f"/workflow/{quote(message_id, safe='')}/decide"
        return await self.client.post(path, json={"text": word})


async def processes() -> list[tuple[int, str]]:
    """All processes of this machine with their command lines."""
    ps = await asyncio.create_subprocess_exec(
        *("ps", "-ax", "-ww", "-o", "pid=,args="), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await ps.communicate()
    lines = (line.split(maxsplit=1) for line in output.decode(errors="replace").splitlines())
    return [(int(pid), command) for pid, command in (line for line in lines if len(line) == 2)]


@asynccontextmanager
async def stack_in(folder: Path, **environment: str) -> AsyncIterator[Stack]:
    """A stack that is up; whatever runs on the folder at the end is ended."""
    stack = Stack(folder, environment)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.close()
