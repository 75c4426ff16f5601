"""When an approved reply goes out, and until when an owner put a mail off."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE workflow_state ADD COLUMN send_at timestamptz,"
        " ADD COLUMN snoozed_until timestamptz"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE workflow_state DROP COLUMN send_at, DROP COLUMN snoozed_until")
