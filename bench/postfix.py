"""Postfix as a relay: smtp-source hands it messages, and it hands them to smtp-sink.

With Debian's settings but for the addresses, in a folder of its own, on loopback.
"""

import asyncio
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.__main__ import free_port

SBIN = "/usr/sbin:/usr/local/sbin"
HOW = "apt-get install postfix; as root"
SESSIONS = 20
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.bench.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
alias_maps =
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def found() -> str | None:
    """None where it can't run here."""
    if os.geteuid() != 0 or not shutil.which("smtp-sink", path=SBIN):
        return None
    return shutil.which("postfix", path=SBIN)


async def beside(folder: Path, rounds: int, messages: int) -> None:
    binary = found()
    if binary is None:
        print(f"Postfix is not measured: it is not installed here ({HOW}).")
        return
    async with sink() as (sink_port, count), relay(binary, folder / "postfix", sink_port) as port:
        await one_round(port, messages, count)
        rates = [await one_round(port, messages, count) for _ in range(rounds)]
    print(
        f"Postfix, smtp-source to smtp-sink: {statistics.median(rates):.1f}/s"
        f" (median of {rounds}; {min(rates):.1f} to {max(rates):.1f})"
    )


class Count:
    """What smtp-sink says that it has taken."""

    def __init__(self) -> None:
        self.mails = 0
        self.more = asyncio.Condition()

    async def read(self, said: asyncio.StreamReader) -> None:
        """Lines such as `sess=20 quit=20 mesg=300`, each written over the one before."""
        while piece := await said.readuntil(b"\r"):
            async with self.more:
                self.mails = int(piece.rpartition(b"mesg=")[2].strip() or 0)
                self.more.notify_all()

    async def reaches(self, mails: int) -> None:
        async with asyncio.timeout(120), self.more:
            await self.more.wait_for(lambda: self.mails >= mails)


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[int, Count]]:
    port, count = free_port(), Count()
    process = await asyncio.create_subprocess_exec(
        *("/usr/sbin/smtp-sink", "-c", "-u", "postfix", f"127.0.0.1:{port}", "100"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    reading = asyncio.create_task(count.read(process.stdout))
    try:
        yield port, count
    finally:
        reading.cancel()
        process.terminate()
        await process.wait()


@asynccontextmanager
async def relay(binary: str, folder: Path, sink_port: int) -> AsyncIterator[int]:
    port, configuration = free_port(), folder / "etc"
    for each in (configuration, folder / "queue", folder / "data"):
        each.mkdir(parents=True)
    # It drops its rights: the way to its folder is for everybody.
    folder.parent.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    (configuration / "main.cf").write_text(MAIN.format(folder=folder, sink=sink_port))
    (configuration / "master.cf").write_text(MASTER.format(port=port))
    await run(binary, "-c", str(configuration), "start")
    try:
        yield port
    finally:
        await run(binary, "-c", str(configuration), "stop")


async def one_round(port: int, messages: int, count: Count) -> float:
    wanted, begun = count.mails + messages, time.perf_counter()
    await run(
        "/usr/sbin/smtp-source", "-s", str(SESSIONS), "-m", str(messages), "-l", "1000",
        "-f", "news@bench.example", "-t", "bench@d.example", f"127.0.0.1:{port}",
    )  # fmt: skip
    await count.reaches(wanted)
    return messages / (time.perf_counter() - begun)


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise SystemExit(f"{command[0]} failed with {process.returncode}.")
