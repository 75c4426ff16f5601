"""The figures of queues: what changed, and what that adds up to (see migration 0014)."""

from sqlalchemy import BigInteger, Column, Index, Numeric, Table, Text, text

from mailroom.adapters.postgres.schema import metadata, time_at
from mailroom.adapters.postgres.schema_outbound import message_queue

# Of messages, as they are now; `created` is the sum of the moments at which they came.
FIGURES = (
    "messages",
    "size_bytes",
    "created",
    "tried",
    "retried",
    "retries",
    "timed",
    "seconds",
)
# What happened, by minute.
EVENTS = ("submitted", "delivered", "bounced", "deferred", "expired", "cancelled")
WAITS = "status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred')"


def _figures() -> list[Column[object]]:
    sums = ("size_bytes", "created", "seconds")
    return [
        Column(name, Numeric() if name in sums else BigInteger(), nullable=False)
        for name in FIGURES
    ]


queue_changes = Table(
    "queue_changes",
    metadata,
    Column("queue_name", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("campaign_id", Text),
    Column("tenant_id", Text),
    Column("status", Text, nullable=False),
    Column("bounce_class", Text, nullable=False),
    time_at("submitted_at"),
    time_at("delivered_at"),
    time_at("event_at"),
    *_figures(),
    *(
        Column(event, BigInteger, nullable=False, server_default=text("0"))
        for event in ("bounced", "deferred", "expired", "cancelled")
    ),
)

queue_counters = Table(
    "queue_counters",
    metadata,
    Column("dimension", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("bounce_class", Text, primary_key=True),
    *_figures(),
    Index("queue_counters_waiting", "dimension", "name", postgresql_where=text(WAITS)),
)


def _events_by(table: str, *indexes: Index) -> Table:
    return Table(
        table,
        metadata,
        Column("dimension", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        time_at("at", primary_key=True),
        *(Column(event, BigInteger, nullable=False) for event in EVENTS),
        *indexes,
    )


queue_minutes = _events_by(
    "queue_minutes", Index("queue_minutes_at", "at", postgresql_where=text("dimension <> 'all'"))
)
queue_hours = _events_by("queue_hours", Index("queue_hours_at", "at"))

queue_totals = Table(
    "queue_totals",
    metadata,
    Column("event", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
)

_FAILED = f"last_bounce_reason IS NOT NULL AND {WAITS}"
_of = message_queue.c
Index(
    "message_queue_waiting",
    _of.queue_name,
    _of.created_at,
    postgresql_include=["domain", "campaign_id", "tenant_id"],
    postgresql_where=text(WAITS),
)
Index(
    "message_queue_queue_error",
    _of.queue_name,
    _of.last_attempt_at,
    postgresql_where=text(_FAILED),
)
Index(
    "message_queue_domain_error",
    _of.domain,
    _of.last_attempt_at,
    postgresql_where=text(_FAILED),
)
