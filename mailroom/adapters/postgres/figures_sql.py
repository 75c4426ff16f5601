"""The queries of the figures. Mails are found by `workflow_state_created`, events by
`events_at`; a group without a day is all days together."""

from sqlalchemy import text

_MAILS_OF_THESE_DAYS = "s.created_at >= :since AND (:everybody OR s.owner = ANY(:owners))"

# A word counts once: a stage that is tried again writes its events again. `via` tells the owner's
# word from a rule's.
EVENTS = text("""
    SELECT day, type, stage, count(DISTINCT (owner, message_id, instructions)) AS times,
           sum(texts) AS texts, sum(input_tokens) AS input_tokens,
           sum(output_tokens) AS output_tokens
    FROM (
        SELECT date_trunc('day', at, 'UTC') AS day, owner, message_id, type,
               detail->>'stage' AS stage, detail->>'instructions' AS instructions,
               CASE type WHEN 'sms_sent' THEN coalesce((detail->>'texts')::bigint, 1) END AS texts,
               (detail->>'input_tokens')::bigint AS input_tokens,
               (detail->>'output_tokens')::bigint AS output_tokens
        FROM events
        WHERE at >= :since AND (:everybody OR owner = ANY(:owners))
          AND (type IN ('sms_sent', 'ai_generated', 'failed', 'timeout')
               OR type IN ('user_approved', 'user_edit_requested', 'user_ignored')
                  AND detail->>'via' IS NOT NULL)
    ) e
    GROUP BY GROUPING SETS ((day, type, stage), (type, stage))
""")

MAILS = text(f"""
    SELECT date_trunc('day', s.created_at, 'UTC') AS day, count(*) AS mails,
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY extract(epoch FROM s.user_responded_at - s.sms_sent_at)
           ) FILTER (WHERE s.user_responded_at > s.sms_sent_at) AS response_seconds,
           avg(s.edit_iteration) FILTER (WHERE s.revision IS NOT NULL) AS edits_per_draft
    FROM workflow_state s
    WHERE {_MAILS_OF_THESE_DAYS}
    GROUP BY GROUPING SETS ((date_trunc('day', s.created_at, 'UTC')), ())
""")  # noqa: S608  no value is in it

_RATES = """
    count(*) AS mails,
    count(*) FILTER (WHERE s.reply_sent_at IS NOT NULL AND s.edit_iteration = 0) AS approved,
    count(*) FILTER (WHERE s.edit_iteration > 0) AS edited,
    count(*) FILTER (WHERE s.user_command = 'ignore') AS ignored
"""

# `email_from` is an address, or has it in brackets behind a name.
SENDERS = text(f"""
    SELECT lower(coalesce(substring(s.email_from FROM '<([^<>]*)>$'), s.email_from, '')) AS name,
           {_RATES}
    FROM workflow_state s
    WHERE {_MAILS_OF_THESE_DAYS}
    GROUP BY name ORDER BY mails DESC, name LIMIT :limit
""")  # noqa: S608

# An edit keeps its draft's source: the first one says where a letter came from.
SOURCES = text(f"""
    SELECT first.source AS name, {_RATES}
    FROM workflow_state s
    CROSS JOIN LATERAL (
        SELECT e.detail->>'source' AS source FROM events e
        WHERE e.owner = s.owner AND e.message_id = s.message_id AND e.type = 'ai_generated'
        ORDER BY e.step LIMIT 1
    ) first
    WHERE {_MAILS_OF_THESE_DAYS} AND first.source IS NOT NULL
    GROUP BY name ORDER BY mails DESC, name LIMIT :limit
""")  # noqa: S608

EDITS = text(f"""
    SELECT s.workflow_id, coalesce(s.email_from, '') AS sender,
           coalesce(s.email_subject, '') AS subject, after.created_at AS at,
           after.instructions, before.blob AS before, after.blob AS after
    FROM (
        SELECT * FROM workflow_state s
        WHERE {_MAILS_OF_THESE_DAYS} AND s.edit_iteration > 0
        ORDER BY s.created_at DESC LIMIT :limit
    ) s
    JOIN drafts after USING (owner, message_id)
    JOIN drafts before ON before.owner = s.owner AND before.message_id = s.message_id
                      AND before.revision = after.revision - 1
    WHERE after.instructions IS NOT NULL
    ORDER BY after.created_at DESC LIMIT :limit
""")  # noqa: S608
