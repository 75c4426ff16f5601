"""What the edges and steps ask of letters' workflows."""

from contextlib import suppress
from datetime import timedelta

from temporalio.client import Client
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
from mailroom.bridge.flows import NotRunning, answered
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import AgentMailInput, DrainInput, Letter, LetterState
from mailroom.models.names import MAIL_TASK_QUEUE, agent_mail_id, drain_id
from mailroom.ports import Permanent
from workflows.agent_mail import AgentMailWorkflow
from workflows.letter_display import summary
from workflows.mailbox_drain import MailboxDrainWorkflow
from workflows.search_attributes import MAIL_KIND, MAIL_PRIORITY, MAIL_STATE

START_TIMEOUT = timedelta(seconds=10)
BY_AGE_ALONE = 3


class LetterFlows:
    def __init__(self, client: Client, agents: AgentsSection) -> None:
        self._client = client
        self._agents = agents

    async def start(self, mail: AgentMailInput, *, again: bool = False) -> bool:
        """Starts the letter's workflow; False if it was started before, or, `again`, if it runs.
        Raises `Permanent`, and `TemporalUnavailable`; then it may have been started all the
        same."""
        letter = mail.letter
        reuse = (
            WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if again
            else WorkflowIDReusePolicy.REJECT_DUPLICATE
        )
        try:
            await self._client.start_workflow(
                AgentMailWorkflow.run,
                mail,
                id=agent_mail_id(letter.id),
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=_search_attributes(letter),
                static_summary=summary(letter),
                priority=Priority(priority_key=self._priority(letter)),
                rpc_timeout=START_TIMEOUT,
                request_eager_start=True,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Permanent(f"Temporal refuses the letter: {error.message}") from error
            raise TemporalUnavailable(
                f"Temporal did not take the letter: {error.message}"
            ) from error
        return True

    async def drain(self, address: str, *, gathers: bool = False) -> None:
        """Once at a time for each address; one that runs looks again."""
        within = self._agents.for_address(address).batch.within
        async with answered(START_TIMEOUT):
            await self._client.start_workflow(
                MailboxDrainWorkflow.run,
                DrainInput(address=address, gathers=gathers, within=within),
                id=drain_id(address),
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal="again",
                start_signal_args=[gathers],
            )

    async def tell_letter(self, letter_id: str, news: str, *args: str) -> None:
        """A signal; a workflow that has ended needs none."""
        with suppress(NotRunning):
            await self.signal(letter_id, news, *args)

    async def signal(self, letter_id: str, news: str, *args: str) -> None:
        """Raises `NotRunning` where the workflow has ended."""
        handle = self._client.get_workflow_handle(agent_mail_id(letter_id))
        async with answered(START_TIMEOUT):
            await handle.signal(news, args=list(args))

    def _priority(self, letter: Letter) -> int:
        by_priority = self._agents.enable_priority_processing
        return letter.priority.temporal if by_priority else BY_AGE_ALONE


def _search_attributes(letter: Letter) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(MAIL_KIND, "agent_mail"),
            SearchAttributePair(MAIL_STATE, LetterState.DELIVERING),
            SearchAttributePair(MAIL_PRIORITY, letter.priority.temporal),
        ]
    )
