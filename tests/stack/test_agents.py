"""Two terminals and a tmux session write to each other through `mailroom agent`; the daemon is
killed in between, and nothing is lost or shown twice."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmux_world import tmux_running

from stack.process import Stack, stack_in, until

ADA, BOB, EVE = "rig/ada", "rig/bob", "rig/eve"


@dataclass
class Terminal:
    """`mailroom agent listen` of one address."""

    stack: Stack
    address: str
    shown: list[dict[str, Any]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    @property
    def subjects(self) -> Counter[str]:
        return Counter(str(letter["subject"]) for letter in self.shown)

    async def listen(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *command("agent", "listen", "--as", self.address, "-o", "json"),
            env=environment(self.stack),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.shown.append(json.loads(line))

    async def says(self, to: str, subject: str, **options: str) -> None:
        """Once: what is not taken while the daemon is away waits in the spool."""
        more = [word for name, value in options.items() for word in (f"--{name}", value)]
        process = await asyncio.create_subprocess_exec(
            *command(
                "agent", "send", "--as", self.address, "--to", to, "--subject", subject, *more
            ),
            "text",
            env=environment(self.stack),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "mailroom.cli.main", *words]


def environment(stack: Stack) -> dict[str, str]:
    return {
        **os.environ,
        "MAILROOM_DATA_DIR": str(stack.data_dir),
        "MAILROOM_PORT": str(stack.ports[0]),
    }


@asynccontextmanager
async def terminal(stack: Stack, address: str) -> AsyncIterator[Terminal]:
    running = Terminal(stack, address)
    listening = asyncio.create_task(running.listen())
    try:
        await until(lambda: is_online(stack, address), f"{address} is online")
        yield running
    finally:
        if running.process and running.process.returncode is None:
            running.process.terminate()
        await listening


async def is_online(stack: Stack, address: str) -> bool:
    return bool((await stack.client.get(f"/presence/{address}")).json()["online"])


async def all_shown(who: Terminal, subjects: set[str]) -> None:
    async def there() -> bool:
        return subjects <= set(who.subjects)

    await until(there, f"{who.address} sees {sorted(subjects)}")


async def test_two_terminals_and_a_tmux_session(tmux_binary: Path, tmp_path: Path) -> None:
    async with (
        tmux_running(tmux_binary) as tmux,
        stack_in(tmp_path / "stack", MAILROOM_TMUX_SOCKET=tmux.socket) as stack,
        terminal(stack, ADA) as ada,
        terminal(stack, BOB) as bob,
    ):
        record = await tmux.program("rig-eve")
        await stack.client.post("/mail", json={"from": EVE, "to": ADA, "subject": "here I am"})
        before = {f"before {n}" for n in range(2)}
        await asyncio.gather(
            *(ada.says(BOB, subject) for subject in before),
            *(bob.says(ADA, subject) for subject in before),
            ada.says(EVE, "eve before", priority="high"),
        )
        await until(lambda: nothing_waits(stack), "what was sent has arrived")
        sending = asyncio.gather(*(bob.says(ADA, f"during {n}") for n in range(2)))
        stack.kill()
        await asyncio.gather(sending, stack.ended())
        await asyncio.gather(
            ada.says(BOB, "while it is away"),
            bob.says(EVE, "eve meanwhile", priority="urgent"),
        )
        await stack.start()
        await bob.says(ADA, "after")
        await all_shown(bob, {*before, "while it is away"})
        await all_shown(ada, {*before, "here I am", "after", *(f"during {n}" for n in range(2))})
        await until(lambda: typed(record, "eve before", "eve meanwhile"), "eve is interrupted")
        await until(lambda: nothing_waits(stack), "all letters have arrived")
        await asyncio.gather(ada.says(BOB, "the last"), bob.says(ADA, "the last"))
        await asyncio.gather(all_shown(ada, {"the last"}), all_shown(bob, {"the last"}))
        assert set(ada.subjects.values()) == {1}
        assert set(bob.subjects.values()) == {1}
        text = record.read_text()
        assert (text.count("eve before"), text.count("eve meanwhile")) == (1, 1)


async def nothing_waits(stack: Stack) -> bool:
    queues = (await stack.client.get("/mail/queues")).json()
    return all(queues[name]["total"] == 0 for name in ("inbound", "outbound", "dead_letter"))


async def typed(record: Path, *subjects: str) -> bool:
    text = await asyncio.to_thread(record.read_text)
    return all(subject in text for subject in subjects)
