"""What the old queue's clients want of messages: submitted, cancelled, waiting again."""

from uuid import UUID

from temporalio.client import Client

from mailroom.adapters.postgres.queue_legacy import PostgresLegacyQueue
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.message_flows import MessageFlows
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import LegacyStatus, QueueItem, adapt_status
from mailroom.models.outbound.legacy_records import message_of, record_of, without_content
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus as S

REASON = "asked for through the legacy queue"


class NoMessage(Exception):
    def __init__(self) -> None:
        super().__init__("No message has this ID.")


class NotPossible(Exception):
    """The message can't come to this status from where it is."""


class LegacyQueue:
    def __init__(self, store: PostgresLegacyQueue, client: Client) -> None:
        self.store = store
        self._flows = MessageFlows(client)

    async def submit(self, item: QueueItem, sender: str) -> tuple[MessageQueueItem, bool]:
        """The message, and whether it is new; the same record again is the same message."""
        message = without_content(message_of(item, sender))
        if await self.store.place(message):
            return message, True
        there, _ = await self._found(message.id)
        if record_of(there) != record_of(message):
            raise NotPossible("Another message with this ID is there already.")
        return there, False

    async def move(self, id: UUID, wanted: LegacyStatus) -> MessageQueueItem:
        """Returns the message as it was found: a workflow follows a moment later."""
        message, has_content = await self._found(id)
        if wanted is LegacyStatus.CANCELLED:
            await self._cancel(message, has_content=has_content)
        elif wanted is LegacyStatus.WAITING:
            await self._wait(message, has_content=has_content)
        else:
            raise NotPossible(f"{wanted} comes by itself, when the message is delivered.")
        return (await self._found(id))[0]

    async def _found(self, id: UUID) -> tuple[MessageQueueItem, bool]:
        found = await self.store.find(id)
        if found is None:
            raise NoMessage
        return found

    async def _cancel(self, message: MessageQueueItem, *, has_content: bool) -> None:
        if message.status is S.CANCELLED:
            return
        if message.status not in WAITING:
            raise NotPossible(f"The message is {message.status} and can't be cancelled any more.")
        # Content may have come since the look; then there is a workflow that hears of it.
        if not has_content and await self.store.cancel(message.id, REASON):
            return
        await self._signal(message.id, "cancel")

    async def _wait(self, message: MessageQueueItem, *, has_content: bool) -> None:
        if not has_content and message.status is S.SUSPENDED:
            raise NotPossible(
                f"The message has no content; PUT /queue/messages/{message.id}/content first."
            )
        if message.status is S.SUSPENDED:
            await self._signal(message.id, "resume")
        elif adapt_status(message.status) is not LegacyStatus.WAITING:
            raise NotPossible(f"The message is {message.status} and can't wait again.")

    async def _signal(self, id: UUID, order: str) -> None:
        try:
            await self._flows.tell(id, order, REASON)
        except NotRunning as error:
            raise NotPossible("The message has ended by now.") from error
