"""A mail server that does what a recipient's name says, and writes down what it took before it
says so; a process of its own, which outlives those that are killed.

    python tests/outbound/campaign_sink.py RECORD PORT-OF-INBOUND-SMTP

`refuse`, `block`, `defer` (twice), `before-dot` and `after-dot` (it hangs up there, once), `return`
(it takes the mail and bounces it later); all others are taken.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path
from typing import TextIO

import aiosmtplib
from samples import dsn

USUAL = {"EHLO": "250 campaign", "DATA": "354 go on", "QUIT": "221 bye"}
BOUNCE = """\
Reporting-MTA: dns; campaign.test

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such person
"""


@dataclass
class CampaignSink:
    record: TextIO
    inbound: int
    tries: Counter[str] = field(default_factory=Counter)
    has: set[str] = field(default_factory=set)
    returning: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 campaign\r\n")
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who spoke was killed, or it is what the recipient's name asks for
        finally:
            writer.transport.abort()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = recipient = ""
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].upper()
            answer = USUAL.get(verb, "250 OK")
            if verb == "MAIL":
                sender = _address(line)
            if verb == "RCPT":
                recipient = _address(line)
                answer = self.known(recipient)
            writer.write(f"{answer}\r\n".encode())
            if verb == "DATA":
                said = await self.mail(reader, sender, recipient)
                writer.write(f"{said}\r\n".encode())

    def known(self, recipient: str) -> str:
        self.tries[recipient] += 1
        return "550 5.1.1 no such person" if _what(recipient) == "refuse" else "250 OK"

    async def mail(self, reader: asyncio.StreamReader, sender: str, recipient: str) -> str:
        what, tries = _what(recipient), self.tries[recipient]
        if what == "before-dot" and tries == 1:
            await reader.readline()
            raise ConnectionResetError
        raw = await reader.readuntil(b"\r\n.\r\n")
        if what == "block":
            return "554 5.7.1 message refused as spam"
        if what == "defer" and tries <= 2:
            return "451 4.3.2 not now"
        known = recipient in self.has
        self.take(raw, recipient)
        if what == "after-dot" and not known:
            raise ConnectionResetError
        if what == "return":
            self.bounce_later(sender, recipient)
        return "250 2.0.0 taken"

    def take(self, raw: bytes, recipient: str) -> None:
        """On the disk before it is answered."""
        data = raw.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        headers = BytesHeaderParser(policy=default).parsebytes(data)
        line = {
            "message_id": str(headers["Message-ID"]),
            "sha256": hashlib.sha256(data).hexdigest(),
            "recipient": recipient,
        }
        self.record.write(json.dumps(line) + "\n")
        self.record.flush()
        os.fsync(self.record.fileno())
        self.has.add(recipient)

    def bounce_later(self, sender: str, recipient: str) -> None:
        task = asyncio.create_task(self.bounce(sender, recipient))
        self.returning.add(task)
        task.add_done_callback(self.returning.discard)

    async def bounce(self, sender: str, recipient: str) -> None:
        status = BOUNCE.format(recipient=recipient)
        raw = dsn(status, message_id=f"<{recipient}>", returned="Content-Type: text/plain\n\n\n")
        while True:
            try:
                async with aiosmtplib.SMTP(
                    hostname="127.0.0.1", port=self.inbound, start_tls=False
                ) as smtp:
                    await smtp.sendmail("", [sender], raw)
                return
            except (aiosmtplib.SMTPException, OSError):
                # Who should have it is dead just now.
                await asyncio.sleep(0.5)


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def _what(recipient: str) -> str:
    return recipient.partition("+")[0]


async def main(record: str, inbound: int) -> None:
    with Path(record).open("a") as file:  # noqa: ASYNC230
        sink = CampaignSink(file, inbound)
        server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 22)
        print(server.sockets[0].getsockname()[1], flush=True)
        # Until whoever started it lets go, or dies.
        await asyncio.to_thread(sys.stdin.read)
        server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
