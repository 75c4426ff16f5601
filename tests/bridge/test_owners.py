"""Two owners of one Mailroom: each sees, decides and is texted about their own mail only."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib
import httpx
import pytest
from house import TOKEN, House, address_of, bridge_on, house_on, settings_for
from sqlalchemy import URL
from sqlalchemy import text as sql
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Handset, Sink, eventually, gateway_running, mail, sink_running

from mailroom.adapters.settings import BadConfiguration, load_config_file, owners_of
from mailroom.bridge.intake import NobodysMail
from mailroom.local import inbound
from mailroom.models.arrival import Arrival
from mailroom.models.states import MailState

ADA, BOB = "+12025550111", "+12025550122"
TWO = f"""
[[owners]]
id = "ada"
name = "Ada"
addresses = ["ada@mailroom.test"]
phone = "{ADA}"

[[owners.templates]]
name = "lunch"
body = ["lunch"]
text = "Hi {{first_name}}, lunch is on me. {{owner_name}}"

[[owners]]
id = "bob"
name = "Bob"
addresses = ["bob@mailroom.test", "robert@mailroom.test"]
phone = "{BOB}"
delegate = "ada"
delegate_after = "PT6H"
smtp = {{ host = "127.0.0.1", port = PORT, user = "bob" }}
"""


@dataclass
class Two:
    house: House
    operator: httpx.AsyncClient
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    bobs_server: Sink

    async def receive(self, raw: bytes, *recipients: str) -> str:
        arrival = Arrival(raw, "john@example.com", recipients)
        return (await self.house.context.intake.accept(arrival)).message_id

    async def drafted(self, marker: str, *recipients: str, text: str = "Hello there") -> str:
        raw = mail(
            sender=f"{marker}@example.com",
            subject=f"Hi {marker}",
            text=text,
            message_id=f"<{marker}@example.com>",
        ).replace(b"owner@mailroom.test", ", ".join(recipients).encode())
        message_id = await self.receive(raw, *recipients)
        await self.house.gateway.wait_for(marker, len(recipients))
        return message_id

    def phone(self, number: str) -> Handset:
        return Handset(self.operator, self.house.context.secrets.webhook)


@pytest.fixture(scope="module")
async def two(
    own_env: WorkflowEnvironment, database: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Two]:
    folder = tmp_path_factory.mktemp("two")
    async with (
        gateway_running() as gateway,
        sink_running() as usual,
        sink_running() as bobs,
        two_on(own_env, database, folder, gateway, usual, bobs) as both,
    ):
        yield both


@asynccontextmanager
async def two_on(
    env: WorkflowEnvironment, database: URL, folder: Path, gateway: Gateway, usual: Sink, bobs: Sink
) -> AsyncIterator[Two]:
    (folder / "mailroom.toml").write_text(TWO.replace("PORT", str(bobs.port)))
    settings = settings_for(
        folder,
        gateway,
        usual,
        temporal_address=address_of(env),
        email_address=None,
        your_phone_number=None,
    )
    async with (
        house_on(env, settings, database, gateway, usual) as house,
        bridge_on(house.context) as operator,
    ):
        operator.headers["Authorization"] = f"Bearer {TOKEN}"
        tokens = {one["id"]: one["token"] for one in (await operator.get("/owners")).json()}
        async with as_owner(operator, tokens["ada"]) as ada, as_owner(operator, tokens["bob"]) as b:
            yield Two(house, operator, ada, b, bobs)


@asynccontextmanager
async def as_owner(bridge: httpx.AsyncClient, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=bridge.base_url, headers=headers, timeout=60) as http:
        yield http


async def ids(http: httpx.AsyncClient, path: str = "/workflow") -> list[str]:
    return [item["message_id"] for item in (await http.get(path)).json()["items"]]


async def test_each_sees_their_own_mail(two: Two, marker: str) -> None:
    message_id = await two.drafted(marker, "ada@mailroom.test")
    assert message_id in await ids(two.ada)
    assert message_id in await ids(two.operator)
    assert message_id not in await ids(two.bob)
    assert (await two.bob.get(f"/workflow/{message_id}")).status_code == 404
    decided = await two.bob.post(f"/workflow/{message_id}/decide", json={"text": "1"})
    assert decided.status_code == 404
    assert (await two.ada.get(f"/workflow/{message_id}")).status_code == 200


async def test_each_is_texted_at_their_own_phone(two: Two, marker: str) -> None:
    await two.drafted(marker, "robert@mailroom.test")
    [text] = [text for text in two.house.gateway.texts if marker in text.body]
    assert text.to == BOB


async def test_a_word_from_one_phone_decides_nothing_of_the_other(two: Two, marker: str) -> None:
    message_id = await two.drafted(marker, "ada@mailroom.test")
    code = (await two.ada.get(f"/workflow/{message_id}")).json()["code"]
    phone = two.phone(BOB)
    raw = phone.text(f"1 {code}", f"in-{marker}", sender=BOB)
    answer = (await phone.post(raw)).json()
    assert answer["outcome"] == "unknown_code"
    raw = phone.text(f"1 {code}", f"in-{marker}-2", sender=ADA)
    assert (await phone.post(raw)).json()["outcome"] == "accepted"
    reply = await two.house.sink.wait_for(f"{marker}@example.com")
    assert reply["From"] == "Ada <ada@mailroom.test>"


async def test_a_mail_to_both_is_answered_by_each(two: Two, marker: str) -> None:
    message_id = await two.drafted(marker, "ada@mailroom.test", "bob@mailroom.test")
    both = await two.operator.get(f"/workflow/{message_id}")
    assert both.status_code == 409
    for owner in (two.ada, two.bob):
        decided = await owner.post(f"/workflow/{message_id}/decide", json={"text": "1"})
        assert decided.status_code == 200
    from_ada = await two.house.sink.wait_for(f"{marker}@example.com")
    from_bob = await two.bobs_server.wait_for(f"{marker}@example.com")
    assert from_ada["Message-ID"] != from_bob["Message-ID"]
    assert from_bob["From"] == "Bob <bob@mailroom.test>"


async def test_each_has_templates_of_their_own(two: Two, marker: str) -> None:
    text = "Shall we have lunch?"
    message_id = await two.drafted(marker, "ada@mailroom.test", "bob@mailroom.test", text=text)
    adas = (await two.ada.get(f"/workflow/{message_id}")).json()["ai_reply_text"]
    bobs = (await two.bob.get(f"/workflow/{message_id}")).json()["ai_reply_text"]
    assert "lunch is on me. Ada" in adas
    assert "on me" not in bobs


async def test_figures_are_those_of_ones_own_mail(two: Two, marker: str) -> None:
    async def mails(owner: httpx.AsyncClient) -> int:
        return sum((await owner.get("/workflow/status")).json()["states"].values())

    adas, bobs = await mails(two.ada), await mails(two.bob)
    await two.drafted(marker, "ada@mailroom.test")
    assert (await mails(two.ada), await mails(two.bob)) == (adas + 1, bobs)


async def test_mail_to_nobody_is_refused(two: Two, marker: str) -> None:
    with pytest.raises(NobodysMail):
        await two.receive(mail(subject=marker), "nobody@mailroom.test")
    answer = await two.operator.post(
        "/emails?recipient=nobody@mailroom.test", content=mail(subject=marker)
    )
    assert answer.status_code == 422


async def test_smtp_refuses_a_recipient_who_is_not_here(two: Two) -> None:
    server = await inbound.listen(two.house.context.reception, "127.0.0.1", 0, 1_000_000)
    async with server, aiosmtplib.SMTP(hostname="127.0.0.1", port=inbound.port_of(server)) as smtp:
        await smtp.mail("john@example.com")
        await smtp.rcpt("ADA+news@mailroom.test")
        with pytest.raises(aiosmtplib.SMTPResponseException, match="No such mailbox") as error:
            await smtp.rcpt("nobody@mailroom.test")
        assert error.value.code == 550


async def test_tokens_are_the_operators_to_see(two: Two) -> None:
    assert (await two.ada.get("/owners")).status_code == 403
    assert [one["id"] for one in (await two.operator.get("/owners")).json()] == ["ada", "bob"]


async def test_a_session_shows_its_owners_mail(two: Two, marker: str) -> None:
    message_id = await two.drafted(marker, "ada@mailroom.test")
    token = two.bob.headers["Authorization"].removeprefix("Bearer ")
    async with httpx.AsyncClient(base_url=two.bob.base_url, follow_redirects=True) as browser:
        page = await browser.post("/login", data={"token": token})
        assert page.status_code == 200
        assert marker not in page.text
        assert (await browser.get(f"/workflow/{message_id}")).status_code == 404
        adas = two.ada.headers["Authorization"].removeprefix("Bearer ")
        assert marker in (await browser.post("/login", data={"token": adas})).text


async def test_the_mail_of_one_owner_answered_by_the_other_still_waits(
    two: Two, marker: str
) -> None:
    message_id = await two.drafted(marker, "ada@mailroom.test", "bob@mailroom.test")
    await two.receive(
        mail(sender="bob@mailroom.test", In_Reply_To=message_id, References=message_id),
        "bob@mailroom.test",
    )
    bobs = two.house.client.get_workflow_handle(
        (await two.bob.get(f"/workflow/{message_id}")).json()["workflow_id"]
    )
    assert (await bobs.result())["state"] == MailState.USER_IGNORED
    adas = (await two.ada.get(f"/workflow/{message_id}")).json()
    assert adas["current_state"] != MailState.USER_IGNORED


# In somebody's place


async def handed_over(two: Two, marker: str) -> tuple[str, str]:
    """Message-ID and code of a mail of Bob's that Ada was asked about."""
    message_id = await two.drafted(marker, "bob@mailroom.test")
    code = (await two.bob.get(f"/workflow/{message_id}")).json()["code"]
    await two.house.skip(hours=7)
    await two.house.gateway.wait_for(marker, 3)
    return message_id, code


