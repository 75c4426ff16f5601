"""What operators do to many messages, written down for good."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)


# The audit trail: what was asked for never changes, what has ended never changes, and nothing goes.
_UP = """
CREATE TABLE queue_operations (
    id uuid PRIMARY KEY,
    operation text NOT NULL,
    queue_name text,
    message_ids uuid[],
    filter jsonb,
    selection jsonb,
    whole jsonb,
    metadata jsonb,
    reason text,
    dry_run boolean NOT NULL,
    requested_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'planning',
    messages integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    affected integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    affected_queues text[] NOT NULL DEFAULT '{}',
    errors text[] NOT NULL DEFAULT '{}',
    sample jsonb,
    planned_at timestamptz,
    confirmed_at timestamptz,
    finished_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX queue_operations_created ON queue_operations (created_at, id);

CREATE TABLE queue_operation_targets (
    operation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    applied boolean NOT NULL DEFAULT false,
    blob text,
    error text,
    PRIMARY KEY (operation_id, message_id)
);
CREATE INDEX queue_operation_targets_open ON queue_operation_targets (operation_id, message_id)
    WHERE error IS NULL;

CREATE FUNCTION keep_queue_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION 'the audit trail of queue operations can not be shortened';
    END IF;
    IF OLD.finished_at IS NOT NULL OR
       (OLD.id, OLD.operation, OLD.queue_name, OLD.message_ids, OLD.filter, OLD.selection,
        OLD.whole, OLD.metadata, OLD.reason, OLD.dry_run, OLD.requested_by, OLD.created_at)
       IS DISTINCT FROM
       (NEW.id, NEW.operation, NEW.queue_name, NEW.message_ids, NEW.filter, NEW.selection,
        NEW.whole, NEW.metadata, NEW.reason, NEW.dry_run, NEW.requested_by, NEW.created_at) THEN
        RAISE EXCEPTION 'the audit trail of queue operations can not be edited';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER queue_operations_stay BEFORE UPDATE OR DELETE ON queue_operations
    FOR EACH ROW EXECUTE FUNCTION keep_queue_operation();
CREATE TRIGGER queue_operations_stay_all BEFORE TRUNCATE ON queue_operations
    FOR EACH STATEMENT EXECUTE FUNCTION keep_queue_operation();
"""

_DOWN = """
DROP TABLE queue_operation_targets;
DROP TABLE queue_operations;
DROP FUNCTION keep_queue_operation;
"""
