"""Who is asked in an owner's place."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE workflow_state ADD COLUMN delegate text")
    op.execute(
        "CREATE INDEX workflow_state_delegate ON workflow_state (delegate)"
        " WHERE delegate IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE workflow_state DROP COLUMN delegate")
