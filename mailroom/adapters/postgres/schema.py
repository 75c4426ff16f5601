"""The tables. Column names are seed 003's where it names them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def time_at(name: str, **kwargs: object) -> Column[object]:
    return Column(name, DateTime(timezone=True), **kwargs)  # type: ignore[arg-type]


def time_now(name: str) -> Column[object]:
    return time_at(name, nullable=False, server_default=text("now()"))


processed_emails = Table(
    "processed_emails",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("workflow_id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("from", Text, nullable=False),
    time_at("received_at", nullable=False),
    Column("blob", Text),
    Column("status", Text, nullable=False),
    time_at("processed_at"),
    Column("step", Integer, nullable=False),
    time_at("bodies_removed_at"),
    Index("processed_emails_message_id", "message_id"),
    Index(
        "processed_emails_bodies",
        "processed_at",
        "workflow_id",
        postgresql_where=text("bodies_removed_at IS NULL AND processed_at IS NOT NULL"),
    ),
    Index("processed_emails_blob", "blob", postgresql_using="hash"),
)

workflow_state = Table(
    "workflow_state",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("email_subject", Text),
    Column("email_from", Text),
    Column("email_body_preview", Text),
    Column("current_state", Text, nullable=False),
    Column("previous_state", Text),
    Column("reason", Text),
    Column("failed_stage", Text),
    Column("code", Text),
    Column("revision", Integer),
    Column("draft_note", Text),
    Column("ai_reply_text", Text),
    time_at("ai_reply_generated_at"),
    Column("sms_message_id", Text),
    time_at("sms_sent_at"),
    Column("sms_phone_number", Text),
    Column("user_command", Text),
    Column("user_edit_instructions", Text),
    time_at("user_responded_at"),
    Column("edit_iteration", Integer, nullable=False, server_default=text("0")),
    time_at("reply_sent_at"),
    Column("reply_message_id", Text),
    Column("reply_blob", Text),
    Column("error_message", Text),
    Column("retry_count", Integer, nullable=False, server_default=text("0")),
    time_now("created_at"),
    time_now("updated_at"),
    time_at("timeout_at"),
    Column("step", Integer, nullable=False),
    time_at("send_at"),
    time_at("snoozed_until"),
    Column("delegate", Text),
    UniqueConstraint("owner", "message_id"),
    UniqueConstraint("workflow_id"),
    ForeignKeyConstraint(
        ["owner", "message_id"], ["processed_emails.owner", "processed_emails.message_id"]
    ),
    Index("workflow_state_state", "owner", "current_state", "id"),
    Index("workflow_state_timeout", "timeout_at"),
    Index("workflow_state_newest", "owner", "id"),
    Index("workflow_state_created", "created_at"),
    Index("workflow_state_reply", "reply_blob", postgresql_using="hash"),
    Index("workflow_state_delegate", "delegate", postgresql_where=text("delegate IS NOT NULL")),
)

drafts = Table(
    "drafts",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("revision", SmallInteger, primary_key=True),
    Column("code", Text, nullable=False),
    Column("blob", Text),
    Column("length", Integer, nullable=False),
    Column("note", Text),
    Column("instructions", Text),
    Column("live", Boolean, nullable=False, server_default=text("true")),
    time_now("created_at"),
    Index("drafts_live_code", "code", "owner", unique=True, postgresql_where=text("live")),
    Index("drafts_code", "code", "owner", "created_at"),
    Index("drafts_blob", "blob", postgresql_using="hash"),
)

sms_messages = Table(
    "sms_messages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("direction", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("message_id", Text),
    Column("number", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("reference", Text),
    Column("provider_id", Text),
    Column("outcome", JSONB),
    time_now("at"),
    UniqueConstraint("direction", "reference"),
    Index("sms_messages_message", "owner", "message_id"),
    Index(
        "sms_messages_inbound",
        "number",
        "provider_id",
        unique=True,
        postgresql_where=text("direction = 'inbound'"),
    ),
)

sms_receipts = Table(
    "sms_receipts",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    time_at("status_at", nullable=False),
    Column("error_code", Text),
)

phones = Table(
    "phones",
    metadata,
    Column("number", Text, primary_key=True),
    time_at("stopped_at"),
    time_at("explained_at"),
)

send_markers = Table(
    "send_markers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("blob", Text, nullable=False),
    time_now("claimed_at"),
    Column("outcome", Text),
    Column("response", Text),
    time_at("settled_at"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    time_now("at"),
    UniqueConstraint("owner", "message_id", "step", "type"),
    Index("events_at", "at", postgresql_using="brin"),
)

monitored_emails = Table(
    "monitored_emails",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("monitor_id", Text),
    Column("digest", Text, nullable=False),
    Column("reported", Text),
    time_at("asked_at"),
    time_now("taken_at"),
    Index("monitored_emails_digest", "digest"),
    Index(
        "monitored_emails_open",
        text("asked_at NULLS FIRST"),
        "workflow_id",
        postgresql_where=text("reported IS NULL OR reported IN ('orchestrating', 'failed')"),
    ),
)

polls = Table(
    "polls",
    metadata,
    Column("source", Text, primary_key=True),
    time_now("polled_at"),
)

retention = Table(
    "retention",
    metadata,
    Column("what", Text, primary_key=True),
    time_at("older_than", nullable=False),
    time_at("ran_at"),
)

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    time_at("answer_since", nullable=False),
    Column("uidvalidity", BigInteger),
    Column("last_uid", BigInteger),
    time_at("seen_at"),
    Column("problem", Text),
    time_at("problem_since"),
)
