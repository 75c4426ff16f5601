"""One person's mail is removed: rows, bodies, executions; everybody else's stays."""

import pytest
from house import TOKEN, House, bridge_on
from sqlalchemy import text
from temporalio.service import RPCError, RPCStatusCode
from world import eventually, mail

from mailroom.models.arrival import Accepted
from mailroom.models.states import MailState
from mailroom.ports import Permanent

TABLES = ("processed_emails", "workflow_state", "drafts", "sms_messages", "events")
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


async def waiting(house: House, sender: str, marker: str, body: str = "Hi") -> Accepted:
    accepted = await house.receive(mail(sender=sender, subject=marker, text=body))
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def is_listed(house: House, accepted: Accepted) -> None:
    """Mails are listed as pending a moment after they were accepted."""

    async def listed() -> bool:
        row = await house.row(accepted)
        lines = await house.context.views.timeline(row.owner, row.message_id)
        return "pending" in [line.type for line in lines]

    await eventually(listed)


async def rows_of(house: House, accepted: Accepted) -> dict[str, int]:
    counts = {}
    async with house.adapters.engines.read.connect() as connection:
        for table in TABLES:
            query = text(f"SELECT count(*) FROM {table} WHERE message_id = :id")
            counts[table] = await connection.scalar(query, {"id": accepted.message_id})
    return counts


async def is_gone(house: House, accepted: Accepted) -> bool:
    try:
        await house.client.get_workflow_handle(accepted.workflow_id).describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return False


async def test_one_person_is_forgotten_and_nobody_else(dev_house: House, marker: str) -> None:
    person, other = f"{marker}@example.com", f"x{marker}@example.com"
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        theirs = await waiting(dev_house, person, f"one {marker}")
        ignored = await dev_house.receive(
            mail(sender=person.upper(), subject=f"two {marker}", Precedence="bulk")
        )
        await dev_house.reached(ignored, MailState.USER_IGNORED)
        kept = await waiting(dev_house, other, f"three {marker}")
        row = await dev_house.row(theirs)
        for accepted in (theirs, ignored, kept):
            await is_listed(dev_house, accepted)
        answer = await http.post("/emails/forget", json={"address": person}, headers=AUTHORIZED)
        assert answer.status_code == 200, answer.text
        counts = answer.json()
        assert (counts["mails"], counts["drafts"], counts["executions"]) == (2, 1, 2)
        assert counts["texts"] >= 1
        assert counts["events"] >= 4
        for gone in (theirs, ignored):
            assert set((await rows_of(dev_house, gone)).values()) == {0}

        async def gone_from_temporal() -> bool:
            return await is_gone(dev_house, theirs) and await is_gone(dev_house, ignored)

        # Temporal deletes them in its own time, half a minute on the dev server.
        await eventually(gone_from_temporal, 90)
        with pytest.raises(Permanent):
            await dev_house.adapters.blobs.get(row.blob)
        assert all((await rows_of(dev_house, kept)).values())
        assert not await is_gone(dev_house, kept)
        still = await dev_house.row(kept)
        assert await dev_house.adapters.blobs.get(still.blob)
        again = await http.post("/emails/forget", json={"address": person}, headers=AUTHORIZED)
        assert set(again.json().values()) == {0}


async def test_a_body_that_another_mail_has_too_stays(dev_house: House, marker: str) -> None:
    person = f"{marker}@example.com"
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        theirs = await waiting(dev_house, person, marker)
        blob = (await dev_house.row(theirs)).blob
        async with dev_house.adapters.engines.write.connect() as connection:
            await connection.execute(
                text("INSERT INTO send_markers (key, blob) VALUES (:key, :blob)"),
                {"key": f"another/{marker}", "blob": blob},
            )
        await http.post("/emails/forget", json={"address": person}, headers=AUTHORIZED)
        assert await dev_house.adapters.blobs.get(blob)


@pytest.mark.parametrize("address", ["", "nobody", "%", "a@b c", "<a@b.example>", 7, None])
async def test_what_is_no_address_forgets_nobody(dev_house: House, address: object) -> None:
    async with bridge_on(dev_house.context) as http:
        answer = await http.post("/emails/forget", json={"address": address}, headers=AUTHORIZED)
    assert answer.status_code == 422


async def test_a_token_is_needed(dev_house: House) -> None:
    async with bridge_on(dev_house.context) as http:
        assert (await http.post("/emails/forget", json={"address": "a@b.c"})).status_code == 401
