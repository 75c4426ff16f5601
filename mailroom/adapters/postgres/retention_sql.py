"""The statements of retention. Bodies are found by `processed_emails_bodies`, rows by
`workflow_state_created`, a blob's other owners by the hash indexes on it."""

from sqlalchemy import text

BEGIN = text("""
    INSERT INTO retention AS r (what, older_than) VALUES (:what, :older_than)
    ON CONFLICT (what) DO UPDATE SET older_than = greatest(r.older_than, excluded.older_than)
""")
ENDED = text("UPDATE retention SET ran_at = now() WHERE what = :what")
RUNS = text("SELECT what, older_than, ran_at FROM retention")

# A mail that was taken into a later one of its sender's is drafted with it, as long as that one
# is open (`Intake`: a later mail of the same sender).
_DONE_WITH = """
    s.current_state = ANY(:ended)
    AND NOT (coalesce(s.reason, '') = :merged AND EXISTS (
        SELECT FROM workflow_state o JOIN processed_emails op USING (owner, message_id)
        WHERE o.owner = s.owner AND o.email_from = s.email_from
          AND o.current_state <> ALL(:final) AND op.bodies_removed_at IS NULL
    ))
"""
_BODIES = f"""
    FROM processed_emails p JOIN workflow_state s USING (owner, message_id)
    WHERE p.bodies_removed_at IS NULL AND p.processed_at < :older_than AND {_DONE_WITH}
"""
# No mail is done with before it comes: the index on when it came finds them all.
_ROWS = f"""
    FROM workflow_state s JOIN processed_emails p USING (owner, message_id)
    WHERE s.created_at < :older_than AND p.processed_at < :older_than AND {_DONE_WITH}
"""
_NEXT = """
    SELECT p.workflow_id, {at} AS at {found}
      AND ({at}, p.workflow_id) > (coalesce(CAST(:at AS timestamptz), '-infinity'), :id)
    ORDER BY {at}, p.workflow_id LIMIT :limit
"""
DUE = {
    "bodies": text(_NEXT.format(at="p.processed_at", found=_BODIES)),
    "rows": text(_NEXT.format(at="s.created_at", found=_ROWS)),
}
COUNT = {
    "bodies": text(f"SELECT count(*) {_BODIES}"),
    "rows": text(f"SELECT count(*) {_ROWS}"),
}

_MAILS = """
    mails AS (
        SELECT owner, message_id, workflow_id, blob FROM processed_emails
        WHERE workflow_id = ANY(:ids)
    )
"""
_OF_THESE = "(owner, message_id) IN (SELECT owner, message_id FROM mails)"

# A marker's blob is its own mail's reply.
OWN_BLOBS = text(f"""
    WITH {_MAILS}, theirs AS (
        SELECT blob FROM mails
        UNION SELECT blob FROM drafts WHERE {_OF_THESE}
        UNION SELECT reply_blob FROM workflow_state WHERE {_OF_THESE}
    )
    SELECT blob FROM theirs t
    WHERE blob IS NOT NULL
      AND NOT EXISTS (SELECT FROM processed_emails p
                      WHERE p.blob = t.blob AND p.workflow_id <> ALL(:ids))
      AND NOT EXISTS (SELECT FROM drafts d
                      WHERE d.blob = t.blob AND (d.owner, d.message_id) NOT IN
                            (SELECT owner, message_id FROM mails))
      AND NOT EXISTS (SELECT FROM workflow_state s
                      WHERE s.reply_blob = t.blob AND (s.owner, s.message_id) NOT IN
                            (SELECT owner, message_id FROM mails))
      AND NOT EXISTS (SELECT FROM agent_mail l WHERE l.blob = t.blob)
      AND NOT EXISTS (SELECT FROM message_queue q WHERE q.blob = t.blob)
""")  # noqa: S608  no value is in it

