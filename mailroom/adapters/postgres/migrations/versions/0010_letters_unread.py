"""Indexes of what an inbox shows, and of bodies that several letters may have."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX agent_mail_unread ON agent_mail ("to", (-priority), sent_at, number)
            WHERE read_at IS NULL AND acknowledged_at IS NULL
              AND status IN ('queued', 'delivering', 'retrying', 'delivered');
        CREATE INDEX agent_mail_blob ON agent_mail USING hash (blob) WHERE blob IS NOT NULL;
    """)


def downgrade() -> None:
    op.execute("DROP INDEX agent_mail_unread, agent_mail_blob")
