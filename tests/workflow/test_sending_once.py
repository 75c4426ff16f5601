"""A reply leaves once, whatever the mail server does (design: "Sending once")."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from house import OWNER, House
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from temporalio.testing import ActivityEnvironment
from tls_world import Authority, authority_for
from world import eventually, mail

from activities.send_reply import SendReply
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.emails import PostgresEmails
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.smtp.exchange import dot_stuffed
from mailroom.adapters.smtp.submission import SmtpMailer, Submission, Tls, refusal
from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import (
    Draft,
    MailRef,
    Outcome,
    OwnersWord,
    SendReplyInput,
    Sent,
    Verdict,
)
from mailroom.models.names import email_reply_id
from mailroom.models.rows import SendOutcome
from mailroom.models.states import MailState, Stage
from mailroom.ports import Mailer, Permanent, SendMarkers, SendUnknown, Transient

SOON = timedelta(seconds=20)
SENDER, RECIPIENT = OWNER, "john@example.com"
LETTER = b"Subject: Hi\r\n\r\nHello\r\n"


# What an answer of the server means


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (550, "5.1.1 no such person", Permanent),
        (550, "", Permanent),
        (554, "Transaction failed", Permanent),
        (421, "", Transient),
        (451, "4.7.1 greylisted", Transient),
        (452, "too much", Transient),
        # RFC 3463 decides where the classes contradict each other.
        (554, "4.7.1 try later", Transient),
        (550, "4.2.2 mailbox full\n4.2.2 really", Transient),
        (450, "5.7.1 you are blocked", Permanent),
        # X.5.3, too many recipients, is transient whatever its class.
        (552, "5.5.3 too many recipients", Transient),
        (452, "4.5.3 too many recipients", Transient),
        (452, "5.5.3 too many recipients", Transient),
        (553, "5.5.34 not that", Permanent),
        # An enhanced code that says success beside a refusal says nothing.
        (550, "2.1.5 fine", Permanent),
        (451, "2.1.5 fine", Transient),
        # No enhanced code: a version, an address.
        (550, "4.2.2.1 is blocked", Permanent),
        (451, "5.1.1.1 is slow", Transient),
        # No refusal at all: somebody is confused, and nothing was sent.
        (250, "OK", Transient),
        (354, "go on", Transient),
        (-1, "Malformed SMTP response line: what?", Transient),
    ],
)
def test_whether_another_try_can_help(code: int, message: str, kind: type[Exception]) -> None:
    error = refusal(code, message)
    assert type(error) is kind
    assert str(code) in str(error)


# What stands between DATA and the dot


_BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"..", b"a", b"\0", b"\xff"])))
@example([b"\n", b".", b"\n", b"MAIL FROM:<evil@example.com>"])
@example([b"\r\n", b".", b"\r", b"\n"])
@example([b"\r", b".", b"\r"])
def test_no_mail_ends_itself(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    stuffed = dot_stuffed(data)
    assert _BARE_LINE_END.search(stuffed) is None
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed
    assert stuffed == b"" or stuffed.endswith(b"\r\n")
    received = [line.removeprefix(b".") for line in stuffed.split(b"\r\n")]
    assert b"\r\n".join(received) == with_crlf(data)


def with_crlf(data: bytes) -> bytes:
    """The same lines, each with its CRLF."""
    whole = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return whole if not whole or whole.endswith(b"\r\n") else whole + b"\r\n"


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", b"\r\n.\r\n"]
)
async def test_nothing_is_smuggled_behind_a_dot(house: House, marker: str, end: bytes) -> None:
    """CVE-2023-51764 and its relatives: what looks like a second mail stays in the first."""
    recipient = f"{marker}@example.com"
    second = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<john@example.com>\r\nDATA\r\nSubject: x\r\n"
    letter = b"Subject: Hi\r\n\r\nHello" + end + second
    await SmtpMailer(to_sink(house)).deliver(SENDER, [recipient], letter, nothing)
    assert house.sink.raw[recipient] == [with_crlf(letter)]


def to_sink(house: House) -> Submission:
    return Submission("127.0.0.1", house.sink.port)


async def nothing() -> None:
    """No marker to commit."""


# A server that answers as it is told

DROP = "drop"
SILENCE = "silence"


@dataclass
class Odd:
    """An SMTP server. `answers` by command (`HELLO` is its greeting, `DOT` the end of a mail),
    `early` in the middle of a mail; DROP hangs up, SILENCE never answers."""

    answers: dict[str, str] = field(default_factory=dict)
    early: str | None = None
    port: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    spoke_early: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(writer, "HELLO", "220 odd")
            while line := await reader.readline():
                verb = line.split()[0].decode().upper()
                self.commands.append(verb)
                await self.answer(writer, verb, "354 go on" if verb == "DATA" else "250 OK")
                if verb == "DATA":
                    await self.take(reader, writer)
        except ConnectionError:
            writer.transport.abort()
        finally:
            self.gone.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError
            if self.early and not lines:
                self.spoke_early.set()
                await self.say(writer, self.early)
            lines.append(line)
        self.mails.append(b"".join(lines))
        await self.answer(writer, "DOT", "250 2.0.0 taken")

    async def answer(self, writer: asyncio.StreamWriter, to: str, usual: str) -> None:
        await self.say(writer, self.answers.get(to, usual))

    async def say(self, writer: asyncio.StreamWriter, words: str) -> None:
        if words == SILENCE:
            return
        if words == DROP:
            raise ConnectionResetError
        writer.write(words.encode("latin-1") + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def running(odd: Odd) -> AsyncIterator[Odd]:
    server = await asyncio.start_server(odd.serve, "127.0.0.1", 0)
    odd.port = server.sockets[0].getsockname()[1]
    async with server:
        yield odd


@dataclass
class Try:
    """One delivery, and whether it came to its marker."""

    odd: Odd
    claims: int = 0
    dot_seconds: float = 30

    async def deliver(self) -> str:
        route = Submission("127.0.0.1", self.odd.port, dot_seconds=self.dot_seconds)
        return await SmtpMailer(route).deliver(SENDER, [RECIPIENT], LETTER, self.claim)

    async def claim(self) -> None:
        self.claims += 1
        if self.odd.early:
            await self.odd.spoke_early.wait()
            # What a socket of this process holds is read in the loop's next rounds.
            for _ in range(100):
                await asyncio.sleep(0)


async def test_an_accepted_mail_is_answered_with_the_servers_words() -> None:
    async with running(Odd()) as odd:
        attempt = Try(odd)
        assert await attempt.deliver() == "250 2.0.0 taken"
        await odd.gone.wait()
    assert (attempt.claims, odd.mails) == (1, [LETTER])
    assert odd.commands == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("verb", ["HELLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("421 4.3.2 going down", Transient),
        ("451 4.7.1 greylisted", Transient),
        ("550 5.7.1 no", Permanent),
        ("554 4.4.5 try later", Transient),
        (DROP, Transient),
    ],
)
async def test_a_refusal_says_whether_to_try_again(
    verb: str, answer: str, kind: type[Exception]
) -> None:
    async with running(Odd(answers={verb: answer})) as odd:
        attempt = Try(odd)
        expected = SendUnknown if (verb, answer) == ("DOT", DROP) else kind
        with pytest.raises(expected) as raised:
            await attempt.deliver()
        await odd.gone.wait()
    if answer != DROP:
        assert answer in str(raised.value)
    assert attempt.claims == (verb == "DOT")
    assert len(odd.mails) == (verb == "DOT")


@pytest.mark.parametrize("answer", [DROP, SILENCE, "what?", "354 go on", "100 wait"])
async def test_what_is_no_answer_to_the_dot_leaves_it_unknown(answer: str) -> None:
    """RFC 1047, and a server of which nobody knows what it means."""
    async with running(Odd(answers={"DOT": answer})) as odd:
        attempt = Try(odd, dot_seconds=0.5 if answer == SILENCE else 30)
        with pytest.raises(SendUnknown):
            await attempt.deliver()
    assert len(odd.mails) == 1


@pytest.mark.parametrize(
    ("early", "kind"),
    [
        (DROP, Transient),
        ("421 4.3.2 going down", Transient),
        ("552 5.3.4 too large", Permanent),
        # Nothing was sent, whatever it thinks that it took.
        ("250 2.0.0 taken", Transient),
        ("what?", Transient),
    ],
)
async def test_a_server_that_speaks_before_the_dot_never_gets_it(
    early: str, kind: type[Exception]
) -> None:
    async with running(Odd(early=early)) as odd:
        attempt = Try(odd)
        with pytest.raises(kind):
            await attempt.deliver()
        await odd.gone.wait()
    assert (attempt.claims, odd.mails) == (1, [])


async def test_a_marker_that_cannot_be_had_keeps_the_dot_back() -> None:
    class NoMarker(Exception):
        """As the store says it."""

    async def claim() -> None:
        raise NoMarker

    async with running(Odd()) as odd:
        mailer = SmtpMailer(Submission("127.0.0.1", odd.port))
        with pytest.raises(NoMarker):
            await mailer.deliver(SENDER, [RECIPIENT], LETTER, claim)
        await odd.gone.wait()
    assert odd.mails == []


@pytest.mark.parametrize("verb", ["RCPT", "DOT"])
async def test_answers_beyond_ascii_can_be_shown_and_stored(verb: str) -> None:
    async with running(Odd(answers={verb: "550 5.1.1 Empf\u00e4nger\0 unbekannt"})) as odd:
        with pytest.raises(Permanent) as raised:
            await Try(odd).deliver()
    sentence = str(raised.value)
    assert sentence.encode().decode() == sentence
    assert "\0" not in sentence
    async with running(Odd(answers={"DOT": "250 Gr\u00fc\u00dfe\0"})) as odd:
        answer = await Try(odd).deliver()
    assert answer.encode().decode() == answer
    assert "\0" not in answer


async def test_a_refused_connection_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        mailer = SmtpMailer(Submission("127.0.0.1", port))
        with pytest.raises(Transient, match=f"127.0.0.1:{port}"):
            await mailer.deliver(SENDER, [RECIPIENT], LETTER, nothing)


# TLS comes before the password and the mail


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_for("DNS:localhost", tmp_path_factory.mktemp("tls"))


@dataclass
class Guarded:
    """A server with TLS and a login; remembers who said what, and how."""

    port: int = 0
    logins: list[bytes] = field(default_factory=list)
    envelopes: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        if data.password == b"later":
            return AuthResult(success=False, handled=False, message="454 4.7.0 try later")
        return AuthResult(success=data.password == b"secret", handled=False)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.envelopes.append(address)
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.bodies.append(envelope.original_content or b"")
        return "250 2.0.0 taken"


@asynccontextmanager
async def guarded(
    starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None
) -> AsyncIterator[Guarded]:
    asked = Guarded()
    loop = asyncio.get_running_loop()
    protocol = partial(
        SMTP,
        asked,
        loop=loop,
        hostname="localhost",
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=asked.authenticate,
        auth_require_tls=False,
    )
    server = await loop.create_server(protocol, "localhost", 0, ssl=implicit)
    asked.port = server.sockets[0].getsockname()[1]
    async with server:
        yield asked


def login(port: int, tls: Tls | None, password: str | None = "secret") -> Submission:
    return Submission("localhost", port, username="owner", password=password, tls=tls)


async def send(route: Submission, tls: ssl.SSLContext | None = None) -> str:
    return await SmtpMailer(route, tls).deliver(SENDER, [RECIPIENT], LETTER, nothing)


def test_the_port_says_how_tls_begins() -> None:
    assert login(465, None).security is Tls.IMPLICIT
    assert login(587, None, None).security is Tls.STARTTLS
    assert login(2525, None).security is Tls.STARTTLS
    assert login(2525, None, None).security is Tls.OFFERED
    assert login(465, Tls.STARTTLS).security is Tls.STARTTLS


@pytest.mark.parametrize("password", ["secret", None])
async def test_starttls_then_login_then_mail(authority: Authority, password: str | None) -> None:
    async with guarded(starttls=authority.server) as server:
        route = login(server.port, Tls.STARTTLS, password)
        assert await send(route, authority.trusting) == "250 2.0.0 taken"
    assert server.logins == ([b"secret"] if password else [])
    assert server.bodies == [LETTER]


@pytest.mark.parametrize("password", ["secret", None])
async def test_implicit_tls_then_login_then_mail(
    authority: Authority, password: str | None
) -> None:
    async with guarded(implicit=authority.server) as server:
        route = login(server.port, Tls.IMPLICIT, password)
        assert await send(route, authority.trusting) == "250 2.0.0 taken"
    assert server.logins == ([b"secret"] if password else [])
    assert server.bodies == [LETTER]


async def test_without_a_login_tls_is_taken_where_it_is_offered(authority: Authority) -> None:
    async with guarded(starttls=authority.server) as server:
        assert await send(login(server.port, None, None), authority.trusting)
    async with guarded() as plain:
        assert await send(login(plain.port, None, None))
    assert (server.bodies, plain.bodies) == ([LETTER], [LETTER])


@pytest.mark.parametrize("password", ["secret", None])
async def test_starttls_that_is_not_offered_ends_it_before_the_login(password: str | None) -> None:
    async with guarded() as server:
        with pytest.raises(Transient, match="STARTTLS"):
            await send(login(server.port, Tls.STARTTLS, password))
    assert (server.logins, server.envelopes) == ([], [])


async def test_starttls_that_is_refused_ends_it_before_the_login() -> None:
    answers = {"EHLO": "250-odd\r\n250-AUTH PLAIN\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 no"}
    async with running(Odd(answers=answers)) as odd:
        with pytest.raises(Transient, match="454"):
            await send(Submission("127.0.0.1", odd.port, "owner", "secret"))
        await odd.gone.wait()
    assert odd.commands == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT, Tls.OFFERED])
async def test_a_bad_certificate_ends_it_before_the_login(
    authority: Authority, tmp_path: Path, tls: Tls
) -> None:
    """One of nobody we trust, and one for somebody else."""
    elsewhere = authority_for("DNS:elsewhere.test", tmp_path)
    for server_side, trusted in ((authority, None), (elsewhere, elsewhere.trusting)):
        how = "implicit" if tls is Tls.IMPLICIT else "starttls"
        async with guarded(**{how: server_side.server}) as server:
            with pytest.raises(Transient, match=r"(?i)certificate"):
                await send(login(server.port, tls), trusted)
        assert (server.logins, server.envelopes) == ([], [])


async def test_implicit_tls_with_a_server_that_has_none_fails() -> None:
    async with guarded() as server:
        with pytest.raises(Transient):
            await send(login(server.port, Tls.IMPLICIT))
    assert (server.logins, server.envelopes) == ([], [])


@pytest.mark.parametrize(("password", "kind"), [("wrong", Permanent), ("later", Transient)])
async def test_a_refused_login_says_whether_to_try_again(
    authority: Authority, password: str, kind: type[Exception]
) -> None:
    async with guarded(implicit=authority.server) as server:
        with pytest.raises(kind, match="login"):
            await send(login(server.port, Tls.IMPLICIT, password), authority.trusting)
    assert server.logins
    assert server.envelopes == []


# One try of the activity and its marker


def sending(
    house: House, mailer: Mailer | None = None, markers: SendMarkers | None = None
) -> SendReply:
    write = house.adapters.engines.write
    return SendReply(
        house.adapters.blobs,
        PostgresEmails(write),
        markers or PostgresMarkers(write),
        mailer or SmtpMailer(to_sink(house)),
        house.adapters.owners,
    )


async def approved(house: House, marker: str) -> SendReplyInput:
    """A reply that is to be sent to `marker`@example.com."""
    raw = mail(sender=f"{marker}@example.com", message_id=f"<{marker}@example.com>")
    [owner] = house.adapters.owners
    reference = MailRef(
        owner=owner,
        message_id=f"<{marker}@example.com>",
        workflow_id=email_reply_id(owner, marker),
        blob=await house.adapters.blobs.put(raw),
        reply_from=OWNER,
        sender=f"{marker}@example.com",
        subject="Meeting tomorrow",
        received_at=datetime.now(UTC),
    )
    text = b"See you then."
    blob = await house.adapters.blobs.put(text)
    draft = Draft(revision=1, code="K7M4", blob=blob, length=len(text), excerpt="")
    return SendReplyInput(mail=reference, step=5, draft=draft, sends=1)


def key_of(request: SendReplyInput) -> str:
    return f"{request.mail.workflow_id}/{request.sends}"


async def attempt(number: int, step: SendReply, request: SendReplyInput) -> Sent:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number)
    sent: Sent = await environment.run(step.send_reply, request)
    return sent


async def test_two_tries_at_once_send_one_mail(house: House, marker: str) -> None:
    """Both have written the body when they ask for the marker."""
    request = await approved(house, marker)
    both = asyncio.Barrier(2)

    class Together(SmtpMailer):
        async def deliver(
            self, sender: str, recipients: list[str], data: bytes, before_dot: Any
        ) -> str:
            async def meet() -> None:
                await both.wait()
                await before_dot()

            return await super().deliver(sender, recipients, data, meet)

    step = sending(house, Together(to_sink(house)))
    outcomes = await asyncio.gather(
        attempt(1, step, request), attempt(2, step, request), return_exceptions=True
    )
    # The other one is either told what came of it or knows only that it was begun.
    assert any(isinstance(one, Sent) for one in outcomes)
    assert all(isinstance(one, Sent | SendUnknown) for one in outcomes)
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


@pytest.mark.parametrize("number", [1, 2])
async def test_a_marker_that_nobody_settled_sends_nothing(
    house: House, marker: str, number: int
) -> None:
    """An earlier try died between its marker and the server's answer."""
    request = await approved(house, marker)
    await PostgresMarkers(house.adapters.engines.write).claim(key_of(request), "blob")
    with pytest.raises(SendUnknown):
        await attempt(number, sending(house), request)
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_a_try_after_the_reply_was_sent_sends_nothing(house: House, marker: str) -> None:
    """The worker died before it could say that it had sent the reply."""
    request = await approved(house, marker)
    first = await attempt(1, sending(house), request)
    for number in (1, 2):
        assert await attempt(number, sending(house), request) == first
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


