"""What the edges ask of workflows, and Temporal's refusals in our words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.models.email_reply import (
    EmailReplyInput,
    Outcome,
    OwnersWord,
    Progress,
    ReplyOutcome,
    SayInput,
    SupersededBy,
)
from mailroom.models.names import MAIL_TASK_QUEUE, reopened_id
from mailroom.models.receipts import LostText
from mailroom.models.rows import SentReply
from mailroom.models.states import MailState
from mailroom.ports import Permanent
from workflows.display import summary
from workflows.email_reply import EmailReplyWorkflow
from workflows.lost_text import LostTextWorkflow
from workflows.owner_notice import OwnerNoticeWorkflow
from workflows.search_attributes import MAIL_KIND, MAIL_OWNER, MAIL_PRIORITY, MAIL_STATE

START_TIMEOUT = timedelta(seconds=10)
HEALTH_TIMEOUT = timedelta(seconds=2)
VIP_PRIORITY, REPLY_PRIORITY = 2, 3


class NotRunning(Exception):
    """There is no such workflow, or it has ended."""


class NoAnswerYet(Exception):
    """No worker answered in time; the word may still be heard later."""


class TooBusy(Exception):
    """Temporal takes no more of this for now; nothing was done."""


class ReplyFlows:
    """What intake, bridge and CLI ask of reply workflows."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, mail: EmailReplyInput) -> bool:
        """Starts the mail's workflow; False if it was started before. Raises `Permanent`, and
        `TemporalUnavailable`; then the mail may have been started all the same."""
        try:
            await self._client.start_workflow(
                EmailReplyWorkflow.run,
                mail,
                id=mail.mail.workflow_id,
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=_search_attributes(mail),
                static_summary=summary(mail.mail),
                static_details=mail.mail.message_id,
                priority=Priority(priority_key=_priority(mail)),
                rpc_timeout=START_TIMEOUT,
                request_eager_start=True,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Permanent(f"Temporal refuses the mail: {error.message}") from error
            raise TemporalUnavailable(f"Temporal did not take the mail: {error.message}") from error
        return True

    async def decide(self, workflow_id: str, word: OwnersWord, within: timedelta) -> Outcome:
        """Asks by update; raises `NotRunning`, `NoAnswerYet`, `TooBusy` or
        `TemporalUnavailable`."""
        handle = self._reply(workflow_id)
        async with answered(within):
            return await handle.execute_update(EmailReplyWorkflow.decide, word)

    async def heard(self, workflow_id: str, word_id: str, within: timedelta) -> Outcome | None:
        """What became of a word, also of a workflow that has ended since; None if it is not
        known (any more)."""
        handle = self._reply(workflow_id)
        try:
            async with answered(within):
                return await handle.query(EmailReplyWorkflow.heard, word_id)
        except (NotRunning, NoAnswerYet, WorkflowQueryFailedError):
            return None

    async def command(
        self, workflow_id: str, word: OwnersWord, within: timedelta = START_TIMEOUT
    ) -> None:
        await self._signal(workflow_id, "command", word, within=within)

    async def retry(self, workflow_id: str) -> None:
        await self._signal(workflow_id, "retry")

    async def expire(self, workflow_id: str) -> None:
        await self._signal(workflow_id, "expire")

    async def supersede(self, workflow_id: str, by: SupersededBy) -> None:
        await self._signal(workflow_id, "supersede", by)

    async def say(self, notice_id: str, notice: SayInput, within: timedelta) -> None:
        """Texts a sentence durably, once for each ID."""
        await self._once(OwnerNoticeWorkflow.run, notice, notice_id, "answer to a text", within)

    async def reopen(
        self, sent: SentReply, first_id: str, why: str, text_after: datetime | None
    ) -> bool:
        """The mail goes on in a workflow of its own, since its reply came back. False where
        Temporal has forgotten the one that sent it."""
        try:
            async with answered(START_TIMEOUT):
                mail = await self._input(sent.workflow_id)
                draft = await self._reply(sent.workflow_id).query(EmailReplyWorkflow.current_draft)
        except (NotRunning, NoAnswerYet):
            return False
        if draft is None:
            return False
        workflow_id = reopened_id(first_id, sent.reopened + 1)
        revision = draft.revision
        progress = Progress(
            state=MailState.FAILED,
            step=sent.step + 1,
            draft=draft,
            wanted_revision=revision,
            texted_revision=revision,
        )
        reference = mail.mail.model_copy(update={"workflow_id": workflow_id})
        known = {"mail": reference, "bounced": why, "carried": progress, "text_after": text_after}
        await self.start(mail.model_copy(update=known))
        return True

    async def _input(self, workflow_id: str) -> EmailReplyInput:
        events = self._client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1)
        begun = (await anext(events)).workflow_execution_started_event_attributes
        [mail] = await self._client.data_converter.decode(begun.input.payloads, [EmailReplyInput])
        assert isinstance(mail, EmailReplyInput)
        return mail

    async def tell_bounced(self, notice: SayInput, after: timedelta | None) -> None:
        """Tells the owner durably, `after` some time, that a reply came back."""
        note, run = "a reply came back", OwnerNoticeWorkflow.run
        await self._once(run, notice, notice.reference, note, START_TIMEOUT, after=after)

    async def tell_lost(self, notice_id: str, text: LostText, within: timedelta) -> None:
        """Tells the owner of a lost text durably, once for each ID."""
        note = f"a text was {text.status}"
        await self._once(LostTextWorkflow.run, text, notice_id, note, within)

    async def healthy(self) -> bool:
        try:
            return await self._client.service_client.check_health(timeout=HEALTH_TIMEOUT)
        except RPCError:
            return False

    def _reply(self, workflow_id: str) -> WorkflowHandle[EmailReplyWorkflow, ReplyOutcome]:
        return self._client.get_workflow_handle(workflow_id, result_type=ReplyOutcome)

    async def _once(
        self,
        run: Callable[..., Awaitable[None]],
        about: SayInput | LostText,
        notice_id: str,
        note: str,
        within: timedelta,
        *,
        after: timedelta | None = None,
    ) -> None:
        with suppress(WorkflowAlreadyStartedError):
            async with answered(within):
                await self._client.start_workflow(
                    run,
                    about,
                    id=notice_id,
                    task_queue=MAIL_TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    static_summary=note,
                    start_delay=after,
                )

    async def _signal(
        self,
        workflow_id: str,
        name: str,
        *args: OwnersWord | SupersededBy,
        within: timedelta = START_TIMEOUT,
    ) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        async with answered(within):
            await handle.signal(name, args=list(args))


