"""The tables of agent mail: letters, sessions, what was pushed to them, counters."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from mailroom.adapters.postgres.schema import metadata, time_at, time_now

agents = Table(
    "agents",
    metadata,
    Column("address", Text, primary_key=True),
    time_now("created_at"),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    time_at("opened_at"),
    time_at("probing_since"),
    Column("wishes", JSONB),
)

agent_mail = Table(
    "agent_mail",
    metadata,
    Column("number", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("id", Text, primary_key=True),
    Column("to", Text, nullable=False),
    Column("from", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text),
    Column("blob", Text),
    Column("priority", SmallInteger, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("thread", Text, nullable=False),
    Column("reply_to", Text),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("strategy", Text),
    Column("source", Text),
    Column("channel_id", Text),
    Column("channel", Text),
    Column("session_id", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("step", Integer, nullable=False),
    Column("waits", Boolean, nullable=False, server_default=text("false")),
    time_at("sent_at", nullable=False),
    time_at("expires_at"),
    time_at("last_attempt"),
    time_at("retry_at"),
    time_at("notified_at"),
    time_at("delivered_at"),
    time_at("read_at"),
    time_at("acknowledged_at"),
    time_now("updated_at"),
    Column(
        "search",
        TSVECTOR,
        Computed(
            "to_tsvector('simple', translate(\"from\" || ' ' || \"to\" || ' ' || subject || ' '"
            " || left(coalesce(body, ''), 20000), '/@', '  '))",
            persisted=True,
        ),
    ),
    Index("agent_mail_inbox", "to", "number"),
    Index("agent_mail_status", "status", "number"),
    Index("agent_mail_from", "from", "number"),
    Index("agent_mail_thread", "thread", "number"),
    Index("agent_mail_search", "search", postgresql_using="gin"),
    Index("agent_mail_updated", "updated_at"),
    Index(
        "agent_mail_open",
        "to",
        text("priority DESC"),
        "sent_at",
        "number",
        postgresql_where=text("status IN ('queued', 'delivering', 'retrying')"),
    ),
    Index("agent_mail_pinned", "to", postgresql_where=text("pinned")),
    Index(
        "agent_mail_unread",
        "to",
        text("(- priority)"),
        "sent_at",
        "number",
        postgresql_where=text(
            "read_at IS NULL AND acknowledged_at IS NULL"
            " AND status IN ('queued', 'delivering', 'retrying', 'delivered')"
        ),
    ),
    Index(
        "agent_mail_blob",
        "blob",
        postgresql_using="hash",
        postgresql_where=text("blob IS NOT NULL"),
    ),
    Index(
        "agent_mail_untold",
        "updated_at",
        postgresql_where=text("waits AND status IN ('delivered', 'acknowledged')"),
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("daemon_id", Text, nullable=False),
    Column("channel", Text),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    time_now("created_at"),
    time_now("last_active_at"),
    time_at("expires_at", nullable=False),
    Index("sessions_address", "address"),
)

session_events = Table(
    "session_events",
    metadata,
    Column("event_id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "session_id", Text, ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False
    ),
    Column("message_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    time_now("created_at"),
    time_at("confirmed_at"),
    UniqueConstraint("message_id", "session_id"),
    Index(
        "session_events_open",
        "session_id",
        "event_id",
        postgresql_where=text("confirmed_at IS NULL"),
    ),
    Index("session_events_session", "session_id"),
    Index(
        "session_events_confirmed",
        "confirmed_at",
        postgresql_where=text("confirmed_at IS NOT NULL"),
    ),
)

delivery_confirmations = Table(
    "delivery_confirmations",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("session_id", Text),
    time_now("delivered_at"),
    Index("delivery_confirmations_at", "delivered_at"),
)

switches = Table(
    "switches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    time_now("changed_at"),
)

event_counts = Table(
    "event_counts",
    metadata,
    Column("type", Text, primary_key=True),
    Column("connection", Integer, primary_key=True),
    Column("total", BigInteger, nullable=False),
)
