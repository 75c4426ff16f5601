"""`mailroom agent` and the queues of `mailroom daemon`, on a real bridge."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_bridge import Run
from house import TOKEN, House, bridge_on
from typer.testing import Result
from world import eventually

from mailroom.adapters.spool.spool import Spool
from mailroom.cli import agent as agent_commands
from mailroom.cli import agent_overseer, agent_sessions
from mailroom.client import Mailroom, OfflineQueue
from mailroom.models.spool import Queue, SpooledLetter

pytestmark = pytest.mark.usefixtures("letters_end")

Agent = Callable[..., Awaitable[Result]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def url(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with bridge_on(house.context) as http:
        monkeypatch.setenv("MAILROOM_URL", str(http.base_url).rstrip("/"))
        monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)
        yield str(http.base_url)


@pytest.fixture
def agent(run: Run) -> Agent:
    """Beside the bridge, which runs here too."""

    async def invoke(*words: object, input: str | None = None) -> Result:
        return await asyncio.to_thread(run, "agent", *words)

    return invoke


@pytest.fixture
async def worker(url: str, marker: str) -> str:
    """An address that is known, and offline."""
    address = f"{marker}/worker"
    async with Mailroom(url, TOKEN) as mailroom:
        await mailroom.unregister_session(await mailroom.register_session(address))
    return address


def test_the_page_names_every_command() -> None:
    page = (ROOT / "docs" / "agents.md").read_text()
    names = re.findall(r"`(?:mailroom daemon )?([a-z-]+)", page)
    apps = (agent_commands.app, agent_sessions.app, agent_overseer.app)
    typed = [
        each.name or each.callback.__name__ for app in apps for each in app.registered_commands
    ]
    assert len(typed) == 24
    assert set(typed) | {"queue", "enable", "disable"} <= set(names)


async def data(asked: Awaitable[Result]) -> Any:
    result = await asked
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


async def sent(agent: Agent, to: str, *words: object) -> str:
    """The letter's ID."""
    return str((await data(agent("send", "--to", to, "--wait", *words, "-o", "json")))["id"])


async def test_a_letter_waits_in_the_inbox_until_it_is_read(agent: Agent, worker: str) -> None:
    ended = await agent("send", "--to", worker, "-s", "Build", "--wait", "Please", "look.")
    letter = ended.stdout.split()[0]
    assert ended.stdout == f"{letter} is queued.\n"
    assert len(letter) == 8
    [line] = (await agent("inbox", "--as", worker)).stdout.splitlines()[1:]
    assert line.split()[:4] == [letter, "normal", "overseer", "Build"]
    shown = (await agent("read", letter, "--as", worker)).stdout
    for part in (worker, "Build", "Please look.", "What happened", "delivered"):
        assert part in shown
    assert "None" not in shown
    empty = await agent("inbox", "--as", worker)
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert empty.stderr == f"Nothing to read for {worker}.\n"
    assert letter in (await agent("inbox", "--all", "--as", worker)).stdout
    acknowledged = await agent("ack", letter, "--as", worker)
    assert acknowledged.stdout == f"{letter} (Build) is acknowledged.\n"


async def test_the_inbox_is_in_the_order_of_reading(agent: Agent, worker: str) -> None:
    ids = {
        name: await sent(agent, worker, "-p", name, "-d", "queue", "-s", name)
        for name in ("low", "normal", "urgent")
    }
    pinned = await sent(agent, worker, "-p", "low", "--pin", "-s", "pinned")
    found = await data(agent("inbox", "--as", worker, "-o", "json"))
    assert [one["id"] for one in found] == [pinned, ids["urgent"], ids["normal"], ids["low"]]
    assert (await agent("unpin", pinned[:8], "--as", worker)).exit_code == 0
    assert (await agent("pin", ids["low"], "--as", worker)).exit_code == 0
    found = await data(agent("inbox", "--as", worker, "-o", "json"))
    assert [one["subject"] for one in found] == ["low", "urgent", "normal", "pinned"]