@pytest.mark.parametrize("outcome", [SendOutcome.REFUSED, SendOutcome.NOT_SENT])
@pytest.mark.parametrize("number", [1, 2])
async def test_a_try_after_one_that_sent_nothing_sends(
    house: House, marker: str, outcome: SendOutcome, number: int
) -> None:
    request = await approved(house, marker)
    markers = PostgresMarkers(house.adapters.engines.write)
    await markers.claim(key_of(request), "blob")
    await markers.settle(key_of(request), outcome, "451 later")
    await attempt(number, sending(house), request)
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1
    settled = await markers.find(key_of(request))
    assert settled is not None
    assert settled.outcome is SendOutcome.SENT


@pytest.mark.parametrize("number", [1, 2])
async def test_without_the_table_of_markers_nothing_is_sent(
    house: House, marker: str, number: int
) -> None:
    request = await approved(house, marker)
    nowhere = engine.connect("postgresql://127.0.0.1:1/nowhere", 1)
    with pytest.raises(OperationalError):
        await attempt(number, sending(house, markers=PostgresMarkers(nowhere.write)), request)
    assert house.sink.mails[f"{marker}@example.com"] == []
    await attempt(2, sending(house), request)
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


async def test_a_store_that_goes_away_after_the_answer_leaves_it_unknown(
    house: House, marker: str
) -> None:
    request = await approved(house, marker)

    class Unsettled(PostgresMarkers):
        async def settle(self, key: str, outcome: SendOutcome, response: str) -> None:
            raise OperationalError("UPDATE", {}, Exception("gone"))

    markers = Unsettled(house.adapters.engines.write)
    with pytest.raises(OperationalError):
        await attempt(1, sending(house, markers=markers), request)
    with pytest.raises(SendUnknown):
        await attempt(2, sending(house), request)
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


