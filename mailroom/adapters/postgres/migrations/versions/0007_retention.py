"""What has outlived its retention: bodies first, rows later."""

from alembic import op

revision = "0007"
down_revision = "0006"

UPGRADE = """
ALTER TABLE processed_emails ADD COLUMN bodies_removed_at timestamptz,
    ALTER COLUMN blob DROP NOT NULL;
ALTER TABLE drafts ALTER COLUMN blob DROP NOT NULL;
ALTER TABLE monitored_emails ALTER COLUMN monitor_id DROP NOT NULL;

CREATE INDEX processed_emails_bodies ON processed_emails (processed_at, workflow_id)
    WHERE bodies_removed_at IS NULL AND processed_at IS NOT NULL;
CREATE INDEX processed_emails_blob ON processed_emails USING hash (blob);
CREATE INDEX drafts_blob ON drafts USING hash (blob);
CREATE INDEX workflow_state_reply ON workflow_state USING hash (reply_blob);

CREATE TABLE retention (
    what text PRIMARY KEY,
    older_than timestamptz NOT NULL,
    ran_at timestamptz
);
"""

DOWNGRADE = """
DROP TABLE retention;
DROP INDEX processed_emails_bodies, processed_emails_blob, drafts_blob, workflow_state_reply;
UPDATE processed_emails SET blob = '' WHERE blob IS NULL;
UPDATE drafts SET blob = '' WHERE blob IS NULL;
UPDATE monitored_emails SET monitor_id = '' WHERE monitor_id IS NULL;
ALTER TABLE processed_emails DROP COLUMN bodies_removed_at, ALTER COLUMN blob SET NOT NULL;
ALTER TABLE drafts ALTER COLUMN blob SET NOT NULL;
ALTER TABLE monitored_emails ALTER COLUMN monitor_id SET NOT NULL;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
