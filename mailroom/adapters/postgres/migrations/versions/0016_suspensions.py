"""Suspensions of domains, campaigns, tenants and pools."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)


_UP = """
CREATE TABLE suspensions (
    scope text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    until timestamptz,
    set_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, name)
);
CREATE INDEX suspensions_until ON suspensions (until) WHERE until IS NOT NULL;
CREATE INDEX message_queue_held_campaign ON message_queue (campaign_id, id)
    WHERE held AND campaign_id IS NOT NULL;
CREATE INDEX message_queue_held_tenant ON message_queue (tenant_id, id)
    WHERE held AND tenant_id IS NOT NULL;
CREATE INDEX message_queue_held_pool ON message_queue (pool_name, id)
    WHERE held AND pool_name IS NOT NULL;
"""

_DOWN = """
DROP INDEX message_queue_held_campaign, message_queue_held_tenant, message_queue_held_pool;
DROP TABLE suspensions;
"""
