"""Listeners hear how far an operation over many messages is."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)


_UP = """
CREATE FUNCTION tell_of_queue_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('mailroom', json_build_object(
        'id', 0, 'owner', 'outbound/operations', 'message_id', NEW.id,
        'type', 'operation.changed')::text);
    RETURN NULL;
END $$;
CREATE TRIGGER queue_operations_tell AFTER INSERT OR UPDATE ON queue_operations
    FOR EACH ROW EXECUTE FUNCTION tell_of_queue_operation();
"""

_DOWN = """
DROP TRIGGER queue_operations_tell ON queue_operations;
DROP FUNCTION tell_of_queue_operation;
"""
