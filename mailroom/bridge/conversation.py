"""What a text from the owner decides, and what they are told when it decides nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailroom.adapters.postgres.texts import InboundText
from mailroom.adapters.postgres.views import Answerable
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.context import Context
from mailroom.bridge.flows import NoAnswerYet, NotRunning, TooBusy
from mailroom.bridge.workflows import closed
from mailroom.models import sms_notices
from mailroom.models.base import Frozen
from mailroom.models.email_reply import VIA_LENGTH, Outcome, OwnersWord, SayInput, Verdict
from mailroom.models.names import owner_notice_id
from mailroom.models.words import Reserved, Said, Unclear, parse_word

# The webhook answers within 3 s whatever happens behind it.
DECIDE_WITHIN = timedelta(seconds=2)
KEEP_WITHIN = timedelta(seconds=0.8)
STOPS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
STARTS = frozenset({"START", "UNSTOP", "YES"})


class Resolution(Frozen):
    """Which draft a text is about; decided once, so that a redelivery can't mean another."""

    workflow_id: str
    message_id: str
    revision: int
    owner: str | None = None


class Answer(Frozen):
    """What came of a text, as the webhook answers it."""

    outcome: str
    text: str
    message_id: str | None = None
    resolution: Resolution | None = None


KEPT = Answer(outcome="kept", text="The answer is kept; the outcome will be texted.")


@dataclass(frozen=True)
class Conversation:
    """`said_at` is when a text came that was kept meanwhile: whoever sent it got no answer yet."""

    the: Context
    said_at: datetime | None = None

    async def hear(self, text: InboundText, keyword: str | None = None) -> Answer:
        """Safe to repeat: the same text gives the same answer. `keyword` is the carriers' word
        that the provider took the text for, whatever it says."""
        said = Said(command=Reserved(keyword=keyword)) if keyword else parse_word(text.body)
        stored, otherwise = await self._received(text, said)
        if stored:
            answer = await self._decide(text, stored)
        else:
            answer = await self._explain(text, said, otherwise)
        kept = await self.the.texts.answer(text, answer.model_dump(mode="json"))
        return Answer.model_validate(kept)

    async def _received(
        self, text: InboundText, said: Said
    ) -> tuple[dict[str, object] | None, Answer | None]:
        """What is kept with the text: the draft it is about. Else why there is none, if the text
        is a decision at all."""
        if isinstance(said.command, Reserved | Unclear):
            return await self.the.texts.receive(text, None), None
        if said.code:
            unknown = Answer(outcome="unknown_code", text=f"No draft has the code {said.code}.")
            return await self.the.texts.receive_about(text, said.code), unknown
        found = await self._only_one(text.owner)
        if isinstance(found, Answer):
            return await self.the.texts.receive(text, None), found
        return await self.the.texts.receive(text, _resolution(found)), None

    async def _only_one(self, owner: str) -> Answerable | Answer:
        """The only draft that waits, or what to say where there are more or none."""
        found = [one for one in await self.the.views.waiting(owner) if self._was_known(one)]
        # Without a code a word is about what waits for one, before what is to be sent later.
        waiting = [draft for draft in found if not draft.scheduled] or found
        if len(waiting) == 1:
            return waiting[0]
        if not waiting:
            return Answer(outcome="nothing_waiting", text=sms_notices.nothing_waiting_text())
        listed = [(draft.code, draft.sender, draft.subject) for draft in waiting]
        return Answer(outcome="ambiguous", text=sms_notices.waiting_list_text(listed))

    def _was_known(self, draft: Answerable) -> bool:
        """Nobody means a draft that was made after they wrote."""
        return self.said_at is None or draft.created_at <= self.said_at

    async def _decide(self, text: InboundText, stored: dict[str, object]) -> Answer:
        if "outcome" in stored:
            return Answer.model_validate(stored)
        return await self._ask(text, Resolution.model_validate(stored["resolution"]))

    async def _explain(self, text: InboundText, said: Said, found: Answer | None) -> Answer:
        if found:
            await self._tell(text, found.text)
            return found
        if isinstance(said.command, Reserved):
            return await self._reserved(text, said.command.keyword)
        return await self._not_understood(text)

    async def _ask(self, text: InboundText, resolution: Resolution) -> Answer:
        word = OwnersWord(
            text=text.body,
            revision=resolution.revision,
            id=text.provider_id,
            via=_via(text, resolution),
        )
        try:
            outcome = await self._decided(resolution.workflow_id, word)
        except NotRunning:
            outcome = await self._closed(resolution.workflow_id, text.provider_id)
        if outcome is None:
            return _answer(KEPT.outcome, KEPT.text, resolution)
        if outcome.verdict is Verdict.REFUSED or self.said_at:
            await self._tell(text, outcome.text)
        return _answer(outcome.verdict, outcome.text, resolution)

    async def _decided(self, workflow_id: str, word: OwnersWord) -> Outcome | None:
        try:
            return await self.the.flows.decide(workflow_id, word, DECIDE_WITHIN)
        except (NoAnswerYet, TooBusy, TemporalUnavailable):
            # The workflow texts the outcome of a word that came as a signal with an ID.
            await self.the.flows.command(workflow_id, word, KEEP_WITHIN)
            return None

    async def _closed(self, workflow_id: str, word_id: str) -> Outcome:
        """What this very word brought about before the mail was closed, else that it is."""
        heard = await self.the.flows.heard(workflow_id, word_id, KEEP_WITHIN)
        if heard:
            return heard
        row = await self.the.views.by_workflow(workflow_id)
        if row is None:
            raise NotRunning(f"{workflow_id} has neither a workflow nor a row.")
        return closed(row)

    async def _reserved(self, text: InboundText, keyword: str) -> Answer:
        """The carriers' words are never commands of ours."""
        if keyword in STOPS:
            await self.the.texts.set_stopped(text.number, stopped=True)
            return Answer(outcome="stopped", text="No more texts go to this number.")
        if keyword in STARTS:
            await self.the.texts.set_stopped(text.number, stopped=False)
            return Answer(outcome="started", text="Texts go to this number again.")
        return await self._not_understood(text)

    async def _not_understood(self, text: InboundText) -> Answer:
        """A short explanation, once per number and hour, none after STOP."""
        explanation = sms_notices.help_text()
        if await self.the.texts.may_explain(text.number):
            await self._tell(text, explanation)
        return Answer(outcome="not_understood", text=explanation)

    async def _tell(self, text: InboundText, sentence: str) -> None:
        notice_id = owner_notice_id(text.number, text.provider_id)
        await self.the.flows.say(
            notice_id,
            SayInput(owner=text.owner, to=text.number, text=sentence, reference=notice_id),
            KEEP_WITHIN,
        )


def _resolution(draft: Answerable) -> dict[str, object]:
    """Which draft a text is about, as it is stored with the text."""
    meant = Resolution(
        workflow_id=draft.workflow_id,
        message_id=draft.message_id,
        revision=draft.revision,
        owner=draft.owner,
    )
    return {"resolution": meant.model_dump()}


def _answer(outcome: str, text: str, resolution: Resolution) -> Answer:
    return Answer(
        outcome=outcome, text=text, message_id=resolution.message_id, resolution=resolution
    )


def _via(text: InboundText, resolution: Resolution) -> str:
    """How it was said, and by whom if not by the mail's owner."""
    own = resolution.owner in (None, text.owner)
    return "sms" if own else f"sms, {text.owner}"[:VIA_LENGTH]
