"""Rows of `message_queue` as items, and items as rows, where no workflow writes them."""

import json
from collections.abc import Iterable

from sqlalchemy import RowMapping

from mailroom.models.outbound.item import MessageQueueItem

# The queue's state is the queue's: no column of a message.
NAMES = tuple(name for name in MessageQueueItem.model_fields if name != "queue_state")
COLUMNS = ", ".join(NAMES)


def item_of(row: RowMapping) -> MessageQueueItem:
    return MessageQueueItem.model_validate({name: row[name] for name in NAMES})


def rows_of(messages: Iterable[MessageQueueItem]) -> str:
    """As `jsonb_populate_recordset(NULL::message_queue, ...)` takes them."""
    excluded = {"queue_state"}
    return json.dumps([one.model_dump(mode="json", exclude=excluded) for one in messages])
