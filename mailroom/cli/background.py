"""The local stack in the background.

Whether it runs is told by the lock on its data folder, which the system lets go even after a
kill. `daemon.json` only says where; the process it names is trusted if its command line is that
of a daemon of this very folder, so that no other process is ever stopped in its place.
"""

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
from pydantic import AwareDatetime, BaseModel, ValidationError

from mailroom.adapters.http import http_client
from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.agent_queues import processing, sentence
from mailroom.cli.errors import Failure
from mailroom.cli.output import Output, answer, messages, plain_table, print_json, say, show
from mailroom.local import dev, lifetime, toolchain

STATE = "daemon.json"
OUTPUT = Path("logs") / "daemon.log"
COMMAND = ("-m", "mailroom.cli.main", "daemon", "run")
HEALTH_SECONDS = 5
STOP_SECONDS = 60
LOOK_SECONDS = 0.1
NOT_OURS = "Mailroom runs here in a terminal (`mailroom dev`); stop it there with Ctrl-C."


class Daemon(BaseModel):
    """`daemon.json`. `url` is None until all is up."""

    pid: int
    since: AwareDatetime
    url: str | None = None


class Health(BaseModel):
    """What `/health` says."""

    status: str
    workflows: dict[str, int]


class Status(BaseModel):
    """What `mailroom daemon status` says. `pid` and `since` are None for a stack that runs in a
    terminal, `health` and `processing` (of letters between agents) where the bridge does not
    answer."""

    running: bool
    url: str | None = None
    since: AwareDatetime | None = None
    pid: int | None = None
    health: Health | None = None
    processing: bool | None = None
    data_dir: Path


def start(*, samples: bool, seconds: float) -> None:
    settings = load_settings()
    folder = dev.prepared(settings.mailroom_data_dir).resolve()
    if runs(folder):
        found = asyncio.run(status_of(settings))
        answer(f"Mailroom is running already: {found.url}")
        return
    asyncio.run(
        toolchain.temporal_cli(
            explicit=settings.mailroom_temporal_cli, cache=settings.mailroom_cache_dir
        )
    )
    with messages().status("Starting Mailroom ..."):
        url = asyncio.run(_started(folder, samples=samples, seconds=seconds))
    answer(f"Mailroom is running: {url}")
    say(f"Stop it with `mailroom daemon stop`. The token is in {folder / 'token'}.")


def stop(seconds: float) -> None:
    folder = load_settings().mailroom_data_dir.resolve()
    if not runs(folder):
        answer("Mailroom isn't running.")
        return
    process = process_of(recorded(folder), folder)
    if process is None:
        raise Failure(NOT_OURS)
    with messages().status("Stopping ..."):
        _end(process, seconds)
    answer(f"Stopped; everything is kept in {folder}.")


def show_status(output: Output) -> bool:
    """Prints it; True if Mailroom runs."""
    status = asyncio.run(status_of(load_settings()))
    if output is Output.JSON:
        print_json(status.model_dump(mode="json"))
    elif status.running:
        _show(status)
    else:
        answer(f"Mailroom isn't running on {status.data_dir}.")
    return status.running


def run(folder: Path, *, samples: bool) -> None:
    """The process itself, until SIGTERM."""
    settings = load_settings(mailroom_data_dir=folder)
    me = Daemon(pid=os.getpid(), since=datetime.now(UTC))
    _record(folder, me)
    try:
        lifetime.run(
            lifetime.run_until_told(
                dev.stack(settings, samples=samples),
                up=lambda up: _record(folder, me.model_copy(update={"url": up.url})),
                stopping=lambda: None,
            )
        )
    finally:
        now = recorded(folder)
        if now and now.pid == me.pid:
            (folder / STATE).unlink()


def runs(folder: Path) -> bool:
    """Whether anything holds the folder's lock."""
    if not folder.exists():
        return False
    try:
        dev.only_one(folder)
    except dev.Unusable:
        return True
    return False