# The whole story


async def say(house: House, accepted: Accepted, text: str, **more: object) -> Outcome:
    word = OwnersWord.model_validate({"text": text, **more})
    return await house.context.flows.decide(accepted.workflow_id, word, SOON)


async def sent_off(house: House, marker: str, kind: str) -> tuple[Accepted, str]:
    """A mail whose reply was approved, and where it goes; `kind` is what the server does."""
    sender = f"{kind}+{marker}@example.com"
    accepted = await house.receive(mail(sender=sender, subject=f"Hi {marker}", name=marker))
    await house.gateway.wait_for(marker)
    assert (await say(house, accepted, "1")).verdict is Verdict.ACCEPTED
    return accepted, sender


@pytest.mark.parametrize("kind", ["rcpt-defer", "drop-before-dot", "drop-at-data", "defer-twice"])
async def test_what_failed_before_an_answer_is_tried_again(
    house: House, marker: str, kind: str
) -> None:
    accepted, sender = await sent_off(house, marker, kind)
    await house.skip(seconds=60)
    await house.sink.wait_for(sender)
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert (house.sink.tries[sender], len(house.sink.mails[sender])) == (3, 1)


async def test_a_refused_reply_is_not_tried_again(house: House, marker: str) -> None:
    accepted, sender = await sent_off(house, marker, "refuse")
    await house.gateway.wait_for(marker, 2)
    row = await house.row(accepted)
    assert (row.current_state, row.failed_stage) == (MailState.FAILED, Stage.REPLY)
    assert "550 5.1.1 no such person" in (row.error_message or "")
    await house.skip(minutes=10)
    assert house.sink.tries[sender] == 1
    await say(house, accepted, "3")


