"""The world of docs/: an IMAP server, a submission server, Twilio and an AI, on loopback."""

import asyncio
import contextlib
import imaplib
import json
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import urlencode

import httpx
from ai import KEY, Ai, Asked, ai_running, error, reply
from fastapi import Response
from submission import SubmissionServer, submission_running
from twilio_world import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    WEBHOOK,
    Twilio,
    new_sid,
    signature,
    text,
    twilio_running,
)

from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot
from stack.documents import lines, on
from stack.process import Stack, free_ports

LUNCH = "Lunch on Friday"
PROVIDERS = ("gmail.com", "example.org")


@dataclass
class Outside:
    """Servers that people who follow docs/ have accounts with."""

    dovecot: Dovecot
    submission: SubmissionServer
    twilio: Twilio
    ai: Ai
    ca: Path
    asked: list[Asked] = field(default_factory=list)

    def account(self, user: str, password: str) -> None:
        """One mailbox and one login to send with, as at any provider."""
        self.dovecot.set_password(user, password)
        self.submission.passwords[user] = password

    def env(self, *blocks: str) -> str:
        """An `.env` of these blocks, and where their servers are here."""
        text = self.here("\n".join(blocks))
        known = {
            "TWILIO_ACCOUNT_SID=AC...": f"TWILIO_ACCOUNT_SID={ACCOUNT_SID}",
            "TWILIO_AUTH_TOKEN=...": f"TWILIO_AUTH_TOKEN={AUTH_TOKEN}",
            "AI_API_KEY=sk-...": f"AI_API_KEY={KEY}",
            "https://api.openai.com/v1": f"{self.ai.url}/v1",
        }
        for written, meant in known.items():
            assert written in text, f"docs/ don't say {written} any more"
            text = text.replace(written, meant)
        assert "..." not in text, "docs/ leave something out"
        model = lines(text)["AI_MODEL"]
        self.ai.models = Response(json.dumps({"data": [{"id": model}]}))
        # The name of a server that no line has, because nobody needs another one.
        return f"{text}TWILIO_API_URL={self.twilio.url}\n"

    def here(self, text: str) -> str:
        servers = {}
        for provider in PROVIDERS:
            servers[f"imap.{provider}", 993] = (self.dovecot.host, self.dovecot.port)
            for port, ours in self.submission.ports.items():
                servers[f"smtp.{provider}", port] = (self.submission.host, ours)
        return on(text, servers)

    async def mail(self, user: str, raw: bytes) -> None:
        """A mail appears in this user's INBOX."""
        await asyncio.to_thread(self._append, user, raw)

    def _append(self, user: str, raw: bytes) -> None:
        tls = ssl.create_default_context(cafile=self.dovecot.ca)
        with imaplib.IMAP4_SSL(self.dovecot.host, self.dovecot.port, ssl_context=tls) as box:
            box.login(user, self.submission.passwords[user])
            kind, answer = box.append("INBOX", "", "", raw)
            assert kind == "OK", answer

    def texts(self, phone: str) -> list[str]:
        return [form["Body"] for form in self.twilio.forms if form["To"] == phone]

    async def texted(self, phone: str, word: str, seconds: float = 30) -> str:
        """The last text to this phone, once one has this word in it."""
        async with asyncio.timeout(seconds), self.twilio.arrived:
            await self.twilio.arrived.wait_for(lambda: word in "".join(self.texts(phone)))
        return self.texts(phone)[-1]

    async def draft(self, asked: Asked) -> Response:
        """In the name of whoever owns the mailbox; it has no answer to a question about lunch."""
        self.asked.append(asked)
        if LUNCH in asked.user:
            return error(400)
        owner = "Ada" if "Ada Lovelace" in asked.system else "Bob"
        warmly = "I would love to" if "warmer" in asked.user else "That works for me"
        return reply(f"Hi John,\n\n{warmly}.\n\n{owner}")


@dataclass
class Person:
    """A phone whose texts Twilio hands over to the outside address of the bridge."""

    phone: str
    public_url: str
    http: httpx.AsyncClient

    async def says(self, body: str) -> None:
        form = text(body, new_sid(), sender=self.phone)
        signed = signature(f"{self.public_url}{WEBHOOK}", form)
        headers = {
            "X-Twilio-Signature": signed,
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        }
        answer = await self.http.post(WEBHOOK, content=urlencode(form), headers=headers)
        assert answer.status_code == 200, answer.text


@dataclass
class Here:
    """A folder with what was copied from docs/, and the stack that reads it."""

    outside: Outside
    stack: Stack
    env: dict[str, str]

    def person(self, phone: str) -> Person:
        return Person(phone, self.env["MAILROOM_PUBLIC_URL"], self.stack.client)

    async def mailroom(self, *words: str) -> str:
        """What a command prints that is typed in this folder."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailroom.cli.main", *words),
            cwd=self.stack.data_dir,
            env=self.stack._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, (output + errors).decode()
        return output.decode()

    async def doctor(self) -> list[dict[str, str]]:
        """Its findings, none of which is a failure."""
        found: list[dict[str, str]] = json.loads(await self.mailroom("doctor", "-o", "json"))
        return found


@contextlib.asynccontextmanager
async def outside_running(binary: Path, folder: Path) -> AsyncIterator[Outside]:
    [port] = free_ports(1)
    async with (
        dovecots.running(binary, port) as dovecot,
        submission_running(folder) as submission,
        twilio_running() as twilio,
        ai_running() as ai,
    ):
        ca = folder / "authorities.pem"
        ca.write_bytes(dovecot.ca.read_bytes() + submission.ca.read_bytes())
        outside = Outside(dovecot, submission, twilio, ai, ca)
        ai.answer = outside.draft
        yield outside


@contextlib.asynccontextmanager
async def followed(folder: Path, outside: Outside, env: str, toml: str = "") -> AsyncIterator[Here]:
    """A folder with this `.env` and `mailroom.toml`; nothing runs yet."""
    write(folder, env, toml)
    stack = Stack(folder, {"SSL_CERT_FILE": str(outside.ca)})
    try:
        yield Here(outside, stack, lines(env))
    finally:
        await stack.close()


def write(folder: Path, env: str, toml: str) -> None:
    folder.mkdir()
    (folder / ".env").write_text(env)
    (folder / "mailroom.toml").write_text(toml)


def letter(to: str, subject: str, message_id: str, sender: str, **headers: str) -> bytes:
    mail = EmailMessage(policy=default.clone(linesep="\r\n"))
    mail["From"], mail["To"], mail["Subject"] = f"John Doe <{sender}>", to, subject
    mail["Message-ID"] = message_id
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(f"{subject}: what do you say?")
    return mail.as_bytes()
