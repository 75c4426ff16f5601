"""How far each mailbox was read."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# UIDs and UIDVALIDITY are unsigned 32-bit numbers (RFC 3501 §2.3.1.1).
UPGRADE = """
CREATE TABLE mailboxes (
    id text PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    answer_since timestamptz NOT NULL,
    uidvalidity bigint,
    last_uid bigint,
    seen_at timestamptz,
    problem text,
    problem_since timestamptz
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE mailboxes")
