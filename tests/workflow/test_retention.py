"""What has outlived its retention goes: bodies first, rows later, and nothing that still waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from house import OWNER, TOKEN, WEBHOOK_SECRET, House, bridge_on
from sqlalchemy import text
from temporalio.service import RPCError
from world import Handset, eventually, mail

import activities.remove_old
from mailroom.adapters.postgres.mailboxes import PostgresMailboxes
from mailroom.adapters.postgres.monitored import PostgresMonitored
from mailroom.adapters.postgres.texts import PostgresTexts
from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge.auth import owner_token
from mailroom.bridge.kept_schedules import keep_schedules
from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import MailRef, OwnersWord, Verdict
from mailroom.models.mailbox import Mailbox
from mailroom.models.names import MAIL_TASK_QUEUE, RETENTION
from mailroom.models.poll import TakenMail
from mailroom.models.receipts import Receipt, TextStatus
from mailroom.models.retention import Retained
from mailroom.models.states import MailState
from mailroom.ports import Permanent
from workflows.retention import RetentionWorkflow

SOON = timedelta(seconds=20)
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


async def run(house: House) -> Retained:
    return await house.client.execute_workflow(
        RetentionWorkflow.run, id=f"retention-{uuid4()}", task_queue=MAIL_TASK_QUEUE
    )


async def sql(house: House, statement: str, **values: object) -> list[dict[str, Any]]:
    async with house.adapters.engines.write.connect() as connection:
        result = await connection.execute(text(statement), values)
        return [dict(row) for row in result.mappings()] if result.returns_rows else []


async def grow_old(house: House, accepted: Accepted, days: int) -> None:
    """As if all of it had happened so long ago; what has not ended has no end to move."""
    ago = {"id": accepted.message_id, "ago": timedelta(days=days)}
    for column in ("processed_emails.processed_at", "workflow_state.created_at", "sms_messages.at"):
        table, name = column.split(".")
        await sql(house, f"UPDATE {table} SET {name} = {name} - :ago WHERE message_id = :id", **ago)


async def waiting(house: House, marker: str, **known: str) -> Accepted:
    known = {"sender": f"{marker}@example.com", "subject": marker, **known}
    accepted = await house.receive(mail(**known))
    await house.reached(accepted, MailState.AWAITING_USER)

    async def listed() -> bool:
        return bool(await sql(house, query, id=accepted.message_id))

    # Mails are listed as pending a moment after they were accepted.
    query = "SELECT FROM events WHERE message_id = :id AND type = 'pending'"
    await eventually(listed)
    return accepted


async def say(house: House, accepted: Accepted, word: str) -> None:
    said = await house.context.flows.decide(accepted.workflow_id, OwnersWord(text=word), SOON)
    assert said.verdict is Verdict.ACCEPTED


async def answered(house: House, marker: str, **known: str) -> Accepted:
    accepted = await waiting(house, marker, **known)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    return accepted


def ref(row: WorkflowState) -> MailRef:
    known = {name: getattr(row, name) for name in MailRef.model_fields if hasattr(row, name)}
    return MailRef(**known, reply_from=OWNER, sender="", subject="")


async def has(house: House, blob: str) -> bool:
    try:
        await house.adapters.blobs.get(blob)
    except Permanent:
        return False
    return True


async def counts(house: House, accepted: Accepted) -> dict[str, int]:
    tables = ("processed_emails", "workflow_state", "drafts", "sms_messages", "events")
    found = {}
    for table in tables:
        query = f"SELECT count(*) AS n FROM {table} WHERE message_id = :id"
        [row] = await sql(house, query, id=accepted.message_id)
        found[table] = row["n"]
    return found


async def test_after_90_days_the_bodies_go_and_the_rest_stays(
    dev_house: House, marker: str
) -> None:
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        accepted = await waiting(dev_house, marker)
        await say(dev_house, accepted, "2 tell them about the surgery")
        await dev_house.gateway.wait_for(marker, 2)
        await dev_house.reached(accepted, MailState.AWAITING_USER)
        await say(dev_house, accepted, "1")
        assert await dev_house.ended(accepted) is MailState.REPLY_SENT
        before = await dev_house.row(accepted)
        drafts = await sql(
            dev_house, "SELECT blob FROM drafts WHERE message_id = :id", id=before.message_id
        )
        blobs = [before.blob, before.reply_blob, *(each["blob"] for each in drafts)]
        assert len(blobs) == 4
        await grow_old(dev_house, accepted, 89)
        await run(dev_house)
        assert (await dev_house.row(accepted)).bodies_removed_at is None
        await grow_old(dev_house, accepted, 2)
        done = await run(dev_house)
        assert done.bodies.mails == 1
        assert done.bodies.blobs >= 2
        assert not any([await has(dev_house, blob or "") for blob in (blobs[0], blobs[1])])
        after = await dev_house.row(accepted)
        assert after.bodies_removed_at is not None
        assert (after.email_body_preview, after.ai_reply_text, after.blob) == (None, None, "")
        assert (after.email_subject, after.reply_message_id) == (marker, before.reply_message_id)
        assert after.updated_at == before.updated_at
        for column in ("body FROM sms_messages", "instructions FROM drafts"):
            left = await sql(
                dev_house, f"SELECT {column} WHERE message_id = :id", id=accepted.message_id
            )
            assert left
            assert not any(each for row in left for each in row.values())
        # For people: the page, the API, and the link that has outlived its draft.
        page = await http.get(f"/mails/{accepted.workflow_id[-32:]}", headers=AUTHORIZED)
        assert page.status_code == 200
        assert "Removed 91 days after the mail was done with" in page.text
        assert "surgery" not in page.text
        answer = await http.get(f"/workflow/{accepted.message_id}", headers=AUTHORIZED)
        assert answer.status_code == 200
        assert answer.json()["bodies_removed_at"]
        assert "surgery" not in answer.text
        asked = {line["detail"].get("instructions") for line in answer.json()["timeline"]}
        assert asked == {None, "(removed 1)"}
        link = httpx.URL(dev_house.context.links.draft(ref(before), 2)).path
        assert (await http.get(link)).status_code == 410
        assert (await run(dev_house)).bodies.mails == 0


async def test_after_400_days_the_rows_go(dev_house: House, marker: str) -> None:
    monitored = PostgresMonitored(dev_house.adapters.engines.write)
    async with dev_house.at_work():
        accepted = await answered(dev_house, marker)
        row = await dev_house.row(accepted)
        taken = TakenMail(workflow_id=row.workflow_id, monitor_id="<m@x>", digest=marker)
        await monitored.keep([taken])
        receipt = Receipt(
            provider_id=row.sms_message_id or "",
            status=TextStatus.DELIVERED,
            status_at=datetime.now(UTC),
        )
        await PostgresTexts(dev_house.adapters.engines.write).receipt(receipt)
        await grow_old(dev_house, accepted, 401)
        done = await run(dev_house)
    assert done.rows.mails == 1
    assert set((await counts(dev_house, accepted)).values()) == {0}
    assert not await has(dev_house, row.blob)
    left = await sql(
        dev_house,
        "SELECT key FROM send_markers WHERE key LIKE :id || '/%'"
        " UNION SELECT provider_id FROM sms_receipts WHERE provider_id = :text",
        id=row.workflow_id,
        text=row.sms_message_id,
    )
    assert left == []
    # A monitor that still lists the mail is not believed, and not told anything more.
    assert await monitored.known([marker]) == {marker}
    assert marker not in [each.monitor_id for each in await monitored.changed(1_000)]
    await sql(dev_house, "DELETE FROM monitored_emails WHERE digest = :id", id=marker)


async def test_a_mailbox_is_not_read_again_from_before_that(dev_house: House, marker: str) -> None:
    async with dev_house.at_work():
        await run(dev_house)
    mailbox = Mailbox(
        owner="owner",
        host="imap.example.org",
        port=993,
        user=marker,
        address="owner@example.org",
        answer_since=datetime(2020, 1, 1, tzinfo=UTC),
    )
    reading = await PostgresMailboxes(dev_house.adapters.engines.write).reading(mailbox)
    limit = datetime.now(UTC) - timedelta(days=400)
    assert limit - timedelta(minutes=5) < reading.answer_since <= limit


async def test_what_waits_stays_however_old(dev_house: House, marker: str) -> None:
    async with dev_house.at_work():
        waits = await waiting(dev_house, f"waits {marker}", sender=f"{marker}@example.com")
        mendable = await dev_house.receive(
            mail(sender=f"x{marker}@example.com", subject=f"gw-refuse {marker}")
        )
        await dev_house.reached(mendable, MailState.FAILED)
        for accepted in (waits, mendable):
            await grow_old(dev_house, accepted, 900)
            row = await dev_house.row(accepted)
            done = await run(dev_house)
            assert done.rows.mails == done.bodies.mails == 0
            assert await dev_house.row(accepted) == row
            assert await has(dev_house, row.blob)
        assert (done.rows.running, done.bodies.running) == (1, 1), "the failed one is asked about"
        await say(dev_house, waits, "1")
        assert await dev_house.ended(waits) is MailState.REPLY_SENT
        assert (await run(dev_house)).bodies.mails == 0, "its days begin at its end"
        await say(dev_house, mendable, "3")
        await dev_house.ended(mendable)


async def test_a_blob_that_another_mail_has_too_stays(dev_house: House, marker: str) -> None:
    name = marker.capitalize()
    async with dev_house.at_work():
        old = await answered(dev_house, marker, name=name)
        young = await waiting(dev_house, marker, name=name, message_id=f"<{marker}@young>")
        query = "SELECT DISTINCT blob FROM drafts WHERE message_id = ANY(:ids)"
        shared = await sql(dev_house, query, ids=[old.message_id, young.message_id])
        assert len(shared) == 1, "the same template for the same sender"
        await grow_old(dev_house, old, 91)
        assert (await run(dev_house)).bodies.mails == 1
        assert await has(dev_house, shared[0]["blob"])
        await say(dev_house, young, "1")
        assert await dev_house.ended(young) is MailState.REPLY_SENT
        await grow_old(dev_house, young, 91)
        await run(dev_house)
    assert not await has(dev_house, shared[0]["blob"]), "the last one takes it along"


async def test_a_mail_that_a_later_one_took_in_stays_with_it(dev_house: House, marker: str) -> None:
    async with dev_house.at_work():
        earlier = await waiting(dev_house, marker)
        later = await waiting(
            dev_house,
            marker,
            message_id=f"<{marker}@later>",
            **{"In-Reply-To": earlier.message_id},
        )
        await dev_house.ended(earlier)
        await grow_old(dev_house, earlier, 91)
        assert (await run(dev_house)).bodies.mails == 0
        await say(dev_house, later, "2 make it shorter")
        await dev_house.gateway.wait_for(marker, 3)
        await say(dev_house, later, "1")
        await dev_house.ended(later)
        assert (await run(dev_house)).bodies.mails == 1


async def test_a_text_from_the_owner_is_known_for_good(dev_house: House, marker: str) -> None:
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        await dev_house.nothing_waits()
        phone = Handset(http, WEBHOOK_SECRET)
        await phone.say("1", marker)
        await sql(
            dev_house,
            "UPDATE sms_messages SET at = at - interval '500 days' WHERE provider_id = :id",
            id=marker,
        )
        assert (await run(dev_house)).rows.texts >= 1
        [kept] = await sql(
            dev_house, "SELECT body FROM sms_messages WHERE provider_id = :id", id=marker
        )
        assert kept["body"] == ""
        assert (await run(dev_house)).rows.texts == 0
        draft = await waiting(dev_house, marker)
        again = await phone.say("1", marker)
        assert again["outcome"] == "refused"
        assert (await dev_house.row(draft)).current_state is MailState.AWAITING_USER
        await say(dev_house, draft, "3")


async def old_rows(house: House, marker: str, count: int) -> None:
    """Mails that ended 500 days ago, every other one as failed; their blobs are gone already, as
    after a run that was killed."""
    await sql(
        house,
        """
        WITH mails AS (
            SELECT '<' || n || :marker || '>' AS id,
                   'email-reply/' || md5(:marker || n) AS workflow,
                   CASE n % 2 WHEN 0 THEN 'failed' ELSE 'user_ignored' END AS state,
                   now() - interval '500 days' - n / 3 * interval '1 second' AS at
            FROM generate_series(1, :count) AS n
        ), entered AS (
            INSERT INTO processed_emails (owner, message_id, workflow_id, subject, "from",
                                          received_at, blob, status, processed_at, step)
            SELECT 'owner', id, workflow, '', '', at, md5(id), 'ignored', at, 1 FROM mails
        )
        INSERT INTO workflow_state (owner, message_id, workflow_id, current_state, created_at, step)
        SELECT 'owner', id, workflow, state, at, 1 FROM mails
        """,
        marker=marker,
        count=count,
    )


async def test_many_go_in_batches_and_shares(
    dev_house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities.remove_old, "MOST_MAILS", 250)
    await old_rows(dev_house, marker, 700)
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        due = (await http.get("/retention", headers=AUTHORIZED)).json()
        assert (due["bodies"]["days"], due["rows"]["days"]) == (90, 400)
        assert due["rows"]["due"] == due["bodies"]["due"] == 700
        done = await run(dev_house)
        assert (done.rows.mails, done.rows.blobs, done.rows.more) == (700, 700, False)
        due = (await http.get("/retention", headers=AUTHORIZED)).json()
        assert due["rows"]["due"] == 0
        assert datetime.now(UTC) - datetime.fromisoformat(due["rows"]["last_run"]) < SOON


async def test_what_is_due_is_for_the_operator(dev_house: House) -> None:
    [owner] = dev_house.context.owners
    theirs = {"Authorization": f"Bearer {owner_token(dev_house.context, owner)}"}
    async with bridge_on(dev_house.context) as http:
        assert (await http.get("/retention")).status_code == 401
        assert (await http.get("/retention", headers=theirs)).status_code == 403


@asynccontextmanager
async def kept_for(house: House, bodies: int, rows: int) -> AsyncIterator[House]:
    known = {"mailroom_bodies_days": bodies, "mailroom_rows_days": rows}
    own = replace(house, settings=house.settings.model_copy(update=known))
    async with own.at_work():
        yield own


async def test_0_keeps_for_ever(dev_house: House, marker: str) -> None:
    await old_rows(dev_house, marker, 3)
    async with kept_for(dev_house, 0, 0) as house:
        nothing = await run(house)
        assert (nothing.bodies.mails, nothing.rows.mails) == (0, 0)
    async with kept_for(dev_house, 90, 0) as house:
        only_bodies = await run(house)
        assert (only_bodies.bodies.mails, only_bodies.rows.mails) == (3, 0)
    async with kept_for(dev_house, 0, 400) as house:
        only_rows = await run(house)
        assert (only_rows.bodies.mails, only_rows.rows.mails) == (0, 3)


async def test_the_schedule_is_daily_and_goes_with_its_settings(dev_house: House) -> None:
    schedule = dev_house.client.get_schedule_handle(RETENTION)
    await keep_schedules(dev_house.client, dev_house.settings)
    found = (await schedule.describe()).schedule
    assert [each.every for each in found.spec.intervals] == [timedelta(days=1)]
    assert found.policy.catchup_window == timedelta(days=1)
    await schedule.pause(note="an audit")
    await keep_schedules(dev_house.client, dev_house.settings)
    assert (await schedule.describe()).schedule.state.paused
    none = {"mailroom_bodies_days": 0, "mailroom_rows_days": 0}
    await keep_schedules(dev_house.client, dev_house.settings.model_copy(update=none))
    with pytest.raises(RPCError, match="not found"):
        await schedule.describe()
