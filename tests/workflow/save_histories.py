"""Saves the histories of the workflows' stories, for `test_replay.py`.

    PYTHONPATH=tests python tests/workflow/save_histories.py

Run it by hand when a story is added here. A file that is there is left as it is: it stands for
the mails that wait somewhere while the code changes, so a change that can't replay it goes behind
`workflow.patched`. Delete a file, to have it saved anew, only if no such mail can exist.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from house import House, address_of, house_on, settings_for
from sqlalchemy import TextClause, text
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from web import web_server
from world import eventually, gateway_running, mail, sink_running

from mailroom.adapters.postgres.message_reports import PostgresReports
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.bridge.message_flows import MessageFlows
from mailroom.bridge.queue_reports import Reports
from mailroom.bridge.submissions import Submitted
from mailroom.local.servers import postgres_server
from mailroom.local.toolchain import time_skipping_server
from mailroom.models.agent_mail import LetterState, Priority
from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord, SupersededBy
from mailroom.models.names import (
    MAIL_TASK_QUEUE,
    QUEUE_HEALTH,
    agent_mail_id,
    outbound_id,
    queue_operation_id,
    queue_release_id,
)
from mailroom.models.new_letter import NewLetter
from mailroom.models.outbound.bulk import OperationRef
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.queues import CircuitState, SetState
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.submission import NewMessage
from mailroom.models.outbound.words import QueueState
from mailroom.models.states import MailState
from workflows.outbound_message import OutboundMessageWorkflow
from workflows.queue_health import QueueHealthWorkflow

FOLDER = Path(__file__).parent / "histories"


async def arrival(house: House, **how: str) -> Accepted:
    return await house.receive(mail(**how))


async def say(house: House, accepted: Accepted, text: str) -> None:
    await house.context.flows.command(accepted.workflow_id, OwnersWord(text=text, via="page"))


async def texted(house: House, count: int = 1) -> None:
    await eventually(lambda: _true_of(len(house.gateway.texts) >= count))


async def reached(house: House, accepted: Accepted, state: MailState) -> None:
    async def look() -> bool:
        row = await house.context.views.by_workflow(accepted.workflow_id)
        return row is not None and row.current_state is state

    await eventually(look)


async def _true_of(condition: bool) -> bool:
    return condition


async def approved(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    return accepted


async def edited(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "2 decline")
    await texted(house, 2)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    return accepted


async def sms_failed_and_retried(house: House) -> Accepted:
    house.gateway.verdict = lambda text: 500  # type: ignore[method-assign]
    accepted = await arrival(house)
    await house.skip(minutes=1)
    await reached(house, accepted, MailState.FAILED)
    await house.sink.wait_for("owner@mailroom.test")
    del house.gateway.verdict
    await house.context.flows.retry(accepted.workflow_id)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    return accepted


async def send_unknown_and_sent_again(house: House) -> Accepted:
    accepted = await arrival(house, sender="drop-after-dot+john@example.com")
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    await texted(house, 2)
    await say(house, accepted, "1")
    return accepted


async def reply_refused_and_ignored(house: House) -> Accepted:
    """Its history is of the time before words were heard while a failure is written down."""
    accepted = await arrival(house, sender="refuse+john@example.com")
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    await reached(house, accepted, MailState.FAILED)
    await say(house, accepted, "3")
    return accepted


async def reply_refused_twice_and_ignored(house: House) -> Accepted:
    accepted = await arrival(house, sender="refuse+jane@example.com")
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    await texted(house, 2)
    await house.context.flows.retry(accepted.workflow_id)
    await texted(house, 3)
    await say(house, accepted, "3")
    return accepted


async def timed_out(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await house.skip(hours=49)
    return accepted


async def ignored_by_triage(house: House) -> Accepted:
    return await arrival(house, Auto_Submitted="auto-replied")


async def sent_later_after_a_change(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1 in 2h")
    await reached(house, accepted, MailState.USER_APPROVED)
    await say(house, accepted, "2 decline")
    await texted(house, 2)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1 in 1h")
    await reached(house, accepted, MailState.USER_APPROVED)
    await house.skip(hours=2)
    return accepted


async def put_off_and_asked_again(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "4h")
    await house.skip(hours=5)
    await texted(house, 2)
    await reached(house, accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    return accepted


async def answered_by_the_owner_elsewhere(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await house.context.flows.supersede(accepted.workflow_id, SupersededBy.OWNER)
    return accepted


async def asked_a_delegate(house: House) -> Accepted:
    accepted = await arrival(house)
    await reached(house, accepted, MailState.AWAITING_USER)
    await house.skip(hours=7)
    await texted(house, 3)
    await say(house, accepted, "1")
    return accepted


async def letter(house: House, priority: Priority = Priority.NORMAL) -> Accepted:
    """To `rig/worker`, from the overseer."""
    new = NewLetter(to="rig/worker", subject="Lunch?", body="At noon?", priority=priority)
    await house.context.known_agents.remember([new.to])
    office, now = house.context.office, datetime.now(UTC)
    [sent] = await office.send(await office.routed(new, "overseer", uuid4().hex, now))
    return Accepted(agent_mail_id(sent.id), sent.id, True)


async def letter_in(house: House, accepted: Accepted, state: LetterState) -> None:
    async def look() -> bool:
        return await house.context.letters.state(accepted.message_id) is state

    await eventually(look)


async def somebody_comes(house: House) -> None:
    lease = timedelta(hours=1)
    await house.context.sessions.register("session-1", "rig/worker", "daemon-1", None, lease)


async def confirms(house: House) -> None:
    async def pushed() -> bool:
        return bool(
            await house.context.sessions.open("session-1", "rig/worker", 10, by_priority=True)
        )

    await eventually(pushed)
    events = await house.context.sessions.open("session-1", "rig/worker", 10, by_priority=True)
    ids = [event.event_id for event in events]
    await house.context.sessions.confirm("session-1", "rig/worker", ids)


async def letter_delivered(house: House) -> Accepted:
    await somebody_comes(house)
    accepted = await letter(house)
    await confirms(house)
    return accepted


async def letter_waited_and_was_drained(house: House) -> Accepted:
    accepted = await letter(house)
    await letter_in(house, accepted, LetterState.QUEUED)
    await house.context.letter_flows.signal(accepted.message_id, "delivered", "session")
    return accepted


async def letter_expired(house: House) -> Accepted:
    accepted = await letter(house)
    await letter_in(house, accepted, LetterState.QUEUED)
    await house.skip(hours=25)
    return accepted


async def letter_died_and_was_discarded(house: House) -> Accepted:
    await somebody_comes(house)
    accepted = await letter(house)
    for minutes in (6, 11, 21):
        await letter_in(house, accepted, LetterState.RETRYING)
        await house.skip(minutes=minutes)
    await letter_in(house, accepted, LetterState.DEAD_LETTER)
    await house.context.letter_flows.signal(accepted.message_id, "discard")
    return accepted


async def urgent_letter_escalated(house: House) -> Accepted:
    accepted = await letter(house, Priority.URGENT)
    await letter_in(house, accepted, LetterState.QUEUED)
    await house.skip(minutes=30)
    await texted(house)
    await house.context.letter_flows.signal(accepted.message_id, "acknowledge")
    return accepted


_BLOCKED = text("""
    INSERT INTO delivery_outcomes (domain, kind) SELECT 'sick.test', 'blocked'
    FROM generate_series(1, 100)