async def unknown(house: House, marker: str) -> tuple[Accepted, str, str]:
    """A mail whose reply may have been sent, where it went, and the code of the question."""
    first = asyncio.create_task(house.gateway.wait_for(marker))
    accepted, sender = await sent_off(house, marker, "drop-after-dot")
    await first
    question = (await house.gateway.wait_for(marker, 2))[1]
    found = re.search(r"may have been sent: 1=Send again 3=Leave (\w{4})$", question)
    assert found, question

    async def failed() -> bool:
        row = await house.row(accepted)
        return row.current_state is MailState.FAILED and row.code == found[1]

    await eventually(failed)
    return accepted, sender, found[1]


async def test_no_answer_to_the_dot_asks_the_owner(house: House, marker: str) -> None:
    accepted, sender, code = await unknown(house, marker)
    row = await house.row(accepted)
    assert (row.reason, row.failed_stage) == ("send_unknown", Stage.REPLY)
    assert (row.code, row.revision) == (code, 2)
    assert "before it confirmed" in (row.error_message or "")
    await house.context.flows.retry(accepted.workflow_id)
    await house.skip(days=1)
    assert (house.sink.tries[sender], len(house.sink.mails[sender])) == (1, 1)
    assert len(house.gateway.about(marker)) == 2
    await house.skip(days=7)
    assert await house.ended(accepted) is MailState.FAILED
    assert len(house.sink.mails[sender]) == 1
    # Nobody can answer it any more, so it is none of those that a bare answer may mean.
    waiting = await house.context.views.waiting(row.owner, 1_000)
    assert row.message_id not in [draft.message_id for draft in waiting]


