"""The time from a mail that is in the mailbox to its text, with IDLE, on a Dovecot.

Dovecot gathers changes for 500 ms before it tells a client that idles (measured: 500 to 505 ms
from APPEND to EXISTS); the rest is Mailroom.

python -m bench.imap [--mails 60]
"""

import argparse
import asyncio
import imaplib
import os
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from bench import __main__ as bench
from bench import world as worlds
from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot

USER, PASSWORD = "bench", "word"


def connected(server: Dovecot) -> imaplib.IMAP4_SSL:
    box = imaplib.IMAP4_SSL(
        server.host, server.port, ssl_context=ssl.create_default_context(cafile=server.ca)
    )
    box.login(USER, PASSWORD)
    return box


async def one_mail(box: imaplib.IMAP4_SSL, world: worlds.World, mark: str) -> float:
    """Seconds from the answer to APPEND to the text."""
    await asyncio.to_thread(box.append, "INBOX", "", "", worlds.mail(mark))
    appended = time.perf_counter()
    texted, _ = await asyncio.wait_for(world.texted[mark], 120)
    return texted - appended


async def measure(server: Dovecot, world: worlds.World, mails: int) -> None:
    box = await asyncio.to_thread(connected, server)
    await one_mail(box, world, "bench-imap-warm")
    seconds = sorted([await one_mail(box, world, f"bench-imap-{n}") for n in range(mails)])
    p95 = seconds[int(0.95 * mails)]
    print(
        f"IMAP mail in the mailbox to text sent: p50 {1000 * statistics.median(seconds):.0f} ms,"
        f" p95 {1000 * p95:.0f} ms (goal: p50 under 1000)"
    )
    await asyncio.to_thread(box.logout)


def configure(server: Dovecot) -> None:
    """For the `mailroom dev` that is measured: it inherits this environment."""
    os.environ |= {
        "SSL_CERT_FILE": str(server.ca),
        "IMAP_HOST": server.host,
        "IMAP_PORT": str(server.port),
        "IMAP_USER": USER,
        "IMAP_PASSWORD": PASSWORD,
        "EMAIL_ADDRESS": "owner@mailroom.test",
        # The mail may be there before the mailbox is first seen.
        "IMAP_ANSWER_SINCE": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.imap", description=__doc__)
    parser.add_argument("--mails", type=int, default=60)
    asked = parser.parse_args()
    binary = dovecots.dovecot()
    if binary is None:
        raise SystemExit(f"No IMAP server: {dovecots.HOW_TO_INSTALL}.")
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with dovecots.running(binary, bench.free_port()) as server, worlds.running() as world:
            server.set_password(USER, PASSWORD)
            configure(server)
            async with bench.stack(Path(folder), world):
                await measure(server, world, asked.mails)


if __name__ == "__main__":
    asyncio.run(main())