""")
_DELIVERED = text("INSERT INTO delivery_outcomes (domain, kind) VALUES ('sick.test', 'delivered')")


async def counted(house: House, results: TextClause) -> Accepted:
    """What the Schedule does every minute, once."""
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(results)
    id = f"{QUEUE_HEALTH}/{uuid4().hex}"
    await house.client.execute_workflow(QueueHealthWorkflow.run, id=id, task_queue=MAIL_TASK_QUEUE)
    return Accepted(id, id, True)


async def queue_is(house: House, queue_name: str, circuit: CircuitState | None) -> None:
    async def look() -> bool:
        standing = await house.context.queue_states.standing(queue_name)
        return standing.circuit is circuit

    await eventually(look)


async def domains_scored(house: House) -> Accepted:
    return await counted(house, _BLOCKED)


async def queue_suspended_for_an_hour(house: House) -> Accepted:
    until = datetime.now(UTC) + timedelta(hours=1)
    wanted = SetState(state=QueueState.SUSPENDED, reason="they move", until=until)
    await house.context.queue_states.set("moving.test", wanted)
    await house.context.queue_flows.look_after("moving.test")
    await house.skip(hours=2)
    return Accepted(queue_release_id("moving.test"), "moving.test", True)


async def campaign_suspended_for_an_hour(house: House) -> Accepted:
    """With two messages that wait for its end."""
    name, until = "moving", datetime.now(UTC) + timedelta(hours=1)
    await house.context.suspending.hold(SuspensionScope.CAMPAIGN, name, "a wrong price", until)
    for _ in range(2):
        await message_is_held(house, await message(house, campaign_id=name))
    await house.skip(hours=2)
    return Accepted(queue_release_id(name, SuspensionScope.CAMPAIGN), name, True)


async def circuit_opened_and_closed(house: House) -> Accepted:
    await counted(house, _BLOCKED)
    await queue_is(house, "sick.test", CircuitState.OPEN)
    await house.skip(minutes=6)
    await queue_is(house, "sick.test", CircuitState.HALF_OPEN)
    await counted(house, _DELIVERED)
    return Accepted(queue_release_id("sick.test"), "sick.test", True)


async def message(house: House, what: str = "take", **more: Any) -> Accepted:
    """An outbound message to an address at which the sink does `what`."""
    new = NewMessage.model_validate(
        {
            "sender": "news@company.com",
            "recipient": f"{what}+story@example.com",
            "headers": {"Subject": "News"},
            "text": "Hello",
            # Time is skipped, which the clock that expiry is computed by does not know.
            "expires_at": "2036-01-01T00:00:00Z",
            **more,
        }
    )
    one = Submitted(uuid4(), new, datetime.now(UTC))
    assert await house.context.submissions.take([one]) == []
    return Accepted(outbound_id(one.id), str(one.id), True)


async def message_in(house: House, accepted: Accepted, status: str, attempts: int = 0) -> None:
    async def look() -> bool:
        item = await house.context.message_views.one(UUID(accepted.message_id))
        return item is not None and (item.status, item.num_attempts) == (status, attempts)

    await eventually(look)


async def tell(house: House, accepted: Accepted, order: str, *words: str) -> None:
    await MessageFlows(house.client).signal(UUID(accepted.message_id), order, *words)


async def message_delivered(house: House) -> Accepted:
    return await message(house)


async def message_deferred_twice(house: House) -> Accepted:
    accepted = await message(house, "defer-twice")
    for attempts, minutes in ((1, 40), (2, 90)):
        await message_in(house, accepted, "deferred", attempts)
        await house.skip(minutes=minutes)
    return accepted


async def message_cancelled_while_it_waited(house: House) -> Accepted:
    accepted = await message(house, "defer-always")
    await message_in(house, accepted, "deferred", 1)
    await tell(house, accepted, "cancel", "the campaign is over")
    return accepted


async def message_unknown_and_sent_again(house: House) -> Accepted:
    accepted = await message(house, "drop-after-dot")
    await message_in(house, accepted, "suspended", 1)
    await tell(house, accepted, "retry", "it has not arrived")
    return accepted


async def message_held_and_woken(house: House) -> Accepted:
    name = "example.com"
    await house.context.queue_states.set(name, SetState(state=QueueState.SUSPENDED, reason="wait"))
    accepted = await message(house)
    await message_is_held(house, accepted)
    await house.context.queue_states.set(name, SetState(state=QueueState.ACTIVE, reason="go on"))
    await tell(house, accepted, "wake")
    return accepted


async def message_is_held(house: House, accepted: Accepted) -> None:
    handle = house.client.get_workflow_handle_for(OutboundMessageWorkflow.run, accepted.workflow_id)

    async def look() -> bool:
        return (await handle.query(OutboundMessageWorkflow.status)).held

    await eventually(look)


async def message_relayed_and_reported(house: House) -> Accepted:
    """To KumoMTA, whose log says what became of it."""
    accepted = await message(house)
    await message_in(house, accepted, "in_delivery", 1)
    report = Report(
        key="story",
        kind=ReportKind.DELIVERED,
        source=ReportSource.KUMOMTA,
        id=UUID(accepted.message_id),
        at=datetime.now(UTC),
    )
    await Reports(PostgresReports(house.adapters.engines), MessageFlows(house.client), ()).take(
        report
    )
    return accepted


async def operated(house: House, operation: str, **more: Any) -> UUID:
    """An operation of an operator, at its end or its question."""
    id = uuid4()
    request = OperationRequest.model_validate({"operation": operation, **more})
    assert await house.context.operations.add(id, request, "operator")
    whole = request.whole is not None
    await house.context.operation_flows.start(
        OperationRef(id=id, operation=request.operation, whole=whole)
    )
    await house.context.operation_flows.at_rest(id, timedelta(seconds=30))
    return id


async def message_suspended_and_bounced_by_operations(house: House) -> Accepted:
    accepted = await message(house, "defer-always")
    await message_in(house, accepted, "deferred", 1)
    await operated(house, "suspend", message_ids=[accepted.message_id])
    await operated(house, "bounce", message_ids=[accepted.message_id])
    return accepted


async def operation_on_few(house: House) -> Accepted:
    accepted = await message(house, "defer-always", queue_name="few")
    await message_in(house, accepted, "deferred", 1)
    id = await operated(house, "cancel", queue_name="few")
    return Accepted(queue_operation_id(id), str(id), True)


async def operation_on_many_confirmed(house: House) -> Accepted:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(_MANY)
    id = await operated(house, "cancel", queue_name="many")
    await house.context.operation_flows.confirm(id)
    return Accepted(queue_operation_id(id), str(id), True)


async def operation_on_a_queue(house: House) -> Accepted:
    id = await operated(house, "resume", queue_name="a queue")
    return Accepted(queue_operation_id(id), str(id), True)


_MANY = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,
                               size_bytes)
    SELECT gen_random_uuid(), '<' || n || '@example.com>', 'many', 'a' || n || '@example.com',
           'news@company.com', 'example.com', 'suspended', 1000
    FROM generate_series(1, 1001) AS n
""")


