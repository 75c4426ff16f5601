"""One letter from an agent to another: delivered, tried again, waiting, or a dead letter."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.deliver_letter import DeliverLetter
from activities.nudge_again import NudgeAgain
from activities.settle_letter import SettleLetter
from activities.tell_overseer import TellOverseer
from mailroom.models.agent_mail import (
    ENDED,
    AgentMailInput,
    Attempt,
    DeliverInput,
    Delivery,
    EscalateInput,
    Event,
    Heard,
    LetterProgress,
    LetterState,
    Move,
    News,
    Priority,
    Result,
    SettleInput,
    TellOverseerInput,
    nearer,
    retry_pause,
)
from workflows import letter_display, letter_policies
from workflows.search_attributes import MAIL_ATTEMPTS, MAIL_STATE

HEARD_LIMIT = 1_000
MOST_ESCALATIONS = 2


@workflow.defn
class AgentMailWorkflow:
    @workflow.init
    def __init__(self, mail: AgentMailInput) -> None:
        # Handlers may run before `run`, so nothing is set there.
        self.mail = mail
        self.letter = mail.letter
        self.terms = mail.terms
        self.progress = mail.carried or LetterProgress()
        self.heard: list[Heard] = []
        self.shown = mail.carried is not None

    @workflow.run
    async def run(self, mail: AgentMailInput) -> LetterProgress:
        await self.until_due()
        self.enter(self.progress.state, began_at=self.progress.began_at or workflow.now())
        if self.progress.resting:
            await self.rest()
        elif self.progress.state is LetterState.DEAD_LETTER:
            await self.until_replayed()
        while self.progress.state not in ENDED:
            await self.take_in(await self.attempt())
        await self.until_acknowledged()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.progress

    # The steps

    async def until_due(self) -> None:
        """A rule may delay a letter."""
        not_before = self.letter.not_before
        if not_before is None or not_before <= workflow.now() or self.progress.step:
            return
        await workflow.execute_activity_method(
            SettleLetter.hold_letter, self.letter, **letter_policies.of_settling(LetterState.QUEUED)
        )
        if await self.something(nearer(not_before, self.letter.expires_at)):
            await self.hear(self.heard.pop(0))

    async def attempt(self) -> Attempt:
        self.enter(LetterState.DELIVERING, step=self.progress.step + 1)
        pushed = False
        if self.goes_at_once():
            attempt = await self.at_once()
            if attempt and attempt.result is not Result.PENDING:
                return attempt
            pushed = attempt is not None
        while True:
            try:
                return await workflow.execute_activity_method(
                    DeliverLetter.deliver_letter,
                    self.delivery(pushed=pushed),
                    **letter_policies.of_delivery(self.terms),
                )
            except ActivityError:
                # Our own store or worker went away: no attempt on the recipient.
                await workflow.sleep(letter_policies.STORE_PAUSE)

    def goes_at_once(self) -> bool:
        """The first try of what interrupts nobody: most letters need no more than that."""
        queued = self.letter.delivery is Delivery.QUEUE
        return self.progress.step == 1 and queued and not self.has_expired()

    async def at_once(self) -> Attempt | None:
        """None where that failed, for a reason of ours."""
        try:
            return await workflow.execute_local_activity_method(
                DeliverLetter.deliver_at_once,
                self.delivery(),
                **letter_policies.AT_ONCE,
            )
        except ActivityError:
            return None

    def delivery(self, *, pushed: bool = False) -> DeliverInput:
        return DeliverInput(
            letter=self.letter,
            terms=self.terms,
            step=self.progress.step,
            attempts=self.progress.attempts,
            expired=self.has_expired(),
            pushed=pushed,
        )

    async def take_in(self, attempt: Attempt) -> None:
        """What the attempt brought, and the rest that follows from it."""
        match attempt.result:
            case Result.ARRIVED:
                self.enter(attempt.state, session_id=attempt.session_id, error=None)
            case Result.WAITS:
                ends = self.terms.queue_ttl and workflow.now() + self.terms.queue_ttl
                self.enter(attempt.state, error=attempt.error, rests_until=ends)
                await self.rest()
            case Result.UNANSWERED:
                await self.unanswered(attempt.error, attempt.state)
            case Result.DEAD:
                await self.dead(attempt.error or "It can't be delivered.")

    async def rest(self) -> None:
        """Until there is news, its next try, or its end."""
        self.enter(self.progress.state, resting=True)
        self.show()
        until = nearer(self.progress.rests_until, self.letter.expires_at)
        while not await self.something(nearer(until, self.escalates_at())):
            if until and workflow.now() >= until:
                break
            await self.escalate()
        self.enter(self.progress.state, resting=False, rests_until=None)
        if self.heard:
            await self.hear(self.heard.pop(0))
        elif self.progress.state is LetterState.QUEUED or self.has_expired():
            await self.settle(LetterState.EXPIRED, Event.EXPIRED, "Nobody came for it in time.")

    def has_expired(self) -> bool:
        expires_at = self.letter.expires_at
        return expires_at is not None and workflow.now() >= expires_at

    async def hear(self, heard: Heard) -> None:
        match heard.news:
            case News.DELIVERED:
                await self.arrived(LetterState.DELIVERED, Event.ROUTED, heard.text)
            case News.ACKNOWLEDGED:
                await self.arrived(LetterState.ACKNOWLEDGED, Event.ACKNOWLEDGED, heard.text)
            case News.UNANSWERED:
                await self.unanswered(heard.text, None)
            case News.BURIED:
                await self.settle(LetterState.DEAD_LETTER, Event.DEAD, heard.text)
                await self.dead(heard.text or "It was put aside.")
            case News.DISCARDED:
                await self.settle(LetterState.DISCARDED, Event.DISCARDED, heard.text)
            case News.REPLAYED:
                await self.settle(LetterState.QUEUED, Event.REPLAYED, heard.text)
                self.enter(self.progress.state, attempts=0)

    async def arrived(self, state: LetterState, event: Event, how: str | None) -> None:
        """Who says how has written it down; a person who signals by hand has not."""
        if how:
            self.enter(state, error=None)
        else:
            await self.settle(state, event, None)

    async def unanswered(self, error: str | None, state: LetterState | None) -> None:
        """One more attempt failed; `state` is None where that is not written down yet."""
        failed = self.progress.attempts + 1
        if failed > self.terms.retries:
            await self.settle(LetterState.DEAD_LETTER, Event.DEAD, error)
            return await self.dead(error or "Nobody took it.")
        retry_at = workflow.now() + retry_pause(self.terms, failed)
        self.enter(LetterState.RETRYING, attempts=failed, error=error, rests_until=retry_at)
        if state is None:
            event = Event.ROUTING_FAILED
            await self.settle(LetterState.RETRYING, event, error, retry_at=retry_at)
        if self.progress.state is LetterState.RETRYING:
            await self.rest()
        return None

    async def dead(self, reason: str) -> None:
        """Kept until somebody replays or discards it."""
        if self.progress.state in ENDED:
            return
        self.enter(LetterState.DEAD_LETTER, error=reason, rests_until=None)
        if self.letter.priority is Priority.URGENT or self.letter.source:
            sentence = f"A letter could not be delivered ({reason.rstrip('.')}):"
            await self.tell_overseer(sentence, dead=True)
        await self.until_replayed()

    async def until_replayed(self) -> None:
        self.show()
        while self.progress.state is LetterState.DEAD_LETTER:
            await self.something(None)
            heard = self.heard.pop(0)
            if heard.news not in (News.UNANSWERED, News.BURIED):
                await self.hear(heard)

    async def until_acknowledged(self) -> None:
        """An urgent letter that nobody acknowledges: nudged again, then a person is told."""
        # Of a letter that arrived at once nothing was shown: that would cost a tenth of it.
        if self.shown or self.escalates_at():
            self.show()
        while self.progress.state is LetterState.DELIVERED and (deadline := self.escalates_at()):
            if not await self.acknowledged_by(deadline):
                await self.escalate()

    def escalates_at(self) -> datetime | None:
        """Twice, where nobody acknowledges an urgent letter, wherever it is."""
        within, began_at = self.terms.acknowledge_within, self.progress.began_at
        if within is None or began_at is None or self.progress.escalations == MOST_ESCALATIONS:
            return None
        return began_at + within * (self.progress.escalations + 1)

    async def acknowledged_by(self, deadline: datetime) -> bool:
        while await self.something(deadline):
            if (heard := self.heard.pop(0)).news is News.ACKNOWLEDGED:
                await self.hear(heard)
                return True
        return False

    async def escalate(self) -> None:
        """First the recipient is nudged again, then a person is told."""
        escalation = self.progress.escalations + 1
        self.enter(self.progress.state, escalations=escalation)
        if escalation < MOST_ESCALATIONS:
            try:
                await workflow.execute_activity_method(
                    NudgeAgain.nudge_again,
                    EscalateInput(letter=self.letter, escalation=escalation),
                    **letter_policies.of_telling("nudges again"),
                )
            except ActivityError as error:
                workflow.logger.warning("The second nudge failed: %s", error.cause)
        else:
            await self.tell_overseer("Nobody acknowledged an urgent letter:")

    async def tell_overseer(self, reason: str, *, dead: bool = False) -> None:
        try:
            await workflow.execute_activity_method(
                TellOverseer.tell_overseer,
                TellOverseerInput(letter=self.letter, reason=reason, dead=dead),
                **letter_policies.of_telling("tells the overseer"),
            )
        except ActivityError as error:
            # The page lists it all the same.
            workflow.logger.warning("The overseer could not be told: %s", error.cause)

    # How it waits, and what it writes down

    async def something(self, deadline: datetime | None) -> bool:
        """Whether there was news by the deadline."""
        remaining = None if deadline is None else deadline - workflow.now()
        if self.heard or (remaining is not None and remaining.total_seconds() <= 0):
            return bool(self.heard)
        suggested = workflow.info().is_continue_as_new_suggested
        try:
            await workflow.wait_condition(
                lambda: bool(self.heard) or suggested(), timeout=remaining
            )
        except TimeoutError:
            return False
        if not self.heard:
            await workflow.wait_condition(workflow.all_handlers_finished)
        if not self.heard:
            workflow.continue_as_new(self.mail.model_copy(update={"carried": self.progress}))
        return True

    async def settle(
        self,
        state: LetterState,
        event: Event,
        reason: str | None,
        *,
        retry_at: datetime | None = None,
    ) -> None:
        self.enter(state, step=self.progress.step + 1, error=reason)
        now = await workflow.execute_activity_method(
            SettleLetter.settle_letter,
            SettleInput(
                move=Move(
                    id=self.letter.id,
                    step=self.progress.step,
                    state=state,
                    event=event,
                    reason=reason,
                    attempts=self.progress.attempts,
                    retry_at=retry_at,
                    waits=state in (LetterState.RETRYING, LetterState.DEAD_LETTER),
                ),
                to=self.letter.to,
            ),
            **letter_policies.of_settling(state),
        )
        self.enter(now)

    def enter(self, state: LetterState, **more: object) -> None:
        self.progress = self.progress.model_copy(update={"state": state, **more})

    def show(self) -> None:
        """The points of rest, where people look."""
        self.shown = True
        state, attempts = self.progress.state, self.progress.attempts
        workflow.upsert_search_attributes(
            [MAIL_STATE.value_set(state), MAIL_ATTEMPTS.value_set(attempts)]
        )
        workflow.set_current_details(letter_display.details(self.letter, self.progress))

    def hears(self, news: News, text: str | None = None) -> None:
        if len(self.heard) < HEARD_LIMIT:
            self.heard.append(Heard(news=news, text=text))

    # What people and other steps say

    @workflow.signal(description="it arrived")
    def delivered(self, how: str = "") -> None:
        self.hears(News.DELIVERED, how)

    @workflow.signal(description="its recipient has dealt with it")
    def acknowledge(self, by: str = "") -> None:
        self.hears(News.ACKNOWLEDGED, by)

    @workflow.signal(description="an attempt of a drain failed; why")
    def unanswered_by(self, error: str = "") -> None:
        self.hears(News.UNANSWERED, error)

    @workflow.signal(description="to the dead letters; why")
    def bury(self, reason: str = "") -> None:
        self.hears(News.BURIED, reason)

    @workflow.signal(description="a dead letter is tried again, as if never tried before")
    def replay(self, by: str = "") -> None:
        self.hears(News.REPLAYED, by or None)

    @workflow.signal(description="nobody wants it any more")
    def discard(self, by: str = "") -> None:
        self.hears(News.DISCARDED, by or None)

    @workflow.query(description="where it stands")
    def status(self) -> LetterProgress:
        return self.progress
