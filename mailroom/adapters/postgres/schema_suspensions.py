"""The table of suspensions, and what finds the messages that they hold; see migration 0016."""

from sqlalchemy import Column, Index, Table, Text, text

from mailroom.adapters.postgres.schema import metadata, time_at, time_now
from mailroom.adapters.postgres.schema_outbound import message_queue

suspensions = Table(
    "suspensions",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    time_at("until"),
    Column("set_by", Text, nullable=False),
    time_now("created_at"),
    Index("suspensions_until", "until", postgresql_where=text("until IS NOT NULL")),
)

# Of domains there is one since migration 0012.
for scope, column in (
    ("campaign", message_queue.c.campaign_id),
    ("tenant", message_queue.c.tenant_id),
    ("pool", message_queue.c.pool_name),
):
    Index(
        f"message_queue_held_{scope}",
        column,
        message_queue.c.id,
        postgresql_where=text(f"held AND {column.name} IS NOT NULL"),
    )