STORIES: dict[str, Callable[[House], Awaitable[Accepted]]] = {
    story.__name__: story
    for story in (
        approved,
        edited,
        sms_failed_and_retried,
        send_unknown_and_sent_again,
        reply_refused_and_ignored,
        reply_refused_twice_and_ignored,
        timed_out,
        ignored_by_triage,
        sent_later_after_a_change,
        put_off_and_asked_again,
        answered_by_the_owner_elsewhere,
        asked_a_delegate,
        letter_delivered,
        letter_waited_and_was_drained,
        letter_expired,
        letter_died_and_was_discarded,
        urgent_letter_escalated,
        domains_scored,
        queue_suspended_for_an_hour,
        campaign_suspended_for_an_hour,
        circuit_opened_and_closed,
        message_delivered,
        message_deferred_twice,
        message_cancelled_while_it_waited,
        message_unknown_and_sent_again,
        message_held_and_woken,
        message_suspended_and_bounced_by_operations,
        operation_on_few,
        operation_on_many_confirmed,
        operation_on_a_queue,
        message_relayed_and_reported,
    )
}

RELAYED = (message_relayed_and_reported.__name__,)


def relay() -> FastAPI:
    """KumoMTA, as far as it takes a message (`POST /api/inject/v1`)."""
    app = FastAPI()

    @app.post("/api/inject/v1")
    async def inject() -> dict[str, object]:
        return {"success_count": 1, "fail_count": 0, "failed_recipients": [], "errors": []}

    return app


