"""One outbound message: scheduled, delivered, tried again, held, given up."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as WorkflowTimeout

from activities.deliver_message import DeliverMessage
from activities.settle_message import SettleMessage
from mailroom.models.outbound.message import (
    Change,
    DeliverInput,
    Order,
    OutboundInput,
    OutboundProgress,
    Outcome,
    Settled,
    Word,
)
from mailroom.models.outbound.orders import (
    LONGEST_NAME,
    LONGEST_REASON,
    as_said,
    changes_nothing,
    step_of,
    still_meant,
    temporal_priority,
)
from mailroom.models.outbound.transitions import ENDED
from mailroom.models.outbound.words import MessageQueueStatus
from workflows import outbound_display, outbound_policies
from workflows.search_attributes import MAIL_ATTEMPTS, MAIL_PRIORITY, MAIL_QUEUE, MAIL_STATE

S = MessageQueueStatus


@workflow.defn
class OutboundMessageWorkflow:
    @workflow.init
    def __init__(self, outbound: OutboundInput) -> None:
        # Handlers may run before `run`, so nothing is set there.
        self.message = outbound.message
        self.progress = outbound.carried or _before(outbound)
        self.heard: list[Word] = []
        self.unheeded: list[Word] = []
        self.woken = False
        self.trying = False

    @workflow.run
    async def run(self, outbound: OutboundInput) -> OutboundProgress:
        while self.progress.status not in ENDED:
            if self.heard:
                await self.hear(self.heard.pop(0))
            elif self.has_expired():
                await self.hear(Word(order=Order.EXPIRE))
            elif self.is_due():
                await self.attempt()
            else:
                await self.rest()
        self.show()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.progress

    # The steps

    async def attempt(self) -> None:
        """One activity. Until a worker begins with it, what people say comes first."""
        self.woken, self.trying = False, True
        self.enter(step=self.progress.step + 1)
        trying = workflow.start_activity_method(
            DeliverMessage.deliver_message,
            DeliverInput(
                id=self.message.id, step=self.progress.step, attempt=self.progress.num_attempts + 1
            ),
            **outbound_policies.of_delivery(self.message, self.left()),
        )
        while not await self.is_over(trying):
            if await self.hear(self.heard.pop(0)):
                # The claim is void: its step is an older one now.
                trying.cancel()
                break
        else:
            await self.take_in(trying)
        self.heard = [*self.unheeded, *self.heard]
        self.unheeded, self.trying = [], False

    async def is_over(self, trying: "workflow.ActivityHandle[Outcome]") -> bool:
        """False where somebody spoke before it was."""
        await workflow.wait_condition(lambda: trying.done() or bool(self.heard))
        return trying.done()

    async def take_in(self, trying: "workflow.ActivityHandle[Outcome]") -> None:
        try:
            outcome = await trying
        except ActivityError as error:
            if isinstance(error.cause, WorkflowTimeout):
                return  # no worker began with it before the message's time was over
            raise
        self.progress = self.progress.model_copy(update=outcome.model_dump(exclude={"at"}))
        self.unheeded = [word for word in self.unheeded if still_meant(word, outcome)]
        self.heard = [word for word in self.heard if still_meant(word, outcome)]
        if self.woken:
            # Its queue was opened while it came back with the news that it is closed.
            self.enter(held=False)
        if self.progress.status not in ENDED:
            self.show()

    async def rest(self) -> None:
        """Until somebody speaks, its next attempt, or its end."""
        due = None if self.is_kept() else self.progress.next_attempt_at
        ends = min(filter(None, (due, self.message.expires_at)), default=None)
        suggested = workflow.info().is_continue_as_new_suggested
        try:
            await workflow.wait_condition(
                lambda: bool(self.heard) or suggested(), timeout=self.until(ends)
            )
        except TimeoutError:
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self.heard:
            workflow.continue_as_new(OutboundInput(message=self.message, carried=self.progress))

    # What is said

    async def hear(self, word: Word) -> bool:
        """Whether the message is elsewhere now, so that an attempt is void."""
        if word.order is Order.WAKE:
            self.woken = True
            self.enter(held=False)
            return False
        if word.change is not None:
            return self.adopted(word.change)
        if word.order is Order.REPORTED:
            self.enter(status=word.status or self.progress.status, reason=word.reason)
            return True
        if not changes_nothing(word, self.progress):
            return await self.settle(word)
        if self.unheeded:
            # Perhaps it takes back one of these, which are followed later.
            self.unheeded.append(word)
        return False

    def adopted(self, change: Change) -> bool:
        """An operation over many has written it down already."""
        self.bind(
            Word(**change.model_dump(include={"queue_name", "priority"}), order=Order.ADOPT),
            change.weight,
        )
        if change.step <= self.progress.step:
            return False
        self.enter(
            status=change.status,
            step=change.step,
            next_attempt_at=change.next_attempt_at,
            reason=change.reason or self.progress.reason,
            held=False,
            unknown=self.progress.unknown and change.status is S.SUSPENDED,
        )
        if change.status not in ENDED:
            self.show()
        return True

    async def settle(self, word: Word) -> bool:
        step = step_of(self.message.id, word, self.progress, workflow.now())
        step = step.model_copy(update={"idle": not self.trying})
        found = await workflow.execute_activity_method(
            SettleMessage.settle_message, step, **outbound_policies.of_settling(step.event)
        )
        if not found.followed:
            return self.came_too_late(word, found)
        self.enter(
            status=found.status,
            step=step.step,
            next_attempt_at=step.next_attempt_at,
            reason=step.reason or self.progress.reason,
            held=False,
            unknown=self.progress.unknown and word.order is not Order.RETRY,
        )
        self.bind(word, found.weight)
        if found.status not in ENDED:
            self.show()
        return True

    def came_too_late(self, word: Word, found: Settled) -> bool:
        """A delivery is under way, or has ended and is not known here yet; or a report has ended
        the message; or this history was reset, and the row is ahead of it."""
        if found.status in ENDED:
            self.enter(status=found.status)
            return True
        if self.trying:
            self.unheeded.append(word)
        elif found.step > self.progress.step:
            self.enter(step=found.step)
            self.heard.insert(0, word)
        return False

    def bind(self, word: Word, weight: float) -> None:
        changes: dict[str, object] = {"weight": weight}
        if word.queue_name is not None:
            changes["queue_name"] = word.queue_name
        if word.priority is not None:
            changes["priority"] = word.priority
        self.message = self.message.model_copy(update=changes)

    # Where it stands

    def is_kept(self) -> bool:
        """Nothing happens to it until somebody speaks, or its time is over."""
        return (
            self.progress.held
            or self.progress.relayed
            or self.progress.status in (S.SUSPENDED, S.IN_DELIVERY)
        )

    def is_due(self) -> bool:
        at = self.progress.next_attempt_at
        return not self.is_kept() and (at is None or at <= workflow.now())

    def has_expired(self) -> bool:
        return workflow.now() >= self.message.expires_at

    def left(self) -> timedelta:
        return max(self.message.expires_at - workflow.now(), timedelta(seconds=1))

    def until(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else max(moment - workflow.now(), timedelta())

    def enter(self, **more: object) -> None:
        self.progress = self.progress.model_copy(update=more)

    def show(self) -> None:
        """The points of rest and the end, where people look."""
        workflow.upsert_search_attributes(
            [
                MAIL_STATE.value_set(self.progress.status),
                MAIL_ATTEMPTS.value_set(self.progress.num_attempts),
                MAIL_QUEUE.value_set(self.message.queue_name),
                MAIL_PRIORITY.value_set(temporal_priority(self.message.priority)),
            ]
        )
        if self.progress.status not in ENDED:
            workflow.set_current_details(outbound_display.details(self.message, self.progress))

    def hears(self, word: Word) -> None:
        # However many: Temporal takes 10,000 signals for a run, and what it has taken counts.
        self.heard.append(word.model_copy(update={"at": workflow.now()}))

    def is_told(self, word: Word) -> None:
        """By other steps, which say it once: it is never too much, and once is enough."""
        if word not in self.heard:
            self.heard.append(word)

    # What people and other steps say

    @workflow.signal(description="keep it until it is resumed; why")
    def suspend(self, reason: str = "") -> None:
        self.hears(Word(order=Order.SUSPEND, reason=_reason(reason)))

    @workflow.signal(description="go on with what was suspended; why")
    def resume(self, reason: str = "") -> None:
        self.hears(Word(order=Order.RESUME, reason=_reason(reason)))

    @workflow.signal(description="to another queue; its name, and why")
    def rebind(self, queue_name: str, reason: str = "") -> None:
        if name := as_said(queue_name, LONGEST_NAME):
            self.hears(Word(order=Order.REBIND, queue_name=name, reason=_reason(reason)))

    @workflow.signal(description="give it up as bounced; why")
    def bounce(self, reason: str = "") -> None:
        self.hears(Word(order=Order.BOUNCE, reason=_reason(reason)))

    @workflow.signal(description="try it now, also what may have been sent; why")
    def retry(self, reason: str = "") -> None:
        self.hears(Word(order=Order.RETRY, reason=_reason(reason)))

    @workflow.signal(description="give it up; why")
    def cancel(self, reason: str = "") -> None:
        self.hears(Word(order=Order.CANCEL, reason=_reason(reason)))

    @workflow.signal(description="another priority, 0 to 10")
    def set_priority(self, priority: int) -> None:
        if 0 <= priority <= 10:
            self.hears(Word(order=Order.SET_PRIORITY, priority=priority))

    @workflow.signal(description="its queue does not hold it any more")
    def wake(self) -> None:
        self.is_told(Word(order=Order.WAKE))

    @workflow.signal(description="a report was written down: the status, and why")
    def reported(self, status: str, reason: str = "") -> None:
        if status in ENDED:
            self.is_told(Word(order=Order.REPORTED, status=S(status), reason=_reason(reason)))

    @workflow.signal(description="an operation over many messages has left it so")
    def adopt(self, change: Change) -> None:
        self.heard.append(Word(order=Order.ADOPT, change=change))

    @workflow.query(description="where it stands")
    def status(self) -> OutboundProgress:
        return self.progress


def _reason(text: str) -> str | None:
    return as_said(text, LONGEST_REASON) or None


def _before(outbound: OutboundInput) -> OutboundProgress:
    scheduled_at = outbound.message.scheduled_at
    if scheduled_at is None:
        return OutboundProgress()
    return OutboundProgress(status=S.SCHEDULED, next_attempt_at=scheduled_at)
