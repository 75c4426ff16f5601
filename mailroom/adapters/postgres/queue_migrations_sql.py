"""The statements of migrations from the old queue. Names only: values are bound."""

# ruff: noqa: S608

from sqlalchemy import TextClause, text

from mailroom.adapters.postgres.queue_rows import COLUMNS, NAMES

Statement = TextClause

_FIELDS = "id, status, digest, source, sender, done, refused, began_at, ended_at"
# Content was never supplied, so that no workflow knows of it.
_UNTOUCHED = "q.blob IS NULL AND q.num_attempts = 0"

BEGIN = text(f"""
    INSERT INTO legacy_migrations (id, digest, sender, source, status)
    VALUES (:id, :digest, :sender, :source, 'running')
    ON CONFLICT (digest) WHERE status = 'running' DO UPDATE SET source = excluded.source
    RETURNING {_FIELDS}
""")

ONE = text(f"SELECT {_FIELDS} FROM legacy_migrations WHERE id = :id")
LOCKED = text(f"SELECT {_FIELDS} FROM legacy_migrations WHERE id = :id FOR UPDATE")
LATEST = text(f"SELECT {_FIELDS} FROM legacy_migrations ORDER BY began_at DESC, id LIMIT :limit")

COUNTS = text("""
    SELECT outcome, count(*) AS count FROM legacy_records WHERE migration_id = :id GROUP BY outcome
""")

ADVANCE = text(f"""
    UPDATE legacy_migrations
    SET done = :done, refused = :refused,
        status = CASE WHEN :last THEN 'complete' ELSE status END,
        ended_at = CASE WHEN :last THEN now() END
    WHERE id = :id
    RETURNING {_FIELDS}
""")

SEEN = text("""
    SELECT id, position FROM legacy_records WHERE migration_id = :id AND id = ANY(:ids)
""")

_EXISTING = f"""
    SELECT {COLUMNS}, {_UNTOUCHED} AS untouched FROM message_queue AS q WHERE id = ANY(:ids)
"""
EXISTING = text(_EXISTING)
EXISTING_LOCKED = text(f"{_EXISTING} ORDER BY id FOR UPDATE")

# A row that is replaced is there since an earlier import, and locked.
PLACE = text(f"""
    WITH placed AS (
        INSERT INTO message_queue AS q ({COLUMNS})
        SELECT {COLUMNS} FROM jsonb_populate_recordset(NULL::message_queue, CAST(:rows AS jsonb))
        ORDER BY id
        ON CONFLICT (id) DO UPDATE
        SET {", ".join(f"{name} = excluded.{name}" for name in NAMES)}, updated_at = now()
        WHERE excluded.id = ANY(CAST(:replaced AS uuid[]))
        RETURNING q.id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id::text, 0, :event, CAST(:detail AS jsonb) FROM placed
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM placed
""")

REMEMBER = text("""
    INSERT INTO legacy_records (migration_id, position, id, record, outcome, replaced)
    SELECT :migration_id, position, id, record, outcome, replaced
    FROM jsonb_to_recordset(CAST(:records AS jsonb))
         AS r (position integer, id uuid, record text, outcome text, replaced jsonb)
""")

RECORDS = text("""
    SELECT position, id, outcome AS became, record FROM legacy_records
    WHERE migration_id = :id AND position > :after ORDER BY position LIMIT :limit
""")

# Of the messages that this migration placed, those that no later one placed anew.
_MINE = """
    SELECT r.position, r.id, r.outcome, r.replaced, EXISTS (
        SELECT FROM legacy_records AS l JOIN legacy_migrations AS n ON n.id = l.migration_id
        WHERE l.id = r.id AND l.outcome IN ('imported', 'replaced')
          AND n.status <> 'rolled_back' AND n.began_at > m.began_at
    ) AS later
    FROM legacy_records AS r JOIN legacy_migrations AS m ON m.id = r.migration_id
    WHERE r.migration_id = :id AND r.outcome IN ('imported', 'replaced')
"""

REMOVE = text(f"""
    WITH mine AS ({_MINE}), removed AS (
        DELETE FROM message_queue AS q USING mine
        WHERE q.id = mine.id AND mine.outcome = 'imported' AND NOT mine.later AND {_UNTOUCHED}
        RETURNING q.id
    ), lines AS (
        DELETE FROM events
        WHERE owner = :owner AND message_id IN (SELECT id::text FROM removed)
    )
    SELECT count(*) FROM removed
""")

RESTORE = text(f"""
    WITH mine AS ({_MINE}), restored AS (
        UPDATE message_queue AS q
        SET {", ".join(f"{name} = was.{name}" for name in NAMES)}, updated_at = now()
        FROM mine, jsonb_populate_record(NULL::message_queue, mine.replaced) AS was
        WHERE q.id = mine.id AND mine.outcome = 'replaced' AND NOT mine.later AND {_UNTOUCHED}
        RETURNING q.id
    )
    SELECT count(*) FROM restored
""")

ROLLED_BACK = text(f"""
    UPDATE legacy_migrations SET status = 'rolled_back', ended_at = now() WHERE id = :id
    RETURNING {_FIELDS}
""")

FORGET = text("""
    WITH records AS (DELETE FROM legacy_records WHERE migration_id = :id)
    DELETE FROM legacy_migrations WHERE id = :id
""")

_GONE_ON = f"""
    FROM ({_MINE}) AS mine JOIN message_queue AS q ON q.id = mine.id
    WHERE mine.later OR NOT ({_UNTOUCHED})
"""
GONE_ON = text(f"""
    SELECT mine.position, mine.id, q.status,
           CASE WHEN mine.later THEN 'a later migration brought it anew'
                ELSE 'it has its content by now, and goes its way' END AS reason
    {_GONE_ON} ORDER BY mine.position LIMIT :most
""")
GONE_ON_COUNT = text(f"SELECT count(*) {_GONE_ON}")
