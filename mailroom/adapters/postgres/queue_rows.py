"""Rows of `message_queue` as items, and items as rows, where no workflow writes them."""

import json
from collections.abc import Iterable

from sqlalchemy import RowMapping

from mailroom.models.outbound.item import MessageQueueItem

# The queue's state is the queue's: no column of a message.
NAMES = tuple(name for name in MessageQueueItem.model_fields if name != "queue_state")
COLUMNS = ", ".join(NAMES)
# As people look at them: what was said of a queue for a time is over after it.
_STATE = """
    coalesce((SELECT q.state FROM queues AS q
              WHERE q.queue_name = m.queue_name AND (q.until IS NULL OR q.until > now()
                                                     OR q.set_by = 'health')), 'active')
"""
ANSWER = """
    CASE WHEN {0}.smtp_response IS NOT NULL
         THEN concat_ws(' ', {0}.smtp_response ->> 'code', {0}.smtp_response ->> 'message') END
"""
"""The last server's, in one line."""
SHOWN = f"""
    SELECT {", ".join(f"m.{name}" for name in NAMES)}, {_STATE} AS queue_state
    FROM message_queue AS m
"""  # noqa: S608
SHOWN_NAMES = (*NAMES, "queue_state")


def item_of(row: RowMapping) -> MessageQueueItem:
    return MessageQueueItem.model_validate({name: row[name] for name in NAMES})


def rows_of(messages: Iterable[MessageQueueItem]) -> str:
    """As `jsonb_populate_recordset(NULL::message_queue, ...)` takes them."""
    excluded = {"queue_state"}
    return json.dumps([one.model_dump(mode="json", exclude=excluded) for one in messages])