async def test_a_delegate_is_asked_when_the_owner_does_not_answer(two: Two, marker: str) -> None:
    message_id, code = await handed_over(two, marker)
    first, asked, told = [text for text in two.house.gateway.texts if marker in text.body]
    assert [first.to, asked.to, told.to] == [BOB, ADA, BOB]
    assert "In place of Bob" in asked.body
    assert f"1=Send 2=Edit 3=Ignore {code}" in asked.body
    assert "no answer from you yet, so ada is asked too" in told.body
    assert message_id not in await ids(two.ada), "it is still Bob's mail"
    answer = await two.phone(ADA).say(f"1 {code}", sender=ADA)
    assert answer["outcome"] == "accepted"
    reply = await two.bobs_server.wait_for(f"{marker}@example.com")
    assert reply["From"] == "Bob <bob@mailroom.test>"

    async def said_by_whom() -> bool:
        row = (await two.bob.get(f"/workflow/{message_id}")).json()
        return "sms, ada" in json.dumps(row["timeline"])

    # The reply is at the server before the row says so.
    await eventually(said_by_whom)


async def test_a_delegate_who_asks_for_a_change_is_shown_it(two: Two, marker: str) -> None:
    _, code = await handed_over(two, marker)
    assert (await two.phone(ADA).say(f"2 decline {code}", sender=ADA))["outcome"] == "accepted"
    await two.house.gateway.wait_for(marker, 5)
    *_, to_owner, to_delegate = [t for t in two.house.gateway.texts if marker in t.body]
    assert [to_owner.to, to_delegate.to] == [BOB, ADA]


