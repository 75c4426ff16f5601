"""The pages of docs/ for a Gmail mailbox, a Twilio number, an AI and several people, followed
word by word against servers that speak what those speak: from the mailbox to the reply."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from submission import Left

from mailroom.models.states import MailState
from stack.documents import block, blocks, section
from stack.outside import LUNCH, PROVIDERS, Here, Outside, followed, letter, outside_running
from stack.process import until

PHONE = "+12025550123"
ADA, ADAS_PHONE = "ada@example.org", "+12025550111"
BOB, BOBS_PHONE = "bob@gmail.com", "+12025550122"
JOHN, BOSS = "john@example.com", "boss@example.com"
AI = "configuration.md", "Drafts by an AI", "sh"
TWILIO = "twilio.md", "4. The lines in `.env`", "sh"
SEVERAL = "mailbox.md", "Several people"


@pytest.fixture
async def outside(
    dovecot_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Outside]:
    async with outside_running(dovecot_binary, tmp_path_factory.mktemp("outside")) as running:
        yield running


def number_is_set_up(here: Here) -> None:
    """As the table of docs/twilio.md says, in Twilio's console."""
    row = r"A message comes in \| Webhook, `(\S+)`, HTTP (\w+) \|"
    found = re.search(row, section("twilio.md", "5. The webhook"))
    assert found
    here.outside.twilio.numbers = [
        {
            "phone_number": here.env["TWILIO_FROM_NUMBER"],
            "sms_url": found[1],
            "sms_method": found[2],
            "capabilities": {"sms": True},
        }
    ]


async def mailboxes_are_watched(here: Here, count: int) -> None:
    async with await here.stack.database() as database:

        async def look() -> bool:
            # The folder of what they sent is a row of its own.
            query = "SELECT count(*) FROM mailboxes WHERE name = 'imap' AND seen_at IS NOT NULL"
            row = await (await database.execute(query)).fetchone()
            return row == (count,)

        await until(look, f"{count} mailboxes that are looked into")


def levels(findings: list[dict[str, str]], check: str) -> list[str]:
    return [found["level"] for found in findings if found["check"] == check]


async def test_a_gmail_mailbox_and_a_twilio_number(
    outside: Outside, tmp_path: Path, marker: str
) -> None:
    env = outside.env(block("mailbox.md", "Gmail", "sh"), block(*TWILIO), block(*AI))
    async with followed(tmp_path / "one", outside, env) as here:
        me = here.env["EMAIL_ADDRESS"]
        outside.account(me, here.env["EMAIL_PASSWORD"])
        await outside.mail(me, letter(me, f"Old {marker}", f"<old-{marker}@example.com>", JOHN))
        number_is_set_up(here)
        try:
            await try_the_number(here)
            await from_the_mailbox_to_the_reply(here, me, marker)
        finally:
            await here.mailroom("daemon", "stop")
    assert not [text for text in outside.texts(PHONE) if "Old" in text]


async def try_the_number(here: Here) -> None:
    """The lines under "See that it works"."""
    typed = [line.partition("#")[0].split() for line in _lines("twilio.md", "6. See that it works")]
    assert [line[0] for line in typed] == ["mailroom"] * len(typed)
    for _, *words in typed:
        if words != ["doctor"]:
            await here.mailroom(*words)
            continue
        findings = await here.doctor()
        for check in ("mailbox", "SMTP server", "Twilio", "Twilio number", "drafts", "owner"):
            assert levels(findings, check) == ["ok"], findings
    await mailboxes_are_watched(here, 1)


def _lines(page: str, title: str) -> list[str]:
    return block(page, title, "sh").splitlines()


async def from_the_mailbox_to_the_reply(here: Here, me: str, marker: str) -> None:
    outside, person = here.outside, here.person(here.env["YOUR_PHONE_NUMBER"])
    ignored, answered = f"<ignored-{marker}@example.com>", f"<answered-{marker}@example.com>"
    await outside.mail(me, letter(me, "News", ignored, JOHN))
    await outside.texted(PHONE, "News")
    await person.says("3")
    await here.stack.reach(ignored, MailState.USER_IGNORED)
    await outside.mail(me, letter(me, "Meeting", answered, JOHN))
    await outside.texted(PHONE, "Meeting")
    await person.says("1")
    left = await outside.submission.wait_for(me)
    assert (left.sender, left.recipients) == (me, (JOHN,))
    assert left.mail["In-Reply-To"] == answered
    await here.stack.reach(answered, MailState.REPLY_SENT)
    assert len(outside.submission.left) == 1


async def test_two_people_each_with_their_own(
    outside: Outside, tmp_path: Path, marker: str
) -> None:
    # docs/twilio.md: for several people YOUR_PHONE_NUMBER stays empty.
    number = re.sub(r"^(YOUR_PHONE_NUMBER=).*$", r"\1", block(*TWILIO), flags=re.MULTILINE)
    env = outside.env(block(*SEVERAL, "sh"), number, block(*AI))
    toml = outside.here(block(*SEVERAL, "toml"))
    async with followed(tmp_path / "two", outside, env, toml) as here:
        outside.account(ADA, here.env["ADA_PASSWORD"])
        outside.account(BOB, here.env["BOB_PASSWORD"])
        number_is_set_up(here)
        findings = await here.doctor()
        assert levels(findings, "mailbox") == ["ok", "ok"], findings
        await here.stack.start()
        await mailboxes_are_watched(here, 2)
        await asyncio.gather(adas_mail(here, marker), bobs_mail(here, marker))
        await a_kill_loses_no_mail(here, marker)
        await the_rules_and_templates_are_bobs(here, marker)
        await each_sees_their_own(here, marker)
    assert outside.submission.refused == []


