"""What a provider said became of a text."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Not columns of sms_messages: a receipt can arrive before the row of its text, which is written
# when the provider has answered.
UPGRADE = """
CREATE TABLE sms_receipts (
    provider_id text PRIMARY KEY,
    status text NOT NULL,
    status_at timestamptz NOT NULL,
    error_code text
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE sms_receipts")