async def test_an_old_word_does_not_send_again(house: House, marker: str) -> None:
    accepted, sender, code = await unknown(house, marker)
    [first] = re.findall(r"3=Ignore (\w{4})", house.gateway.about(marker)[0])
    assert first != code
    for text, revision in ((f"1 {first}", None), ("1", 1), (f"1 {first}", 2), (f"1 {code}", 1)):
        outcome = await say(house, accepted, text, revision=revision)
        assert outcome.verdict is Verdict.REFUSED, (text, revision)
        assert "older draft" in outcome.text
    edit = await say(house, accepted, f"2 {code} shorter")
    assert (edit.verdict, edit.text) == (
        Verdict.REFUSED,
        "The reply may have been sent: 1 sends it again, 3 leaves it.",
    )
    assert len(house.sink.mails[sender]) == 1
    await say(house, accepted, "3")


async def test_the_owners_1_sends_the_same_bytes_again(house: House, marker: str) -> None:
    accepted, sender, code = await unknown(house, marker)
    outcome = await say(house, accepted, f"1 {code}")
    assert (outcome.verdict, outcome.text) == (Verdict.ACCEPTED, "The reply is sent again.")
    await house.sink.wait_for(sender, 2)
    assert await house.ended(accepted) is MailState.REPLY_SENT
    first, second = house.sink.raw[sender]
    assert first == second
    assert len(house.sink.mails[sender]) == 2
    row = await house.row(accepted)
    assert row.reply_message_id == house.sink.mails[sender][0]["Message-ID"]
    assert (row.reason, row.error_message) == (None, None)


async def test_the_owners_3_leaves_it(house: House, marker: str) -> None:
    accepted, sender, code = await unknown(house, marker)
    assert (await say(house, accepted, f"3 {code}")).verdict is Verdict.ACCEPTED
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert len(house.sink.mails[sender]) == 1
