"""The tables of operators' operations: the audit trail, and the messages that are still to do."""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from mailroom.adapters.postgres.schema import metadata, time_at, time_now

_NONE = text("'{}'")

queue_operations = Table(
    "queue_operations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("queue_name", Text),
    Column("message_ids", ARRAY(Uuid)),
    *(Column(name, JSONB) for name in ("filter", "selection", "whole", "metadata")),
    Column("reason", Text),
    Column("dry_run", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    time_now("created_at"),
    Column("status", Text, nullable=False, server_default=text("'planning'")),
    *(
        Column(name, Integer, nullable=False, server_default=text("0"))
        for name in ("messages", "done", "affected", "failed")
    ),
    Column("affected_queues", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("errors", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("sample", JSONB),
    time_at("planned_at"),
    time_at("confirmed_at"),
    time_at("finished_at"),
    time_now("updated_at"),
    Index("queue_operations_created", "created_at", "id"),
)

queue_operation_targets = Table(
    "queue_operation_targets",
    metadata,
    Column("operation_id", Uuid, primary_key=True),
    Column("message_id", Uuid, primary_key=True),
    Column("applied", Boolean, nullable=False, server_default=text("false")),
    Column("blob", Text),
    Column("error", Text),
    Index(
        "queue_operation_targets_open",
        "operation_id",
        "message_id",
        postgresql_where=text("error IS NULL"),
    ),
)
