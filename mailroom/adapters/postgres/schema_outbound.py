"""The tables of outbound mail. Column names are seed 004's where it names them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Double,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from mailroom.adapters.postgres.schema import metadata, time_at, time_now

# Words and labels (mailroom.models.outbound.search_words); the function is in migration 0013.
_WORDS = """
    words_of_message(recipient, sender, headers ->> 'Subject', domain, routing_domain, campaign_id,
                     tenant_id, pool_name, scheduled_at, tags)
"""

# What filters ask about stands in the indexes of the orders (migration 0013).
_ASKED = (
    "queue_name",
    "num_attempts",
    "priority",
    "size_bytes",
    "scheduled_at",
    "status",
    "domain",
    "tenant_id",
    "campaign_id",
    "pool_name",
    "bounce_classification",
)


def _order(name: str, *keys: str, where: str | None = None) -> Index:
    return Index(
        name,
        *keys,
        "created_at",
        "id",
        postgresql_include=[each for each in _ASKED if each not in keys],
        postgresql_where=text(where) if where else None,
    )


message_queue = Table(
    "message_queue",
    metadata,
    # What lists sort by and filters ask about stands in front, where reading it passes no names.
    Column("id", Uuid, primary_key=True),
    time_now("created_at"),
    time_now("updated_at"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("num_attempts", Integer, nullable=False, server_default=text("0")),
    Column("max_attempts", Integer, nullable=False, server_default=text("20")),
    Column("step", Integer, nullable=False, server_default=text("0")),
    Column("priority", SmallInteger, nullable=False, server_default=text("5")),
    Column("held", Boolean, nullable=False, server_default=text("false")),
    Column("relayed", Boolean, nullable=False, server_default=text("false")),
    Column("attachment_count", Integer, server_default=text("0")),
    time_at("scheduled_at"),
    time_at("last_attempt_at"),
    time_at("next_attempt_at"),
    time_at("delivered_at"),
    time_at("expires_at"),
    Column("status", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("queue_name", Text, nullable=False),
    Column("tenant_id", Text),
    Column("campaign_id", Text),
    Column("pool_name", Text),
    Column("bounce_classification", Text),
    Column("routing_domain", Text),
    Column("recipient", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("words", TSVECTOR, Computed(_WORDS, persisted=True)),
    Column("message_id", Text, nullable=False),
    Column("last_bounce_reason", Text),
    Column("smtp_response", JSONB),
    Column("delivery_protocol", Text, server_default=text("'smtp'")),
    Column("headers", JSONB),
    Column("body_hash", Text),
    Column("tags", ARRAY(Text)),
    Column("metadata", JSONB),
    Column("blob", Text),
    Index(
        "message_queue_words",
        "words",
        text("(ARRAY[status])"),
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 512},
    ),
    Index("message_queue_queue", "queue_name", "status"),
    Index("message_queue_held", "queue_name", "id", postgresql_where=text("held")),
    Index("message_queue_held_domain", "domain", "id", postgresql_where=text("held")),
    Index("message_queue_held_since", "updated_at", postgresql_where=text("held")),
    _order("message_queue_status", "status"),
    _order("message_queue_domain", "domain"),
    Index("message_queue_recipient", "recipient", "id"),
    Index(
        "message_queue_campaign",
        "campaign_id",
        "created_at",
        "id",
        postgresql_where=text("campaign_id IS NOT NULL"),
    ),
    _order("message_queue_tenant", "tenant_id", where="tenant_id IS NOT NULL"),
    _order("message_queue_created"),
    _order("message_queue_scheduled", "scheduled_at", where="scheduled_at IS NOT NULL"),
    _order("message_queue_attempts", "num_attempts"),
    _order("message_queue_size", "size_bytes"),
    _order("message_queue_priority", "priority"),
    _order(
        "message_queue_bounce",
        "bounce_classification",
        where="bounce_classification IS NOT NULL",
    ),
    Index(
        "message_queue_next",
        "next_attempt_at",
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
    Index("message_queue_message_id", "message_id", postgresql_using="hash"),
    Index(
        "message_queue_blob",
        "blob",
        postgresql_using="hash",
        postgresql_where=text("blob IS NOT NULL"),
    ),
    Index(
        "message_queue_ended",
        "updated_at",
        "id",
        postgresql_where=text("status IN ('delivered', 'bounced', 'expired', 'cancelled')"),
    ),
)

queues = Table(
    "queues",
    metadata,
    Column("queue_name", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("reason", Text),
    time_at("until"),
    Column("set_by", Text, nullable=False),
    Column("openings", Integer, nullable=False, server_default=text("0")),
    time_at("probing_since"),
    time_now("changed_at"),
)

suppressions = Table(
    "suppressions",
    metadata,
    # In the order of bytes, so that the key also finds beginnings and the next page.
    Column("tenant_id", Text(collation="C"), primary_key=True, server_default=text("''")),
    Column("address", Text(collation="C"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("source", Text),
    time_now("created_at"),
    Index("suppressions_address", "address", "tenant_id"),
)

delivery_outcomes = Table(
    "delivery_outcomes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("domain", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("seconds", Double),
    time_now("at"),
)

domain_hours = Table(
    "domain_hours",
    metadata,
    Column("domain", Text, primary_key=True),
    time_at("hour", primary_key=True),
    *(
        Column(kind, Integer, nullable=False, server_default=text("0"))
        for kind in ("delivered", "deferred", "bounced", "blocked", "complaints")
    ),
    Column("seconds", Double, nullable=False, server_default=text("0")),
    Index("domain_hours_hour", "hour"),
)

domain_health = Table(
    "domain_health",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("score", Double, nullable=False, server_default=text("100")),
    *(
        Column(figure, Double, nullable=False, server_default=text("0"))
        for figure in (
            "results",
            "bounce_rate",
            "block_rate",
            "deferral_rate",
            "average_delivery_time",
        )
    ),
    time_at("last_successful_delivery"),
    time_at("last_failure_at"),
    time_at("scored_at"),
    Index(
        "domain_health_due",
        text("scored_at NULLS FIRST"),
        "domain",
        postgresql_where=text("scored_at IS NULL OR results > 0"),
    ),
    Index("domain_health_score", "score", "domain"),
)

domain_health_history = Table(
    "domain_health_history",
    metadata,
    Column("domain", Text, primary_key=True),
    time_at("hour", primary_key=True),
    Column("score", Double, nullable=False),
    Column("results", Double, nullable=False),
    Column("bounce_rate", Double, nullable=False),
    Index("domain_health_history_hour", "hour"),
)

reports = Table(
    "reports",
    metadata,
    Column("key", Text, primary_key=True),
    time_now("at"),
    Index("reports_at", "at"),
)

legacy_migrations = Table(
    "legacy_migrations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("source", Text),
    Column("sender", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("done", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    time_now("began_at"),
    time_at("ended_at"),
    Index(
        "legacy_migrations_running",
        "digest",
        unique=True,
        postgresql_where=text("status = 'running'"),
    ),
)

legacy_records = Table(
    "legacy_records",
    metadata,
    Column("migration_id", Uuid, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("record", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("replaced", JSONB),
    UniqueConstraint("migration_id", "id"),
    Index("legacy_records_message", "id"),
)