async def a_kill_loses_no_mail(here: Here, marker: str) -> None:
    """What came before the kill isn't taken again; what comes while nobody watches is taken once,
    although the server knew the killed worker as the one that watches."""
    here.stack.kill()
    await here.stack.ended()
    meanwhile = f"<kill-{marker}@example.com>"
    await here.outside.mail(ADA, letter(ADA, "Kill", meanwhile, BOSS))
    before = len(here.outside.texts(ADAS_PHONE))
    await here.stack.start()
    await here.stack.reach(meanwhile, MailState.AWAITING_USER)
    assert len(here.outside.texts(ADAS_PHONE)) == before + 1


def words_of(left: Left) -> list[str]:
    [text] = [part for part in left.mail.walk() if part.get_content_type() == "text/plain"]
    return str(text.get_content()).split()


async def adas_mail(here: Here, marker: str) -> None:
    """Changed once, then sent, by her server and under her login."""
    outside, ada = here.outside, here.person(ADAS_PHONE)
    message_id, thread = f"<ada-{marker}@example.com>", f"<thread-{marker}@example.com>"
    raw = letter(ADA, "Meeting", message_id, BOSS, References=thread, In_Reply_To=thread)
    # At any hour: it is from one of her VIPs.
    await outside.mail(ADA, raw)
    await outside.texted(ADAS_PHONE, "That works for me")
    await ada.says("2 warmer")
    await outside.texted(ADAS_PHONE, "I would love to")
    await ada.says("1")
    left = await outside.submission.wait_for(ADA)
    assert (left.sender, left.recipients) == (ADA, (BOSS,))
    assert left.mail["From"] == f"Ada Lovelace <{ADA}>"
    assert left.mail["Subject"] == "Re: Meeting"
    assert left.mail["In-Reply-To"] == message_id
    assert left.mail["References"].split() == [thread, message_id]
    assert words_of(left)[:6] == ["Hi", "John,", "I", "would", "love", "to."]
    await here.stack.reach(message_id, MailState.REPLY_SENT)


async def bobs_mail(here: Here, marker: str) -> None:
    """Sent as it was drafted, by his server and under his login."""
    outside, bob = here.outside, here.person(BOBS_PHONE)
    message_id = f"<bob-{marker}@example.com>"
    await outside.mail(BOB, letter(BOB, "Meeting", message_id, JOHN))
    await outside.texted(BOBS_PHONE, "That works for me")
    await bob.says("1")
    left = await outside.submission.wait_for(BOB)
    assert (left.sender, left.recipients) == (BOB, (JOHN,))
    assert left.mail["From"] == f"Bob <{BOB}>"
    assert left.mail["In-Reply-To"] == message_id
    assert words_of(left)[-1] == "Bob"
    await here.stack.reach(message_id, MailState.REPLY_SENT)


async def the_rules_and_templates_are_bobs(here: Here, marker: str) -> None:
    """What the AI leaves undone his template drafts; a shop's mail his rule ignores."""
    shop, lunch = f"<shop-{marker}@shop.example>", f"<lunch-{marker}@example.com>"
    await here.outside.mail(BOB, letter(BOB, "Sale", shop, "news@shop.example"))
    row = await here.stack.reach(shop, MailState.USER_IGNORED)
    assert "'shops'" in str(row["reason"])
    await here.outside.mail(BOB, letter(BOB, LUNCH, lunch, JOHN))
    await here.outside.texted(BOBS_PHONE, "lunch is on me")
    assert "lunch is on me" not in "".join(here.outside.texts(ADAS_PHONE))


async def each_sees_their_own(here: Here, marker: str) -> None:
    """By the token that `mailroom owner token` prints; each reply left once."""
    theirs = {
        "ada": {f"<{one}-{marker}@example.com>" for one in ("ada", "kill")},
        "bob": {f"<{one}-{marker}@{host}>" for one, host in BOBS},
    }
    for owner, message_ids in theirs.items():
        token = (await here.mailroom("owner", "token", owner)).strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=here.stack.url, headers=headers) as http:
            items = (await http.get("/workflow")).json()["items"]
        assert {item["message_id"] for item in items} == message_ids
    assert sorted(left.login for left in here.outside.submission.left) == [ADA, BOB]


BOBS = [("bob", "example.com"), ("shop", "shop.example"), ("lunch", "example.com")]


def test_every_server_of_these_pages_is_replaced_by_one_of_ours() -> None:
    """Nobody's real server is asked for anything."""
    pages = [block("mailbox.md", "Gmail", "sh"), *blocks(*SEVERAL, "toml")]
    hosts = {host for page in pages for host in re.findall(r"\b(?:imap|smtp)\.[\w.]+", page)}
    assert hosts == {f"{kind}.{name}" for kind in ("imap", "smtp") for name in PROVIDERS}