# A draft's note may quote what its owner asked for; the timeline keeps that as a number,
# so that the figures count the same edits.
REMOVE_BODIES = text(f"""
    WITH {_MAILS}, emptied AS (
        UPDATE processed_emails SET blob = NULL, bodies_removed_at = now()
        WHERE workflow_id = ANY(:ids)
    ), states AS (
        UPDATE workflow_state
        SET email_body_preview = NULL, ai_reply_text = NULL, user_edit_instructions = NULL,
            draft_note = NULL, reply_blob = NULL
        WHERE {_OF_THESE}
    ), old AS (
        UPDATE drafts SET blob = NULL, instructions = NULL, note = NULL WHERE {_OF_THESE}
    ), texts AS (
        UPDATE sms_messages SET body = '' WHERE {_OF_THESE}
    ), lines AS (
        UPDATE events e
        SET detail = e.detail || jsonb_build_object('instructions', '(removed ' || n || ')')
        FROM (
            SELECT id, dense_rank() OVER (PARTITION BY owner, message_id
                                          ORDER BY detail->>'instructions') AS n
            FROM events WHERE {_OF_THESE} AND detail->>'instructions' IS NOT NULL
        ) said
        WHERE e.id = said.id
    )
    SELECT 1
""")  # noqa: S608

# Nobody sends again what has no workflow any more, so that its markers may go. Of a mail of the
# Email Monitor the digest stays: one that is still listed there is known.
REMOVE_ROWS = text(f"""
    WITH mails AS (
        DELETE FROM processed_emails WHERE workflow_id = ANY(:ids) RETURNING owner, message_id
    ), states AS (
        DELETE FROM workflow_state WHERE {_OF_THESE}
    ), old AS (
        DELETE FROM drafts WHERE {_OF_THESE}
    ), texts AS (
        DELETE FROM sms_messages WHERE {_OF_THESE} RETURNING provider_id
    ), receipts AS (
        DELETE FROM sms_receipts WHERE provider_id IN (SELECT provider_id FROM texts)
    ), lines AS (
        DELETE FROM events WHERE {_OF_THESE}
    ), markers AS (
        DELETE FROM send_markers
        WHERE substring(key FROM '^(email-reply/[0-9a-f]+)/') = ANY(:ids)
    )
    UPDATE monitored_emails SET monitor_id = NULL WHERE workflow_id = ANY(:ids)
""")  # noqa: S608

# Texts from owners, texts about no mail, and those to somebody else than the mail's owner; what
# is about an open mail stays.
_TEXTS = """
    SELECT t.id, t.direction, t.provider_id FROM sms_messages t
    WHERE t.id > :after AND t.at < :older_than AND {unless_gone}
      AND NOT EXISTS (
          SELECT FROM processed_emails p JOIN workflow_state s USING (owner, message_id)
          WHERE p.message_id = t.message_id
            AND (p.owner = t.owner OR s.current_state <> ALL(:final)))
      AND NOT EXISTS (
          SELECT FROM workflow_state s
          WHERE s.workflow_id = t.outcome->'resolution'->>'workflow_id'
            AND s.current_state <> ALL(:final))
    ORDER BY t.id LIMIT :limit
"""
# A provider's redelivery is known by the row that was kept, and Twilio's signature never expires:
# the row of a text from an owner stays for good, without what it said, and decides nothing.
_ANSWERED = """
    jsonb_build_object('outcome', 'refused', 'text', 'This text was answered long ago.')
"""
REMOVE_TEXTS = {
    "bodies": text(f"""
        WITH old AS ({_TEXTS.format(unless_gone="t.body <> ''")}), emptied AS (
            UPDATE sms_messages SET body = '' WHERE id IN (SELECT id FROM old)
        )
        SELECT id FROM old
    """),  # noqa: S608
    "rows": text(f"""
        WITH old AS (
            {
        _TEXTS.format(
            unless_gone=f"(t.direction = 'outbound' OR t.outcome IS DISTINCT FROM {_ANSWERED})"
        )
    }
        ), deleted AS (
            DELETE FROM sms_messages WHERE id IN (SELECT id FROM old WHERE direction = 'outbound')
        ), receipts AS (
            DELETE FROM sms_receipts
            WHERE provider_id IN (SELECT provider_id FROM old WHERE direction = 'outbound')
        ), emptied AS (
            UPDATE sms_messages SET body = '', message_id = NULL, outcome = {_ANSWERED}
            WHERE id IN (SELECT id FROM old WHERE direction = 'inbound')
        )
        SELECT id FROM old
    """),  # noqa: S608
}
# Receipts of texts that were never kept.
REMOVE_RECEIPTS = text("""
    DELETE FROM sms_receipts r
    WHERE r.status_at < :older_than AND NOT EXISTS (
        SELECT FROM sms_messages t
        WHERE t.direction = 'outbound' AND t.provider_id = r.provider_id)
""")