async def test_the_owner_still_decides(two: Two, marker: str) -> None:
    _, code = await handed_over(two, marker)
    assert (await two.phone(BOB).say(f"3 {code}", sender=BOB))["outcome"] == "accepted"
    late = await two.phone(ADA).say(f"1 {code}", sender=ADA)
    assert late["outcome"] == "refused"
    assert two.bobs_server.mails[f"{marker}@example.com"] == []


async def test_nobody_stands_in_before_the_time(two: Two, marker: str) -> None:
    message_id = await two.drafted(marker, "bob@mailroom.test")
    code = (await two.bob.get(f"/workflow/{message_id}")).json()["code"]
    answer = await two.phone(ADA).say(f"1 {code}", sender=ADA)
    assert answer["outcome"] == "unknown_code"
    assert (await two.phone(BOB).say(f"1 {code}", sender=BOB))["outcome"] == "accepted"


async def test_a_code_of_two_drafts_names_neither(two: Two, marker: str) -> None:
    """One's own draft and one of somebody one stands in for."""
    _, code = await handed_over(two, marker)
    own = await two.drafted(f"{marker}own", "ada@mailroom.test")
    async with two.house.adapters.engines.write.connect() as connection:
        await connection.execute(
            sql("UPDATE drafts SET code = :code WHERE message_id = :id"), {"code": code, "id": own}
        )
    answer = await two.phone(ADA).say(f"1 {code}", sender=ADA)
    assert answer["outcome"] == "unknown_code"
    assert two.bobs_server.mails[f"{marker}@example.com"] == []


# The file


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[[owners]]\nid = "a"\naddresses = ["a@b.c"]\n[[owners]]\nid = "a"\naddresses = ["d@b.c"]',
         "Two owners have the id a"),
        ('[[owners]]\nid = "a"\naddresses = ["a@b.c"]\n[[owners]]\nid = "b"\naddresses = ["A@b.c"]',
         "Two owners have the address a@b.c"),
        ('[[owners]]\nid = "a"', "has no addresses"),
        ('[owner]\nname = "A"\n[[owners]]\nid = "a"\naddresses = ["a@b.c"]', "not both"),
        ('[[owners]]\nid = "A b"\naddresses = ["a@b.c"]', "id"),
        ('[owner]\ndelegate = "bob"', "bob, the delegate of owner, is no other owner"),
        ('[[owners]]\nid = "a"\naddresses = ["a@b.c"]\ndelegate = "a"', "is no other owner"),
        ('[[owners]]\nid = "a"\naddresses = ["a@b.c"]\ndelegate = "b"\n'
         '[[owners]]\nid = "b"\naddresses = ["d@b.c"]', "b, the delegate of a, has no phone"),
        ('[owner]\ndelegate_after = "PT0S"', "delegate_after"),
        ('[owner]\nzone = "Mars/Olympus"', "no time zone"),
        ('[owner]\nhours = { begin = 08:00:00, end = 08:00:00 }', "leave them out"),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(content)
    with pytest.raises(BadConfiguration, match=said):
        load_config_file(file)


def test_a_single_owner_needs_no_file(tmp_path: Path, house: House) -> None:
    owners = owners_of(house.settings, load_config_file(tmp_path / "none.toml"))
    assert list(owners) == ["owner"]


def test_a_phone_in_the_file_comes_before_that_of_the_environment(
    tmp_path: Path, house: House
) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(f'[owner]\nphone = "{ADA}"\n')
    [owner] = owners_of(house.settings, load_config_file(file)).values()
    assert owner.phone == ADA