@asynccontextmanager
async def answered(within: timedelta) -> AsyncIterator[None]:
    """Temporal's refusals in our words; `NoAnswerYet` if it takes longer.

    The SDK's own time-out is that of one try, and it tries again for 10 s while Temporal is busy
    (11 updates at once: 6 s with a time-out of 2) or away.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise NoAnswerYet("No worker answered in time.") from error
    except RPCError as error:
        raise _translated(error) from error


def _priority(mail: EmailReplyInput) -> int:
    return VIP_PRIORITY if mail.vip else REPLY_PRIORITY


def _search_attributes(mail: EmailReplyInput) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(MAIL_KIND, "email_reply"),
            SearchAttributePair(MAIL_STATE, MailState.PENDING),
            SearchAttributePair(MAIL_OWNER, mail.mail.owner),
            SearchAttributePair(MAIL_PRIORITY, _priority(mail)),
        ]
    )


def _translated(error: RPCError) -> Exception:
    match error.status:
        case RPCStatusCode.NOT_FOUND:
            return NotRunning("This mail is closed already.")
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return NoAnswerYet("No worker answered in time.")
        case RPCStatusCode.RESOURCE_EXHAUSTED:
            return TooBusy("Too many answers to this mail at once; try again in a moment.")
        case _:
            return TemporalUnavailable(f"Temporal refused: {error.message}")
