"""Messages as files: their columns are the 31 fields of seed 004, in its order."""

from mailroom.models.outbound.item import MessageQueueItem

COLUMNS = tuple(MessageQueueItem.model_fields)
NUMBERS = ("priority", "size_bytes", "num_attempts", "max_attempts", "attachment_count")
MOMENTS = tuple(name for name in COLUMNS if name.endswith("_at"))
