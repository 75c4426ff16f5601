"""One connection to a real IMAP server: Dovecot."""

import asyncio
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mailbox_world import Post, free_port
from pydantic import SecretStr
from world import mail

from mailroom.adapters.imap import ImapSession, ImapSource
from mailroom.adapters.imap_mails import Described
from mailroom.local import dovecot as dovecots
from mailroom.models.mailbox import Found
from mailroom.ports import LoginRefused, Transient

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MOST = 25 * 1024 * 1024


async def found(
    session: ImapSession, after: int = 0, since: datetime = LONG_AGO, most: int = MOST
) -> list[Found]:
    return [one async for one in session.mails(after, since, most)]


async def test_new_mail_is_fetched_as_it_is(post: Post) -> None:
    raw = mail(subject="Größe") + b"\xff and what else there is\r\n"
    await post.append(raw)
    async with ImapSource(post.mailbox, post.trusting).open() as session:
        [one] = await found(session)
    assert one.raw == raw
    assert datetime.now(UTC) - one.arrived < timedelta(minutes=1)
    assert await post.seen() == [False]


async def test_only_what_is_behind_the_cursor_is_found(post: Post) -> None:
    await post.append(*(mail(subject=f"No. {n}") for n in range(3)))
    async with ImapSource(post.mailbox, post.trusting).open() as session:
        assert [one.uid for one in await found(session)] == [1, 2, 3]
        assert [one.uid for one in await found(session, after=1)] == [2, 3]
        # `4:*` would be the last mail, for there is none with that UID.
        assert await found(session, after=3) == []


async def test_mail_that_arrived_before_has_no_bytes(post: Post) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(days=3), timedelta(hours=2), timedelta(0)):
        await post.append(mail(), at=now - age)
    async with ImapSource(post.mailbox, post.trusting).open() as session:
        mails = await found(session, since=now - timedelta(hours=1))
    assert [one.raw is not None for one in mails if one.uid > 1] == [False, True]


async def test_of_a_mail_that_is_too_large_only_the_header_is_read(post: Post) -> None:
    await post.append(mail(subject="Large", text="x" * 2_000), mail())
    async with ImapSource(post.mailbox, post.trusting).open() as session:
        large, small = await found(session, most=1_000)
        # Also where the server says another size than it has.
        told = Described(uid=large.uid, arrived=large.arrived, size=10)
        assert await session.run(session._connection.body, told, 1_000) is None
    assert large.too_large
    assert large.size > 2_000
    assert large.raw is not None
    assert b"Subject: Large" in large.raw
    assert b"xxx" not in large.raw
    assert not small.too_large


async def test_idle_ends_with_the_first_news(post: Post) -> None:
    async with ImapSource(post.mailbox, post.trusting, wait_seconds=60).open() as session:
        assert session.has_idle
        waiting = asyncio.ensure_future(session.wait())
        await post.append(mail())
        await asyncio.wait_for(waiting, 10)
        assert len(await found(session)) == 1


async def test_news_beside_another_answer_is_not_waited_for(post: Post) -> None:
    """IDLE tells only of what the client was not told before."""
    async with ImapSource(post.mailbox, post.trusting, wait_seconds=60).open() as session:
        assert await found(session) == []
        await post.append(mail())
        await session.run(session._connection.box.client.noop)
        await asyncio.wait_for(session.wait(), 10)


async def test_a_server_without_idle_is_asked(post: Post, dovecot_binary: Path) -> None:
    port = free_port()
    async with dovecots.running(dovecot_binary, port, dovecots.WITHOUT_IDLE) as server:
        server.set_password(post.user, post.password)
        poor = Post(server, post.user, post.password)
        async with ImapSource(poor.mailbox, poor.trusting, wait_seconds=0.2).open() as session:
            assert not session.has_idle
            assert await found(session) == []
            await poor.append(mail())
            await session.wait()
            assert len(await found(session)) == 1


async def test_a_session_that_waits_ends_at_once_when_it_is_cancelled(post: Post) -> None:
    inside = asyncio.Event()

    async def watch() -> None:
        async with ImapSource(post.mailbox, post.trusting, wait_seconds=60).open() as session:
            inside.set()
            await session.wait()

    watching = asyncio.ensure_future(watch())
    await inside.wait()
    [thread] = [one for one in threading.enumerate() if one.name.startswith("imap")]
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


@pytest.mark.parametrize("password", ["wrong", "falsch-äöü"])
async def test_a_refused_login_is_told_apart_and_tells_no_password(
    post: Post, password: str
) -> None:
    mailbox = post.mailbox.model_copy(update={"password": SecretStr(password)})
    with pytest.raises(LoginRefused, match="refused the login") as refused:
        async with ImapSource(mailbox, post.trusting).open():
            pass
    assert password not in str(refused.value)


async def test_a_password_may_be_more_than_ascii(post: Post) -> None:
    post.dovecot.set_password(post.user, "größer")
    mailbox = post.mailbox.model_copy(update={"password": SecretStr("größer")})
    async with ImapSource(mailbox, post.trusting).open() as session:
        assert session.uidvalidity > 0


async def test_a_certificate_of_nobody_we_trust_is_refused(post: Post) -> None:
    with pytest.raises(Transient, match="certificate"):
        async with ImapSource(post.mailbox).open():
            pass


async def test_a_certificate_for_somebody_else_is_refused(post: Post) -> None:
    mailbox = post.mailbox.model_copy(update={"host": "127.0.0.1"})
    with pytest.raises(Transient, match="certificate"):
        async with ImapSource(mailbox, post.trusting).open():
            pass


async def test_a_server_that_is_not_there_is_a_transient_failure(post: Post) -> None:
    mailbox = post.mailbox.model_copy(update={"port": free_port()})
    with pytest.raises(Transient, match="failed") as gone:
        async with ImapSource(mailbox, post.trusting).open():
            pass
    assert not isinstance(gone.value, LoginRefused)


async def test_a_server_without_tls_gets_no_password(post: Post) -> None:
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        heard.append(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    mailbox = post.mailbox.model_copy(update={"port": server.sockets[0].getsockname()[1]})
    async with server:
        with pytest.raises(Transient):
            async with ImapSource(mailbox, ssl.create_default_context()).open():
                pass
    assert b"word" not in b"".join(heard)
