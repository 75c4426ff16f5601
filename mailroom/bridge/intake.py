"""Accepts one mail: the bytes durable, then the workflow. Every way in ends here."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailroom.bridge.flows import NotRunning, ReplyFlows
from mailroom.bridge.queue_returns import Returns
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.bounced_reply import BouncedReply, bounced_reply
from mailroom.models.email_reply import EmailReplyInput, MailRef, SayInput, SupersededBy
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.names import bounced_reply_id, email_reply_id
from mailroom.models.owner import Owner, may_text_at
from mailroom.models.planning import planned, takes
from mailroom.models.rows import OpenMail
from mailroom.models.sms_notices import returned_text
from mailroom.models.triage import is_one_of, mailbox_forms
from mailroom.ports import Blobs, EmailStore, Permanent

log = structlog.get_logger()

UNKNOWN_SENDER = "(no sender)"
FALLBACK_ADDRESS = "owner@localhost"
IN_THREAD_ABOVE = 256 * 1024
LISTED_AFTER_SECONDS = 0.25


class NobodysMail(Permanent):
    """A mail to none of the owners; the message says so."""


class Intake:
    def __init__(
        self,
        blobs: Blobs,
        store: EmailStore,
        flows: ReplyFlows,
        owners: Mapping[str, Owner],
        *,
        reminder_after: timedelta,
        attempts: int,
        returns: Returns | None = None,
    ) -> None:
        self._blobs = blobs
        self._store = store
        self._flows = flows
        self._owners = owners
        self._by_mailbox = {
            form: owner
            for owner in owners.values()
            for address in owner.addresses
            for form in mailbox_forms(address)
        }
        self._reminder_after = reminder_after
        self._attempts = attempts
        self._returns = returns
        self._unlisted: list[MailRef] = []
        self._listings: set[asyncio.Task[None]] = set()

    def knows(self, address: str) -> bool:
        """Whether mail to this address is taken; a single owner takes any, and says of what is
        not theirs why it is ignored. So is mail to the bounce addresses of our messages."""
        if self._returns and self._returns.message_of(address):
            return True
        if self._returns and self._returns.refuses(address):
            return False
        return len(self._owners) == 1 or self._owner_at(address) is not None

    def _owner_at(self, address: str) -> Owner | None:
        forms = mailbox_forms(address)
        return next((self._by_mailbox[form] for form in forms if form in self._by_mailbox), None)

    async def accept(self, arrival: Arrival) -> Accepted:
        """Returns once blob and workflow are durable; raises if either can't be, and
        `NobodysMail`. A mail to several owners is several workflows; the first one's answer. A
        bounce or a complaint about an outbound message is a report, and no owner's mail."""
        if self._returns:
            rest = await self._returns.take(arrival)
            if isinstance(rest, Accepted):
                return rest
            arrival = rest
        mail, owners = await self.read(arrival)
        for owner in owners:
            await self._reopen(owner, arrival)
        blob = await self._blobs.put(arrival.raw)
        accepted = [await self._begin(owner, mail, arrival, blob) for owner in owners]
        return accepted[0]

    async def read(self, arrival: Arrival) -> tuple[IncomingMail, list[Owner]]:
        """The mail, and whose it is: nobody's where it came to bounce addresses alone. Raises
        `NobodysMail`."""
        mail = await _read(arrival.raw)
        named = self._returns.others(arrival).recipients if self._returns else arrival.recipients
        if arrival.recipients and not named:
            return mail, []
        return mail, self._receivers(mail, named)

    def _receivers(self, mail: IncomingMail, recipients: Sequence[str]) -> list[Owner]:
        owners = list(self._owners.values())
        if len(owners) == 1:
            return owners
        named = recipients or [one.address for one in (*mail.to, *mail.cc, *mail.bcc)]
        found = {owner.id: owner for address in named if (owner := self._owner_at(address))}
        if not found:
            raise NobodysMail("None of the mail's recipients is an owner of this Mailroom.")
        return list(found.values())

    async def _begin(
        self, owner: Owner, mail: IncomingMail, arrival: Arrival, blob: str
    ) -> Accepted:
        by, superseded = await self._superseded(owner, mail)
        if arrival.why_not and by is SupersededBy.LATER_MAIL:
            # No draft will be for both.
            superseded = []
        reply = self._reply(owner, mail, arrival, blob)
        if by is SupersededBy.LATER_MAIL:
            earlier = tuple(each.blob for each in superseded)
            reply = reply.model_copy(update={"earlier": earlier})
        new = await self._flows.start(reply)
        if new:
            self._list(reply.mail)
        for each in superseded:
            if not each.superseded:
                await self._supersede(each.workflow_id, by)
        return Accepted(reply.mail.workflow_id, mail.message_id, new)

    async def _reopen(self, owner: Owner, arrival: Arrival) -> None:
        """The owner's reply came back: its mail goes on. The report itself is listed as any that is
        not answered."""
        now = datetime.now(UTC)
        bounced = await asyncio.to_thread(bounced_reply, arrival.raw, owner.id, now)
        sent = await self._store.sent_reply(bounced.workflow_id) if bounced else None
        if bounced is None or sent is None:
            return
        later = _later(may_text_at(owner, now, vip=False), now)
        reopened = await self._flows.reopen(sent, bounced.workflow_id, bounced.why, later)
        if not reopened and owner.phone:
            await self._tell_of_bounce(owner, bounced, later - now if later else None)

    async def _tell_of_bounce(
        self, owner: Owner, bounced: BouncedReply, after: timedelta | None
    ) -> None:
        """Of a mail that was answered too long ago to go on."""
        text = returned_text(bounced.recipient, bounced.why)
        reference = bounced_reply_id(bounced.workflow_id)
        notice = SayInput(owner=owner.id, text=text, reference=reference)
        await self._flows.tell_bounced(notice, after)

    async def owner_answered(self, owner: str, message_id: str) -> None:
        """The owner answered this mail in another program: a draft for it is superseded."""
        await self._supersede(email_reply_id(owner, message_id), SupersededBy.OWNER)

    async def _superseded(
        self, owner: Owner, mail: IncomingMail
    ) -> tuple[SupersededBy, list[OpenMail]]:
        """What this mail makes needless: drafts for mails that the owner answers with it, or
        that its sender follows up."""
        parents = dict.fromkeys((*mail.references, mail.in_reply_to or ""))
        ids = [each for each in parents if each and each != mail.message_id]
        if not ids or mail.sender is None:
            return SupersededBy.OWNER, []
        related = await self._store.unanswered(owner.id, ids)
        if is_one_of(mail.sender.address, owner.addresses):
            # The owner's answer is to its parent; what else was said before may still wait.
            own = email_reply_id(owner.id, mail.in_reply_to or ids[-1])
            return SupersededBy.OWNER, [one for one in related if one.workflow_id == own]
        if any(one.address != mail.sender.address for one in mail.reply_to):
            # Nobody takes over a conversation in whose name they write.
            return SupersededBy.LATER_MAIL, []
        sender = str(mail.sender)
        return SupersededBy.LATER_MAIL, [one for one in related if one.sender == sender]

    async def _supersede(self, workflow_id: str, by: SupersededBy) -> None:
        # What has ended meanwhile is superseded by nothing.
        with suppress(NotRunning):
            await self._flows.supersede(workflow_id, by)

    def _reply(
        self, owner: Owner, mail: IncomingMail, arrival: Arrival, blob: str
    ) -> EmailReplyInput:
        now = datetime.now(UTC)
        recipients = [each for each in arrival.recipients if takes(owner, each)]
        vip = mail.sender is not None and owner.is_vip(mail.sender.address)
        reference = MailRef(
            owner=owner.id,
            message_id=mail.message_id,
            workflow_id=email_reply_id(owner.id, mail.message_id),
            blob=blob,
            reply_from=_reply_from(owner, mail, recipients),
            sender=str(mail.sender) if mail.sender else UNKNOWN_SENDER,
            subject=mail.subject,
            received_at=now,
        )
        plan = planned(owner, mail, arrival, recipients)
        return EmailReplyInput(
            mail=reference,
            not_answerable=arrival.why_not or plan.not_answerable,
            only_notify=plan.only_notify,
            reminder_after=self._reminder_after,
            attempts=self._attempts,
            text_after=_later(may_text_at(owner, now, vip=vip), now),
            vip=vip,
            send_after=owner.send_after or None,
            delegate=owner.delegate,
            delegate_after=owner.delegate_after,
        )

    def _list(self, mail: MailRef) -> None:
        """Shows the mail as pending soon, with others. Its workflow is durable already and
        enters it too, so nobody waits for this."""
        self._unlisted.append(mail)
        if len(self._unlisted) == 1:
            task = asyncio.create_task(self._list_all())
            self._listings.add(task)
            task.add_done_callback(self._listings.discard)

    async def _list_all(self) -> None:
        await asyncio.sleep(LISTED_AFTER_SECONDS)
        mails, self._unlisted = self._unlisted, []
        try:
            await self._store.list_pending(mails)
        except SQLAlchemyError as error:
            log.warning("mails are not listed yet", mails=len(mails), error=str(error))


def _later(moment: datetime, now: datetime) -> datetime | None:
    return moment if moment > now else None


async def _read(raw: bytes) -> IncomingMail:
    if len(raw) > IN_THREAD_ABOVE:
        return await asyncio.to_thread(read_mail, raw)
    return read_mail(raw)


def _reply_from(owner: Owner, mail: IncomingMail, recipients: Sequence[str]) -> str:
    """The address of the owner that the mail names: it is the one the sender knows."""
    own = [address.casefold() for address in (owner.addresses or recipients)]
    for named in (*mail.to, *mail.cc):
        if named.address.casefold() in own:
            return named.address
    candidates = (*owner.addresses, *recipients, *(named.address for named in mail.to))
    return next(iter(candidates), FALLBACK_ADDRESS)