async def test_a_conversation_is_found_and_shown(
    agent: Agent, worker: str, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await sent(agent, worker, "-s", f"question {marker}", "Why?")
    monkeypatch.setenv("MAILROOM_AGENT", worker)
    answer = await sent(agent, "overseer", "--reply-to", first[:8], "Because.")
    shown = (await agent("thread", answer)).stdout
    assert shown.index("Why?") < shown.index("Because.")
    found = await data(agent("search", marker, "question", "-o", "json"))
    assert [one["id"] for one in found] == [first]
    [line] = (await agent("search", marker, "--status", "queued")).stdout.splitlines()[1:]
    assert line.startswith(first[:8])
    assert (await agent("search", f"no{marker}")).stderr == "No letter has these words.\n"


async def test_a_dry_run_says_who_would_get_it(agent: Agent, worker: str) -> None:
    planned = await agent("send", "--to", worker, "-p", "urgent", "--dry-run", "hello")
    assert planned.stdout.splitlines()[1].split() == [worker, "urgent", "interrupt"]
    tried = await agent("rules", "--dry-run", "--to", worker, "-s", "Invoice")
    assert tried.stdout.splitlines()[1].split() == [worker, "normal", "queue"]
    assert (await agent("inbox", "--as", worker)).stdout == ""
    assert "no rules" in (await agent("rules")).stderr
    assert (await agent("rules", "--dry-run")).exit_code == 2


async def test_mistakes_are_one_sentence(agent: Agent, worker: str) -> None:
    unknown = await agent("send", "--to", f"{worker}s", "hello")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert f"did you mean {worker}" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
    assert (await agent("read", "0123456789")).exit_code == 3
    assert (await agent("send", "--to", worker, "--ttl", "soon", "hello")).exit_code == 2
    assert (await agent("inbox", "--as", "no address")).exit_code == 2
    assert (await agent("read", "../../health")).exit_code == 3
    letter = await sent(agent, worker, "hello")
    refused = await agent("replay", letter)
    assert (refused.exit_code, refused.stdout) == (4, "")
    assert refused.stderr == "Only a dead letter can be replayed; this one is queued.\n"


async def test_what_strangers_write_does_not_steer_the_terminal(agent: Agent, worker: str) -> None:
    hostile = "\x1b[2J\x1b]0;gone\x07[bold]red[/bold] \u202eever\u202c"
    letter = await sent(agent, worker, "-s", hostile, hostile)
    shown = ""
    for words in (("inbox",), ("thread", letter), ("read", letter), ("search", "red")):
        shown += (await agent(*words, "--as", worker)).stdout
    assert shown.count("[bold]red[/bold]") >= 5
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


async def test_an_agent_with_its_own_token_is_itself_and_nobody_else(
    agent: Agent, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await agent("token", worker)).stdout.strip()
    monkeypatch.setenv("MAILROOM_AGENT_TOKEN", token)
    letter = await sent(agent, "overseer", "from the worker")
    forged = await agent("send", "--to", worker, "--as", "mayor", "hello")
    assert (forged.exit_code, forged.stdout) == (1, "")
    assert "good for no other address" in forged.stderr
    assert (await agent("inbox", "--as", "mayor")).exit_code == 1
    assert (await agent("inbox")).exit_code == 0
    assert (await agent("dead-letters", "--to", worker)).exit_code == 0
    assert (await agent("stats")).exit_code == 1
    monkeypatch.delenv("MAILROOM_AGENT_TOKEN")
    assert (await data(agent("show", letter, "-o", "json")))["from"] == worker


async def test_sessions_are_registered_renewed_and_ended(agent: Agent, worker: str) -> None:
    offline = await agent("online", worker)
    assert (offline.exit_code, offline.stdout) == (3, f"{worker} is offline.\n")
    assert (await agent("session", worker)).exit_code == 3
    letter = await sent(agent, worker, "hello")
    made = await data(agent("register", worker, "--daemon", "d1", "-o", "json"))
    assert made["queued"] == 1
    assert (await agent("online", worker)).exit_code == 0
    assert "d1" in (await agent("session", worker)).stdout
    assert made["session_id"] in (await agent("sessions", worker)).stdout
    begins = made["session_id"][:8]
    assert "lasts until" in (await agent("heartbeat", begins, "--as", worker)).stdout
    ended = await agent("unregister", begins, "--as", worker)
    assert ended.stdout == f"The session {made['session_id']} has ended.\n"
    assert (await agent("online", worker)).exit_code == 3
    assert (await data(agent("show", letter, "-o", "json")))["id"] == letter


async def test_routing_by_the_names_of_the_router(agent: Agent, worker: str) -> None:
    routed = await agent("route", "--to", worker, "hello")
    assert (routed.exit_code, routed.stdout) == (0, "offline.\n")
    failed = await data_of_failure(agent("route", "--to", f"{worker}s", "-o", "json", "hello"))
    assert (failed["success"], failed["status"]) == (False, "failed")
    queued = await agent("queue-offline", "--to", worker, "-p", "urgent", "hello")
    assert queued.stdout.endswith("is queued.\n")
    assert len(await data(agent("inbox", "--as", worker, "-o", "json"))) == 2


async def data_of_failure(asked: Awaitable[Result]) -> Any:
    result = await asked
    assert result.exit_code == 1
    return json.loads(result.stdout)


@asynccontextmanager
async def process(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailroom.cli.main", "agent", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_listening_prints_letters_as_they_come_until_ctrl_c(
    agent: Agent, worker: str
) -> None:
    waited = await sent(agent, worker, "-s", "waited", "one")
    async with process("listen", worker, "-o", "json") as listener:
        assert listener.stdout
        assert listener.stderr
        greeting = (await listener.stderr.readline()).decode()
        assert greeting.startswith(f"{worker} is online as ")
        assert "; 1 letters waited" in greeting
        assert json.loads(await listener.stdout.readline())["id"] == waited
        delivered = await agent("route", "--to", worker, "-s", "live", "two")
        assert delivered.stdout.startswith("delivered by the session ")
        letter = json.loads(await listener.stdout.readline())
        assert (letter["from"], letter["subject"], letter["body"]) == ("overseer", "live", "two")
        listener.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(listener.wait(), 20) == 0
        assert await listener.stdout.read() == b""
    assert (await agent("online", worker)).exit_code == 3


async def test_a_killed_listener_shows_nothing_twice(agent: Agent, worker: str) -> None:
    async with process(
        "listen", worker, "--session", f"{worker.split('/', maxsplit=1)[0]}-1"
    ) as listener:
        assert listener.stderr
        assert listener.stdout
        await listener.stderr.readline()
        await agent("route", "--to", worker, "before the kill")
        line = (await listener.stdout.readline()).decode()
        assert "overseer" in line
        listener.kill()
    await agent("send", "--to", worker, "after the kill")
    async with process(
        "listen", worker, "--session", f"{worker.split('/', maxsplit=1)[0]}-1"
    ) as listener:
        assert listener.stdout
        await listener.stdout.readline()
        assert (await listener.stdout.readline()).decode() == "  after the kill\n"


@pytest.fixture
async def dead(agent: Agent, worker: str, url: str) -> str:
    """A letter to somebody who is offline and has no queue."""
    async with Mailroom(url, TOKEN, offline_queue=OfflineQueue(enabled=False)) as mailroom:
        await mailroom.unregister_session(await mailroom.register_session(worker))
    ended = await agent("send", "--to", worker, "-s", "gone", "--wait", "-o", "json", "hello")
    assert ended.exit_code == 1
    found = json.loads(ended.stdout)
    assert found["status"] == "dead_letter"
    return str(found["id"])


async def test_dead_letters_are_shown_replayed_and_discarded(
    agent: Agent, worker: str, dead: str
) -> None:
    [line] = (await agent("dead-letters", "--to", worker)).stdout.splitlines()[1:]
    assert line.startswith(dead[:8])
    counted = await agent("replay", "--to", worker, "--dry-run")
    assert counted.stdout == "1 dead letters match.\n"
    assert (await agent("replay", dead[:8])).stdout == f"{dead[:8]} (gone) is on its way again.\n"
    replayed = await data(agent("show", dead, "-o", "json"))
    assert "message.replayed" in [entry["type"] for entry in replayed["timeline"]]

    async def dead_again() -> bool:
        found = await data(agent("dead-letters", "--to", worker, "-o", "json"))
        return len(found) == 1

    await eventually(dead_again)
    unasked = await agent("discard", "--to", worker)
    assert unasked.exit_code == 1
    assert "Discard 1 dead letters" in unasked.stderr
    done = await agent("discard", "--to", worker, "--yes")
    assert done.stdout == "1 dead letters are discarded.\n"
    for words in (("replay",), ("replay", dead, "--all"), ("discard", dead, "--to", worker)):
        assert (await agent(*words)).exit_code == 2


async def test_the_daemon_shows_its_queues(run: Run, agent: Agent, worker: str, dead: str) -> None:
    found = await data(asyncio.to_thread(run, "daemon", "queue", "-n", 200, "-o", "json"))
    assert dead in [one["id"] for one in found["dead_letter"]["items"]]
    shown = (await asyncio.to_thread(run, "daemon", "queue", "-n", 200)).stdout
    assert shown.startswith("Letters are delivered.\n")
    for title in ("Inbound: ", "Outbound, waiting for the next try: ", "Dead letters: "):
        assert title in shown
    assert dead[:8] in shown
    figures = (await agent("stats")).stdout
    assert figures.split()[:3] == ["Delivered", "Failed", "Success"]


async def test_processing_is_switched_off_and_on(run: Run, agent: Agent, worker: str) -> None:
    off = await asyncio.to_thread(run, "daemon", "disable")
    try:
        assert off.stdout == "Letters wait: processing is disabled.\n"
        queues = await data(asyncio.to_thread(run, "daemon", "queue", "-o", "json"))
        assert queues["enabled"] is False
    finally:
        on = await asyncio.to_thread(run, "daemon", "enable")
    assert on.stdout == "Letters are delivered.\n"


def spooled(folder: Path) -> SpooledLetter:
    spool = Spool(folder)
    [file] = spool.files(Queue.INBOUND)
    message = spool.read(Queue.INBOUND, file).message
    assert isinstance(message, SpooledLetter)
    return message


def test_while_nothing_runs_the_spool_keeps_the_letter(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "spool"
    Spool(folder)
    monkeypatch.setenv("MAILROOM_PORT", "9")
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)
    words = ("--to", "rig/worker", "-p", "high", "--ttl", "30m", "-s", "later", "hello")
    kept = run("agent", "send", *words, "--as", "mayor")
    letter = spooled(folder).message
    assert kept.exit_code == 0
    assert kept.stdout == f"{str(letter['id'])[:8]} is kept in the spool: Mailroom isn't running.\n"
    reply = run("agent", "send", "--to", "rig/worker", "--reply-to", "3f2a81c0", "hello")
    assert reply.exit_code == 3
    assert "needs the whole ID" in reply.stderr
    known = {name: letter[name] for name in ("from", "to", "subject", "body", "ttl_seconds")}
    assert list(known.values()) == ["mayor/", "rig/worker", "later", "hello", 1800.0]


def test_a_letter_for_a_bridge_elsewhere_is_not_kept_here(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_PORT", "9")
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)
    ended = run("agent", "send", "--to", "rig/worker", "hello")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("Mailroom isn't running at ")
    for words in (("inbox",), ("listen", "rig/worker"), ("online", "rig/worker")):
        assert run("agent", *words).exit_code == 3
