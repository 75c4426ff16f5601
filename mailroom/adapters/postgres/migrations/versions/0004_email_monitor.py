"""Mails that an Email Monitor handed over, what it was told of them, and when it was asked."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE monitored_emails (
    workflow_id text PRIMARY KEY,
    monitor_id text NOT NULL,
    digest text NOT NULL,
    reported text,
    asked_at timestamptz,
    taken_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX monitored_emails_digest ON monitored_emails (digest);
CREATE INDEX monitored_emails_open ON monitored_emails (asked_at NULLS FIRST, workflow_id)
    WHERE reported IS NULL OR reported IN ('orchestrating', 'failed');

CREATE TABLE polls (
    source text PRIMARY KEY,
    polled_at timestamptz NOT NULL DEFAULT now()
);
"""

DOWNGRADE = "DROP TABLE polls, monitored_emails;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
