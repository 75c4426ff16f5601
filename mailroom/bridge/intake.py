"""Accepts one mail: the bytes durable, then the workflow. Every way in ends here."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailroom.bridge.flows import ReplyFlows
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.email_reply import EmailReplyInput, MailRef
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.names import email_reply_id
from mailroom.models.owner import Owner
from mailroom.models.triage import not_answerable
from mailroom.ports import Blobs, EmailStore

log = structlog.get_logger()

UNKNOWN_SENDER = "(no sender)"
FALLBACK_ADDRESS = "owner@localhost"
IN_THREAD_ABOVE = 256 * 1024
LISTED_AFTER_SECONDS = 0.25


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
    ) -> None:
        self._blobs = blobs
        self._store = store
        self._flows = flows
        self._owners = owners
        self._reminder_after = reminder_after
        self._attempts = attempts
        self._unlisted: list[MailRef] = []
        self._listings: set[asyncio.Task[None]] = set()

    async def accept(self, arrival: Arrival) -> Accepted:
        """Returns once blob and workflow are durable; raises if either can't be."""
        owner = next(iter(self._owners.values()))
        mail = await _read(arrival.raw)
        blob = await self._blobs.put(arrival.raw)
        reply = self._reply(owner, mail, arrival, blob)
        new = await self._flows.start(reply)
        if new:
            self._list(reply.mail)
        return Accepted(reply.mail.workflow_id, mail.message_id, new)

    def _reply(
        self, owner: Owner, mail: IncomingMail, arrival: Arrival, blob: str
    ) -> EmailReplyInput:
        reference = MailRef(
            owner=owner.id,
            message_id=mail.message_id,
            workflow_id=email_reply_id(owner.id, mail.message_id),
            blob=blob,
            reply_from=_reply_from(owner, mail, arrival.recipients),
            sender=str(mail.sender) if mail.sender else UNKNOWN_SENDER,
            subject=mail.subject,
            received_at=datetime.now(UTC),
        )
        return EmailReplyInput(
            mail=reference,
            not_answerable=not_answerable(
                mail, arrival.sender, arrival.recipients, owner.addresses
            ),
            reminder_after=self._reminder_after,
            attempts=self._attempts,
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
