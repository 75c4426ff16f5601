"""Words of the owner by signal, update and query, as other programs send them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from house import EVENTS_BEFORE_CONTINUE_AS_NEW, OWNER, TOKEN, House, bridge_on
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode
from world import eventually, mail

from mailroom.local import serving
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.email_reply import Draft, Outcome, OwnersWord, ReplyStatus, Verdict
from mailroom.models.states import MailState, Stage
from workflows.email_reply import EmailReplyWorkflow
from workflows.search_attributes import MAIL_STATE

SOON = timedelta(seconds=30)
# What Temporal answers to words for a run that ends, and to words that come while it ends.
GIVEN_UP = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.RESOURCE_EXHAUSTED,
)
Handle = WorkflowHandle[EmailReplyWorkflow, Any]
T = TypeVar("T")


def handle_of(house: House, accepted: Accepted) -> Handle:
    return house.client.get_workflow_handle_for(EmailReplyWorkflow.run, accepted.workflow_id)


async def drafted(house: House, marker: str, subject: str = "Hi") -> tuple[Accepted, Handle]:
    """A mail that waits for its owner."""
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"{subject} {marker}")
    )
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted, handle_of(house, accepted)


async def update(handle: Handle, word: object) -> Outcome:
    """The update as a program that knows nothing of our types sends it."""
    async with asyncio.timeout(30):
        outcome: Outcome = await handle.execute_update("decide", word, result_type=Outcome)
    return outcome


async def state_of(handle: Handle) -> MailState:
    return (await handle.query(EmailReplyWorkflow.status)).state


# Signals


@pytest.mark.parametrize(
    "word",
    [
        "1",
        " Send! ",
        {"text": "1"},
        {"text": "1", "revision": 1},
        {"text": "1", "revision": None, "id": None},
        {"text": "approve", "revision": 1, "id": "{}"},
    ],
)
async def test_a_signal_approves(house: House, marker: str, word: Any) -> None:
    _accepted, handle = await drafted(house, marker)
    if isinstance(word, dict) and word.get("id"):
        word = word | {"id": marker}
    await handle.signal("command", word)
    await house.sink.wait_for(f"{marker}@example.com")
    assert (await handle.result()).state is MailState.REPLY_SENT
    # Who names their word waits for an answer.
    named = isinstance(word, dict) and word.get("id")
    texts = house.gateway.under(f"word/{marker}")
    assert texts == (["The reply is on its way."] if named else [])


async def test_a_signal_edits_and_ignores(house: House, marker: str) -> None:
    accepted, handle = await drafted(house, marker)
    await handle.signal("command", "2 decline")
    await house.gateway.wait_for(marker, 2)
    assert (await house.row(accepted)).user_edit_instructions == "decline"
    await handle.signal("command", {"text": "1", "revision": 1})
    await handle.signal("command", {"text": "3", "revision": 2})
    assert (await handle.result()).state is MailState.USER_IGNORED
    assert house.sink.mails[f"{marker}@example.com"] == []


NONSENSE: list[Any] = [
    1,
    ["1"],
    None,
    True,
    "",
    {},
    {"text": 1},
    {"text": "1", "surely": True},
    {"text": "1", "revision": "one"},
    {"text": {"text": "1"}},
    {"text": "1", "id": "x" * 201},
    "x" * 3_000,
    {"text": "1" + " " * 3_000},
]


async def test_signals_of_nonsense_change_nothing(house: House, marker: str) -> None:
    _accepted, handle = await drafted(house, marker)
    for word in NONSENSE:
        await handle.signal("command", word)
    await handle.signal("command", args=["1", "2 more"])
    await handle.signal("command")
    await handle.signal("retry", "what?")
    await handle.signal("nothing of ours", "1")
    assert await state_of(handle) is MailState.AWAITING_USER
    assert (await update(handle, "3")).verdict is Verdict.ACCEPTED
    assert (await handle.result()).state is MailState.USER_IGNORED


async def test_a_signal_that_is_no_json_changes_nothing(house: House, marker: str) -> None:
    accepted, handle = await drafted(house, marker)
    for encoding, data in ((b"json/plain", b"{1"), (b"binary/plain", b"1"), (b"strange", b"1")):
        await raw_signal(house, accepted, Payload(metadata={"encoding": encoding}, data=data))
    assert await state_of(handle) is MailState.AWAITING_USER
    assert (await update(handle, "3")).verdict is Verdict.ACCEPTED


async def raw_signal(house: House, accepted: Accepted, payload: Payload) -> None:
    await house.client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=house.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=accepted.workflow_id),
            signal_name="command",
            input=Payloads(payloads=[payload]),
        )
    )


# Updates and queries


@pytest.mark.parametrize("word", NONSENSE, ids=lambda word: repr(word)[:30])
async def test_an_update_of_nonsense_is_refused_at_once(
    house: House, marker: str, word: Any
) -> None:
    _, handle = await drafted(house, marker)
    with pytest.raises(WorkflowUpdateFailedError):
        await update(handle, word)
    assert (await update(handle, "3")).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("args", [[], ["1", "2 more"]])
async def test_an_update_of_none_or_two_words_is_refused_at_once(
    house: House, marker: str, args: list[str]
) -> None:
    _, handle = await drafted(house, marker)
    async with asyncio.timeout(30):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("decide", args=args)
    assert (await update(handle, "3")).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("by_signal_first", [True, False])
async def test_the_same_id_twice_is_one_word(
    house: House, marker: str, by_signal_first: bool
) -> None:
    _accepted, handle = await drafted(house, marker)
    word = {"text": "2 shorter", "id": marker}
    if by_signal_first:
        await handle.signal("command", word)
    first = await update(handle, word)
    await house.gateway.wait_for(marker, 2)
    if not by_signal_first:
        await handle.signal("command", word)
    assert await house.gateway.text_under(f"word/{marker}") == first.text
    assert await update(handle, word) == first
    # Another text under the same ID is not heard either.
    assert await update(handle, {"text": "1", "id": marker}) == first
    assert (await handle.query(EmailReplyWorkflow.status)).edits == 1
    assert await handle.query(EmailReplyWorkflow.heard, marker) == first
    assert await handle.query(EmailReplyWorkflow.heard, "another") is None


async def test_a_word_before_there_is_a_draft_is_told_so(house: House, marker: str) -> None:
    _accepted, handle = await drafted(house, marker)
    first = await update(handle, "2 shorter")
    second = await update(handle, "1")
    assert first.verdict is Verdict.ACCEPTED
    # The edit is under way, or done: nothing is sent that nobody has read.
    assert second.verdict is Verdict.REFUSED or second.revision == 2


async def test_queries_say_where_a_mail_stands(house: House, marker: str) -> None:
    accepted, handle = await drafted(house, marker)
    row = await house.row(accepted)
    status = await handle.query("status", result_type=ReplyStatus)
    assert status == ReplyStatus(
        state=MailState.AWAITING_USER,
        reason=None,
        revision=1,
        code=row.code,
        edits=0,
        failed_stage=None,
        error=None,
    )
    draft = await handle.query("draft", result_type=Draft)
    assert (draft.revision, draft.code) == (1, row.code)
    assert (await house.adapters.blobs.get(draft.blob)).decode() == row.ai_reply_text
    await update(handle, "3")
    await handle.result()
    assert await state_of(handle) is MailState.USER_IGNORED


# Before the text has left. The time-skipping server's clock would stand still for good after a
# step that outlives its workflow.


@asynccontextmanager
async def texting_slowly(house: House, marker: str) -> AsyncIterator[tuple[Accepted, Handle]]:
    """A mail about whose draft the gateway takes 15 s to text."""
    house.gateway.hurry.clear()
    raw = mail(sender=f"{marker}@example.com", subject=f"gw-slow {marker}")
    async with house.at_work():
        accepted = await house.receive(raw)
        try:
            await house.reached(accepted, MailState.SMS_SENDING)
            yield accepted, handle_of(house, accepted)
        finally:
            house.gateway.hurry.set()


async def test_an_answer_before_the_text_has_left_does_not_wait_for_it(
    dev_house: House, marker: str
) -> None:
    house = dev_house
    async with texting_slowly(house, marker) as (accepted, handle):
        started = time.monotonic()
        assert (await update(handle, "1")).verdict is Verdict.ACCEPTED
        await house.sink.wait_for(f"{marker}@example.com")
        assert time.monotonic() - started < 12
        assert (await handle.result()).state is MailState.REPLY_SENT
    row = await house.row(accepted)
    assert row.current_state is MailState.REPLY_SENT
    assert row.failed_stage is None


async def test_an_answer_just_before_the_gateway_confirms_the_text(
    dev_house: House, marker: str
) -> None:
    house = dev_house
    async with texting_slowly(house, marker) as (accepted, handle):
        assert (await update(handle, "2 shorter")).verdict is Verdict.ACCEPTED
        house.gateway.hurry.set()
        await house.gateway.wait_for(marker, 2)
        await house.reached(accepted, MailState.AWAITING_USER)
        assert (await house.row(accepted)).revision == 2
        assert (await update(handle, "3")).verdict is Verdict.ACCEPTED


# At the last moment


async def test_a_word_that_comes_with_the_end_of_the_wait_counts(
    dev_house: House, marker: str
) -> None:
    """Both wait for a worker and reach the workflow at once: who is told yes is obeyed."""
    house = dev_house
    hasty = house.settings.model_copy(update={"user_response_timeout": 5})
    secrets = house.context.secrets
    intake = serving.bridge_context(house.adapters, hasty, secrets).intake
    async with house.at_work():
        raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}")
        accepted = await intake.accept(Arrival(raw, None, (OWNER,)))
        handle = handle_of(house, accepted)
        await happened(handle, EventType.EVENT_TYPE_TIMER_STARTED, 1)
    await happened(handle, EventType.EVENT_TYPE_TIMER_FIRED, 1)
    await house.context.flows.command(accepted.workflow_id, OwnersWord(text="1", id=marker))
    async with house.at_work():
        answer = await house.gateway.text_under(f"word/{marker}")
        assert answer == "The reply is on its way."
        assert (await handle.result()).state is MailState.REPLY_SENT
    # It had been spoken when the reminder was due.
    assert len(house.gateway.about(marker)) == 1


# Many words, on Temporal's real server


async def test_more_updates_than_temporal_takes_at_once(dev_house: House, marker: str) -> None:
    """It takes ten; who comes too many is told to come again."""
    house = dev_house
    async with house.at_work(), bridge_on(house.context) as http:
        accepted, handle = await drafted(house, marker)
        path = f"/workflow/{quote(accepted.message_id, safe='')}/decide"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        word = {"text": "3", "revision": 1}
        answers = await asyncio.gather(
            *[http.post(path, json=word, headers=headers) for _ in range(30)]
        )
        assert (await handle.result()).state is MailState.USER_IGNORED
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 429}
    busy = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in busy)


async def flood(handle: Handle, words: int) -> None:
    """Words that decide nothing, 50 at a time."""
    turns = asyncio.Semaphore(50)

    async def one(number: int) -> None:
        async with turns:
            await insist(lambda: handle.signal("command", f"nothing {number}"))

    await asyncio.gather(*[one(number) for number in range(words)])


async def insist(say: Callable[[], Awaitable[T]]) -> T:
    """Temporal gives up words to a run that ends; whoever named their word may repeat it."""
    while True:
        try:
            return await say()
        except RPCError as error:
            if error.status not in GIVEN_UP:
                raise


async def run_of(handle: Handle) -> str:
    return (await handle.describe()).run_id or ""


async def test_thousands_of_words_are_heard_over_several_runs(
    dev_house: House, marker: str
) -> None:
    house = dev_house
    async with house.at_work():
        accepted, handle = await drafted(house, marker)
        edited = await update(handle, {"text": "2 decline", "id": marker})
        await house.gateway.wait_for(marker, 2)
        await house.reached(accepted, MailState.AWAITING_USER)
        first, asked = await run_of(handle), time.monotonic()
        status = await handle.query(EmailReplyWorkflow.status)
        draft = await handle.query(EmailReplyWorkflow.current_draft)
        words = [{"text": f"what {n}", "id": f"{marker}-{n}"} for n in range(20)]
        _, *answers = await asyncio.gather(
            flood(handle, 2_100), *[insist(partial(update, handle, word)) for word in words]
        )
        assert {one.verdict for one in answers} == {Verdict.REFUSED}
        await another_run(handle, first)
        # All that is known of the mail has come along,
        assert await handle.query(EmailReplyWorkflow.status) == status
        assert await handle.query(EmailReplyWorkflow.current_draft) == draft
        assert await update(handle, {"text": "2 decline", "id": marker}) == edited
        heard = [await handle.query(EmailReplyWorkflow.heard, word["id"]) for word in words]
        assert heard == answers
        # the wait is counted from the text,
        [timer] = await timers(handle)
        elapsed = time.monotonic() - asked
        assert timedelta(hours=24) - timedelta(seconds=elapsed + 5) < timer < timedelta(hours=24)
        # people still see whose mail it is and where it stands,
        await is_shown(handle, f"{marker}@example.com", status.code or "")
        # and a word decides.
        await handle.signal("command", {"text": f"1 {status.code}", "id": f"{marker}-last"})
        assert (await handle.result()).state is MailState.REPLY_SENT
        assert house.gateway.under(f"word/{marker}-last") == ["The reply is on its way."]
    assert len(house.sink.mails[f"{marker}@example.com"]) == 1


async def another_run(handle: Handle, before: str) -> None:
    async def is_there() -> bool:
        return await run_of(handle) != before

    await eventually(is_there)


async def events_of(handle: Handle) -> list[HistoryEvent]:
    """Of the last run."""
    return [event async for event in handle.fetch_history_events()]


async def happened(handle: Handle, kind: EventType.ValueType, count: int) -> None:
    async def so_often() -> bool:
        kinds = [event.event_type for event in await events_of(handle)]
        return kinds.count(kind) >= count

    await eventually(so_often)


async def timers(handle: Handle) -> list[timedelta]:
    """How long the timers of the last run wait."""
    started = [
        event.timer_started_event_attributes
        for event in await events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]
    return [timer.start_to_fire_timeout.ToTimedelta() for timer in started]


async def is_shown(handle: Handle, sender: str, state: str) -> None:
    described = await handle.describe()
    assert described.typed_search_attributes[MAIL_STATE]
    shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert sender in shown.current_details
    assert state in shown.current_details


async def test_a_failed_mail_stays_mendable_over_several_runs(
    dev_house: House, marker: str
) -> None:
    """`retry` comes while the run that is full waits for its last answer to be texted."""
    house, slow = dev_house, f"gw-slow {marker}"
    house.gateway.hurry.clear()
    async with house.at_work():
        raw = mail(sender=f"{marker}@example.com", subject=f"gw-refuse {marker}")
        accepted = await house.receive(raw)
        await house.reached(accepted, MailState.FAILED)
        handle = handle_of(house, accepted)
        first = await run_of(handle)
        await handle.signal("command", {"text": "what?", "id": slow})
        await flood(handle, EVENTS_BEFORE_CONTINUE_AS_NEW)
        await house.context.flows.retry(accepted.workflow_id)
        assert await run_of(handle) == first
        house.gateway.hurry.set()

        async def tried_again() -> bool:
            row = await house.row(accepted)
            return row.retry_count == 1 and row.current_state is MailState.FAILED

        await eventually(tried_again)
        await flood(handle, EVENTS_BEFORE_CONTINUE_AS_NEW)
        await another_run(handle, first)
        status = await handle.query(EmailReplyWorkflow.status)
        assert (status.state, status.failed_stage) == (MailState.FAILED, Stage.SMS)
        await is_shown(handle, f"{marker}@example.com", "sms failed")
        assert (await update(handle, "3")).verdict is Verdict.ACCEPTED
        assert (await handle.result()).state is MailState.USER_IGNORED


# What it costs


async def test_a_happy_reply_is_a_short_history(dev_house: House, marker: str) -> None:
    async with dev_house.at_work():
        _accepted, handle = await drafted(dev_house, marker)
        # At rest, as nearly always: a word may be there before the workflow is.
        await happened(handle, EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, 1)
        await update(handle, "1")
        await handle.result()
        events = await events_of(handle)
    kinds = Counter(event.event_type for event in events)
    assert kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] == 3
    assert kinds[EventType.EVENT_TYPE_MARKER_RECORDED] == 0
    assert kinds[EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES] == 2
    assert len(events) <= 34


async def test_an_edit_adds_little_to_a_history(dev_house: House, marker: str) -> None:
    async with dev_house.at_work():
        accepted, handle = await drafted(dev_house, marker)
        # With the timer of its reminder it rests.
        await happened(handle, EventType.EVENT_TYPE_TIMER_STARTED, 1)
        before = len(await events_of(handle))
        await update(handle, "2 decline")
        await dev_house.gateway.wait_for(marker, 2)
        await dev_house.reached(accepted, MailState.AWAITING_USER)
        await happened(handle, EventType.EVENT_TYPE_TIMER_STARTED, 2)
        assert len(await events_of(handle)) - before <= 20
        await update(handle, "3")
