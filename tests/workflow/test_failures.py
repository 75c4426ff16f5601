"""What our own worker or store does to a mail is not for its owner to mend."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from house import House
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.worker import Worker

from mailroom.models.email_reply import (
    Draft,
    DraftReplyInput,
    EmailReplyInput,
    MailRef,
    Notice,
    RecordInput,
    ReplyOutcome,
    SendReplyInput,
    Sent,
    Texted,
    TextOwnerInput,
)
from mailroom.models.names import MAIL_TASK_QUEUE
from mailroom.models.states import MailState
from mailroom.ports import StoreAway
from workflows.email_reply import EmailReplyWorkflow
from workflows.failures import cause, is_ours
from workflows.sandbox import sandbox
from workflows.stages import OWN_RETRIES

ATTEMPTS = 3


@dataclass
class Steps:
    """All steps of a mail, made up. Its draft meets a store that is `away` so many times."""

    away: int
    drafts: int = 0
    notices: list[Notice] = field(default_factory=list)
    recorded: list[MailState] = field(default_factory=list)

    @activity.defn
    async def draft_reply(self, request: DraftReplyInput) -> Draft:
        self.drafts += 1
        if self.drafts <= self.away:
            raise StoreAway("PostgreSQL can't be reached right now.")
        return Draft(revision=request.revision, code="A2B3", blob="0", length=2, excerpt="Hi")

    @activity.defn
    async def text_owner(self, request: TextOwnerInput) -> Texted:
        self.notices.append(request.notice)
        return Texted(sms_message_id="1", texts=1)

    @activity.defn
    async def record(self, request: RecordInput) -> None:
        self.recorded.append(request.state)

    @activity.defn
    async def send_reply(self, request: SendReplyInput) -> Sent:
        return Sent(message_id="<reply@x.y>", response="250 OK")


async def started(house: House, marker: str) -> WorkflowHandle[Any, ReplyOutcome]:
    mail = MailRef(
        owner="owner",
        message_id=f"<{marker}@x.y>",
        workflow_id=f"email-reply/{marker}",
        blob="0",
        reply_from="owner@mailroom.test",
        sender="john@example.com",
        subject=marker,
        received_at=datetime.now(UTC),
    )
    return await house.client.start_workflow(
        EmailReplyWorkflow.run,
        EmailReplyInput(mail=mail, reminder_after=timedelta(days=1), attempts=ATTEMPTS),
        id=mail.workflow_id,
        task_queue=f"{MAIL_TASK_QUEUE}-{marker}",
    )


def at_work(house: House, marker: str, steps: Steps) -> Worker:
    return Worker(
        house.client,
        task_queue=f"{MAIL_TASK_QUEUE}-{marker}",
        workflows=[EmailReplyWorkflow],
        activities=[steps.draft_reply, steps.text_owner, steps.record, steps.send_reply],
        workflow_runner=sandbox(),
    )


async def test_a_store_that_was_away_is_not_the_owners_business(house: House, marker: str) -> None:
    steps = Steps(away=ATTEMPTS)
    async with at_work(house, marker, steps):
        workflow = await started(house, marker)
        outcome = await workflow.result()
    assert outcome.state is MailState.TIMEOUT
    assert steps.drafts == ATTEMPTS + 1
    assert steps.notices == [Notice.DRAFT, Notice.REMINDER, Notice.EXPIRED]
    assert steps.recorded == [MailState.FAILED, MailState.TIMEOUT]


async def test_what_our_store_dies_of_again_and_again_is_told(house: House, marker: str) -> None:
    steps = Steps(away=1_000)
    async with at_work(house, marker, steps):
        workflow = await started(house, marker)
        outcome = await workflow.result()
    assert outcome.state is MailState.FAILED
    assert steps.drafts == ATTEMPTS * (1 + OWN_RETRIES)
    assert steps.notices == [Notice.FAILED]


@pytest.mark.parametrize(
    ("inner", "ours", "sentence"),
    [
        (ApplicationError("Away.", type="StoreAway"), True, "Away."),
        (ApplicationError("Refused.", type="Permanent"), False, "Refused."),
        (TimeoutError("x", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[]), True, "It took"),
        (
            TimeoutError("x", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]),
            False,
            "It took",
        ),
    ],
)
def test_whose_failure_it_was(inner: BaseException, ours: bool, sentence: str) -> None:
    error = ActivityError(
        "x",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="draft_reply",
        activity_id="1",
        retry_state=None,
    )
    error.__cause__ = inner
    assert is_ours(error) is ours
    assert cause(error).startswith(sentence)
