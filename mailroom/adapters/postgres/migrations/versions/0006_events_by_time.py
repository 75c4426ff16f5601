"""Events of some days, for the figures; they come in order, so that ranges of pages are enough."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("CREATE INDEX events_at ON events USING brin (at)")


def downgrade() -> None:
    op.execute("DROP INDEX events_at")