OWNERS = """
[agents]
delivery_timeout = 0.3
retry = { max_attempts = 1, initial_delay = 0.05 }

[[owners]]
id = "owner"
addresses = ["owner@mailroom.test"]
phone = "+12025550123"
delegate = "other"
delegate_after = "PT6H"

[[owners]]
id = "other"
addresses = ["other@mailroom.test"]
phone = "+12025550124"
"""


async def save(name: str, house: House) -> None:
    accepted = await STORIES[name](house)
    workflow = house.client.get_workflow_handle(accepted.workflow_id)
    await workflow.result()
    history = json.loads((await workflow.fetch_history()).to_json())
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(anonymous(history), indent=1, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(history['events'])} events")


def anonymous(value: Any) -> Any:
    """Without what tells of the machine: names of workers, paths in stack traces."""
    if isinstance(value, list):
        return [anonymous(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
        value["name"] = "sticky"
    hidden = {"identity": "worker", "stackTrace": ""}
    return {name: hidden.get(name, anonymous(item)) for name, item in value.items()}


async def main() -> None:
    """Each story in a house of its own: the same Message-ID would be the same mail."""
    FOLDER.mkdir(exist_ok=True)
    binary = str(await time_skipping_server())
    for name in STORIES:
        if (FOLDER / f"{name}.json").exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            await in_a_house(name, binary, Path(folder))


async def in_a_house(name: str, binary: str, folder: Path) -> None:
    async with (
        postgres_server(folder / "postgres") as database,
        gateway_running() as gateway,
        sink_running() as sink,
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=binary, data_converter=pydantic_data_converter
        ) as env,
    ):
        await upgrade(database)
        config = folder / "mailroom.toml"
        config.write_text(OWNERS)
        async with web_server(relay()) as kumomta:
            settings = settings_for(
                folder,
                gateway,
                sink,
                temporal_address=address_of(env),
                mailroom_config=config,
                mailroom_outbound_route=(
                    "kumomta" if name in RELAYED else f"smtp://127.0.0.1:{sink.port}"
                ),
                kumomta_url=kumomta,
            )
            async with house_on(env, settings, database, gateway, sink) as house:
                await save(name, house)


if __name__ == "__main__":
    asyncio.run(main())
