"""The statements of an operation's row, and of which messages it means."""

from sqlalchemy import text

from mailroom.models.outbound.bulk import Scope

ROW = """
    SELECT id, operation, message_ids, selection, whole, metadata, reason, dry_run, requested_by,
           status, planned_at, finished_at, affected, failed, affected_queues, errors
    FROM queue_operations WHERE id = :id
"""
SNAPSHOT = """
    INSERT INTO queue_operation_targets (operation_id, message_id)
    SELECT :id, m.id FROM message_queue AS m WHERE {where}
"""
SINGLE = """
    INSERT INTO queue_operation_targets (operation_id, message_id)
    SELECT DISTINCT CAST(:id AS uuid), one FROM unnest(CAST(:ids AS uuid[])) AS g (one)
"""
SAMPLE = """
    SELECT m.id, m.recipient, m.status, m.queue_name, m.headers ->> 'Subject' AS subject
    FROM message_queue AS m WHERE {where} LIMIT :limit
"""
PLANNED = text("""
    UPDATE queue_operations
    SET messages = :messages, sample = CAST(:sample AS jsonb), planned_at = now(),
        updated_at = now()
    WHERE id = :id
""")
ENTER = text("""
    UPDATE queue_operations
    SET status = :status, updated_at = now(),
        confirmed_at = CASE WHEN :status = 'running' AND status = 'awaiting_confirmation'
                            THEN now() ELSE confirmed_at END
    WHERE id = :id AND finished_at IS NULL
""")
_COLUMN = {
    Scope.QUEUE: "queue_name",
    Scope.DOMAIN: "domain",
    Scope.CAMPAIGN: "campaign_id",
    Scope.TENANT: "tenant_id",
    Scope.POOL: "pool_name",
}
# Again, where this was done before: the numbers are the same.
COUNTED = {
    scope: text(f"""
        WITH these AS (
            SELECT count(*) AS number FROM message_queue AS m, queue_operations AS o
            WHERE o.id = :id AND m.{column} = :name AND m.status = ANY(:waiting)
              AND (o.operation = 'suspend' OR m.held)
        )
        UPDATE queue_operations
        SET done = these.number, affected = these.number, updated_at = now(),
            messages = these.number + (SELECT count(*) FROM queue_operation_targets
                                       WHERE operation_id = :id),
            affected_queues = CASE WHEN :name = queue_name THEN ARRAY[:name]
                                   ELSE affected_queues END
        FROM these WHERE id = :id AND finished_at IS NULL
    """)  # noqa: S608
    for scope, column in _COLUMN.items()
}
STATE = text("""
    SELECT state FROM queues
    WHERE queue_name = :name AND state <> 'active' AND (until IS NULL OR until > now())
""")