def recorded(folder: Path) -> Daemon | None:
    try:
        return Daemon.model_validate_json((folder / STATE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def process_of(daemon: Daemon | None, folder: Path) -> psutil.Process | None:
    """The daemon's process; None if that number is another process's by now."""
    if daemon is None:
        return None
    try:
        process = psutil.Process(daemon.pid)
        words = process.cmdline()
    except psutil.Error:
        return None
    return process if words[1 : len(COMMAND) + 2] == [*COMMAND, str(folder)] else None


async def status_of(settings: Settings) -> Status:
    folder = settings.mailroom_data_dir.resolve()
    if not runs(folder):
        return Status(running=False, data_dir=folder)
    daemon = recorded(folder)
    ours = daemon if process_of(daemon, folder) else None
    url = (ours and ours.url) or settings.bridge_url
    return Status(
        running=True,
        url=url,
        since=ours and ours.since,
        pid=ours and ours.pid,
        health=await health_of(url),
        processing=await processing(settings.model_copy(update={"mailroom_url": url})),
        data_dir=folder,
    )


async def health_of(url: str) -> Health | None:
    async with http_client(HEALTH_SECONDS) as http:
        try:
            return Health.model_validate((await http.get(f"{url}/health")).json())
        except (httpx.HTTPError, ValueError):
            return None


async def _started(folder: Path, *, samples: bool, seconds: float) -> str:
    """The address, once the new process is healthy; one that doesn't become so is ended."""
    process = _spawn(folder, samples=samples)
    try:
        async with asyncio.timeout(seconds):
            return await _until_healthy(process, folder)
    except TimeoutError as error:
        _end(psutil.Process(process.pid), STOP_SECONDS)
        raise Failure(
            f"Mailroom was not healthy within {seconds:.0f} s and was stopped; "
            "`mailroom daemon logs` says more."
        ) from error
    except asyncio.CancelledError:  # Ctrl-C
        _end(psutil.Process(process.pid), STOP_SECONDS)
        raise


def _spawn(folder: Path, *, samples: bool) -> "subprocess.Popen[bytes]":
    more = () if samples else ("--no-samples",)
    with (folder / OUTPUT).open("wb") as output:
        return subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, *COMMAND, str(folder), *more],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


async def _until_healthy(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    while process.poll() is None:
        daemon = recorded(folder)
        if daemon and daemon.pid == process.pid and daemon.url:
            health = await health_of(daemon.url)
            if health and health.status == "healthy":
                return daemon.url
        await asyncio.sleep(LOOK_SECONDS)
    said = (folder / OUTPUT).read_text(errors="replace").split("\n")
    why = next((line for line in reversed(said) if line.strip()), "it did not say why.")
    raise Failure(f"Mailroom did not start: {why}")


def _end(process: psutil.Process, seconds: float) -> None:
    """Stops it in order, and waits for that."""
    try:
        process.terminate()
        deadline = time.monotonic() + seconds
        # Not by `wait`: where nobody collects orphans, as in some containers, a zombie stays.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise Failure(f"Mailroom is still stopping after {seconds:.0f} s; ask again.")
            time.sleep(LOOK_SECONDS)
    except psutil.NoSuchProcess:
        return


def _record(folder: Path, daemon: Daemon) -> None:
    unfinished = folder / f".{STATE}"
    unfinished.write_text(daemon.model_dump_json())
    unfinished.replace(folder / STATE)


def _show(status: Status) -> None:
    table = plain_table("", "")
    table.show_header = False
    table.add_row("Running", status.url)
    if status.since:
        since = status.since.astimezone()
        table.add_row("Since", f"{since:%Y-%m-%d %H:%M:%S} (process {status.pid})")
    else:
        table.add_row("Since", "it was started in a terminal")
    health = status.health
    table.add_row("Health", health.status if health else "the bridge does not answer")
    for name, count in health.workflows.items() if health else ():
        table.add_row(name.replace("_", " ").capitalize(), str(count))
    if status.processing is not None:
        table.add_row("Letters", sentence(enabled=status.processing))
    show(table)
