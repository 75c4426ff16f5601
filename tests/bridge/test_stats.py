"""Figures over HTTP: mails that really took their way, in a database of their own."""

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from house import TOKEN, House, address_of, another_database, bridge_on, house_on, settings_for
from sqlalchemy import URL, text
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink, mail

from mailroom.models.arrival import Accepted
from mailroom.models.states import MailState

HOSTILE = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
async def own(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    settings = settings_for(
        tmp_path_factory.mktemp("stats"), gateway, sink, temporal_address=address_of(own_env)
    )
    named = await another_database(database, "stats")
    async with house_on(own_env, settings, named, gateway, sink) as house:
        yield house


@pytest.fixture(scope="module")
async def api(own: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(own.context) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        await four_mails(own, http)
        yield http


async def four_mails(house: House, api: httpx.AsyncClient) -> None:
    """One approved, one edited and then approved, one ignored; a fourth can't be texted."""
    approved = await drafted(house, "ada", "Approved")
    await decide(api, await house.row(approved), "1")
    edited = await drafted(house, "bob", "Edited")
    await decide(api, await house.row(edited), "2 make it shorter")
    await house.gateway.wait_for("Edited", 2)
    await house.reached(edited, MailState.AWAITING_USER)
    await decide(api, await house.row(edited), "1")
    ignored = await drafted(house, "ada", HOSTILE)
    await decide(api, await house.row(ignored), "3")
    for one in (approved, edited, ignored):
        await house.ended(one)
    failed = await house.receive(mail(sender="eve@example.com", subject="gw-refuse stats"))
    await house.reached(failed, MailState.FAILED)


async def drafted(house: House, sender: str, subject: str) -> Accepted:
    raw = mail(sender=f"{sender}@example.com", subject=subject, name=sender)
    accepted = await house.receive(raw)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def decide(api: httpx.AsyncClient, row: Any, word: str) -> None:
    path = f"/workflow/{row.message_id.strip('<>')}/decide"
    decided = await api.post(path, json={"text": word})
    assert decided.status_code == 200, decided.text


async def figures(api: httpx.AsyncClient, **asked: int) -> dict[str, Any]:
    response = await api.get("/workflow/stats", params=asked)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_today_has_what_happened(api: httpx.AsyncClient) -> None:
    found = await figures(api, days=7)
    total = found["total"]
    assert total["mails"] == 4
    assert total["answers"] == {"approve": 2, "edit": 1, "ignore": 1, "none": 0}
    assert total["failures"] == {"draft": 0, "sms": 1, "reply": 0}
    assert total["texts"] >= 4
    assert total["response_seconds"] > 0
    assert total["edits_per_draft"] == 0.25
    assert len(found["days"]) == 7
    assert sum(day["mails"] for day in found["days"]) == 4
    assert found["days"][-1]["day"] == str(datetime.now(UTC).date())


async def test_rates_by_sender_and_source(api: httpx.AsyncClient) -> None:
    found = await figures(api)
    first, *others = found["senders"]
    assert first == {
        "name": "ada@example.com", "mails": 2, "approved": 1, "edited": 0, "ignored": 1,
    }  # fmt: skip
    assert [one["name"] for one in others] == ["bob@example.com", "eve@example.com"]
    assert others[0]["edited"] == 1
    assert others[0]["approved"] == 0
    assert sum(one["mails"] for one in found["sources"]) == 4
    assert all(one["name"].startswith("template ") for one in found["sources"])


async def test_an_edit_is_kept_with_what_it_changed(api: httpx.AsyncClient) -> None:
    [edit] = (await figures(api))["edits"]
    assert edit["instructions"] == "make it shorter"
    assert edit["subject"] == "Edited"
    assert any(line.startswith("-") for line in edit["diff"].splitlines())


async def test_an_edit_whose_text_is_gone_is_left_out(own: House, api: httpx.AsyncClient) -> None:
    gone = text("UPDATE drafts SET blob = repeat('0', 64) WHERE revision = 2 RETURNING blob")
    kept = text("SELECT blob FROM drafts WHERE revision = 2")
    back = text("UPDATE drafts SET blob = :blob WHERE revision = 2")
    async with own.adapters.engines.write.connect() as connection:
        blob = await connection.scalar(kept)
        await connection.execute(gone)
        assert (await figures(api))["edits"] == []
        await connection.execute(back, {"blob": blob})


async def test_older_days_are_not_counted(own: House, api: httpx.AsyncClient) -> None:
    move = "UPDATE {} SET {} = {} + CAST(:by AS interval)"
    tables = (("workflow_state", "created_at"), ("events", "at"))
    async with own.adapters.engines.write.connect() as connection:
        for table, column in tables:
            await connection.execute(text(move.format(table, column, column)), {"by": "-40 days"})
        try:
            found = await figures(api)
            assert found["total"]["mails"] == found["total"]["texts"] == 0
            assert found["senders"] == found["sources"] == found["edits"] == []
            assert (await figures(api, days=60))["total"]["mails"] == 4
        finally:
            for table, column in tables:
                statement = text(move.format(table, column, column))
                await connection.execute(statement, {"by": "40 days"})


async def test_csv_has_a_line_a_day_and_only_numbers(api: httpx.AsyncClient) -> None:
    response = await api.get("/workflow/stats.csv", params={"days": 366})
    assert response.headers["content-type"].startswith("text/csv")
    assert HOSTILE not in response.text
    days = list(csv.DictReader(response.text.splitlines()))
    assert len(days) == 366
    assert sum(int(day["mails"]) for day in days) == 4
    for day in days:
        datetime.fromisoformat(day.pop("day"))
        assert all(float(cell or 0) >= 0 for cell in day.values())


@pytest.mark.parametrize("days", ["0", "367", "many"])
async def test_other_periods_are_refused(api: httpx.AsyncClient, days: str) -> None:
    assert (await api.get("/workflow/stats", params={"days": days})).status_code == 422


async def test_it_takes_a_token(api: httpx.AsyncClient) -> None:
    for path in ("/workflow/stats", "/workflow/stats.csv"):
        response = await api.get(path, headers={"Authorization": "Bearer wrong"})
        assert response.status_code == 401


async def test_an_owner_sees_their_own_figures(own: House) -> None:
    analytics = own.context.analytics
    assert (await analytics.figures(7, list(own.context.owners))).total.mails == 4
    nobody = await analytics.figures(7, ["somebody-else"])
    assert nobody.total.mails == 0
    assert nobody.edits == []
