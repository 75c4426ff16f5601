"""What was pushed to a session is found by it when it ends, and goes some time after it was
confirmed."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("""
        CREATE INDEX session_events_session ON session_events (session_id);
        CREATE INDEX session_events_confirmed ON session_events (confirmed_at)
            WHERE confirmed_at IS NOT NULL;
    """)


def downgrade() -> None:
    op.execute("DROP INDEX session_events_session, session_events_confirmed")
