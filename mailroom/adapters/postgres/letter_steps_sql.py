"""The statements by which letters go on, one for each step."""

from sqlalchemy import text

from mailroom.adapters.postgres.moments import THIS_MOMENT

# A session that is chosen does not end before its letter is pushed; one that has is not chosen.
PLACE = text("""
    WITH mailbox AS (
        SELECT coalesce(max(failures), 0) AS failures, max(opened_at) AS opened_at,
               max(probing_since) AS probing_since,
               EXISTS (SELECT FROM switches WHERE name = :switch AND NOT enabled) AS paused
        FROM agents WHERE address = :to
    ), overtakes AS (
        -- Those that wait go first: the drain of this address takes this letter along.
        SELECT EXISTS (
            SELECT FROM agent_mail
            WHERE "to" = :to AND status = 'queued' AND waits AND id <> :id
              AND (priority >= :priority OR NOT :by_priority)
        ) AS others
    ), online AS (
        SELECT session_id, count(*) OVER () AS several,
               row_number() OVER (ORDER BY last_active_at DESC, session_id) - 1 AS place
        FROM sessions, mailbox, overtakes
        WHERE address = :to AND expires_at > now() AND :push AND NOT paused AND failures < :opens
          AND NOT others
    ), chosen AS MATERIALIZED (
        SELECT session_id FROM sessions
        WHERE session_id IN (SELECT session_id FROM online
                             WHERE :all OR place = mod(:attempt, several))
        FOR KEY SHARE
    ), placed AS (
        INSERT INTO agent_mail AS m (id, "to", "from", subject, body, blob, priority, delivery,
                                     status, thread, reply_to, pinned, strategy, source,
                                     channel_id, sent_at, expires_at, step, last_attempt)
        SELECT :id, :to, :from, :subject, :body, :blob, :priority, :delivery,
               CASE WHEN go THEN 'delivering' ELSE 'queued' END, :thread, :reply_to, :pinned,
               :strategy, :source, :channel_id, :sent_at, :expires_at, :step,
               CASE WHEN go THEN now() END
        FROM (SELECT EXISTS (SELECT FROM chosen) OR (:trying AND NOT paused) AS go
              FROM mailbox) AS now_or_later
        ON CONFLICT (id) DO UPDATE
        SET status = CASE WHEN m.status IN ('queued', 'delivering', 'retrying', 'dead_letter')
                          THEN excluded.status ELSE m.status END,
            last_attempt = coalesce(excluded.last_attempt, m.last_attempt),
            step = greatest(m.step, excluded.step), waits = false, updated_at = now()
        RETURNING status, read_at IS NOT NULL AS read
    ), pushed AS (
        INSERT INTO session_events AS e (session_id, message_id)
        SELECT session_id, :id FROM chosen, placed WHERE status = 'delivering'
        ON CONFLICT (message_id, session_id) DO UPDATE SET attempt = e.attempt + 1
        RETURNING event_id, session_id
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id = :id AND confirmed_at IS NULL AND EXISTS (SELECT FROM pushed)
          AND session_id NOT IN (SELECT session_id FROM chosen)
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :id, :order, 'message.delivering', '{}' FROM placed
        WHERE status = 'delivering'
        ON CONFLICT DO NOTHING
    )
    SELECT status AS state, read, paused, failures, opened_at, probing_since,
           ARRAY(SELECT event_id FROM pushed) AS events
    FROM placed, mailbox
""")

MOVE = text("""
    WITH moved AS (
        UPDATE agent_mail
        SET status = :state, reason = :reason, attempts = :attempts, retry_at = :retry_at,
            waits = :waits, step = :step, updated_at = now(),
            channel = coalesce(CAST(:channel AS text), channel),
            last_attempt = CASE WHEN :attempted THEN now() ELSE last_attempt END,
            delivered_at = CASE WHEN :state IN ('delivered', 'acknowledged')
                                THEN coalesce(delivered_at, now()) ELSE delivered_at END,
            acknowledged_at = CASE WHEN :state = 'acknowledged' THEN now()
                                   ELSE acknowledged_at END
        WHERE id = :id AND step <= :step
          AND (status <> ALL(:ended) OR (status = 'delivered' AND :state = 'acknowledged'))
        RETURNING id
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id IN (SELECT id FROM moved) AND confirmed_at IS NULL
    ), confirmed AS (
        INSERT INTO delivery_confirmations (message_id)
        SELECT id FROM moved WHERE :state IN ('delivered', 'acknowledged') ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id, :order, :event, CAST(:detail AS jsonb) FROM moved
        ON CONFLICT DO NOTHING
    )
    SELECT coalesce((SELECT CAST(:state AS text) FROM moved),
                    (SELECT status FROM agent_mail WHERE id = :id))
""")

STATE = text("SELECT status FROM agent_mail WHERE id = :id")
OUTCOMES = text("""
    SELECT id, "to", status, session_id, reason AS error FROM agent_mail WHERE id = ANY(:ids)
""")
THREAD = text("SELECT thread FROM agent_mail WHERE id = :id")
TRY_BEFORE = text("""
    SELECT type FROM events
    WHERE owner = :owner AND message_id = :id
      AND type IN ('message.delivering', 'message.routing_error')
    ORDER BY id DESC OFFSET 1 LIMIT 1
""")
DEPTH = text("""
    SELECT count(*) FROM agent_mail
    WHERE "to" = :to AND status IN ('queued', 'delivering', 'retrying')
""")
OLDEST = text("""
    SELECT id FROM agent_mail
    WHERE "to" = :to AND status = 'queued' AND waits
      AND NOT EXISTS (SELECT FROM session_events
                      WHERE message_id = agent_mail.id AND confirmed_at IS NULL)
    ORDER BY sent_at, number
    LIMIT greatest((SELECT count(*) FROM agent_mail
                    WHERE "to" = :to AND status IN ('queued', 'delivering', 'retrying'))
                   - :beyond, 0)
""")
# A letter that failed waits for its own time, unless somebody has come since then.
_WAITING = """
    SELECT id, "from" AS sender, subject, priority, delivery, body, blob, thread, reply_to,
           sent_at, channel_id AS channel, strategy, notified_at IS NOT NULL AS notified
    FROM agent_mail
    WHERE "to" = :to AND waits AND id <> ALL(:besides)
      AND (status = 'queued' OR (status = 'retrying' AND EXISTS (
          SELECT FROM sessions
          WHERE address = :to AND expires_at > now() AND created_at > agent_mail.last_attempt)))
      AND (notified_at IS NULL OR NOT :unannounced)
      AND (expires_at IS NULL OR expires_at > now())
    ORDER BY {order} LIMIT :most
"""
WAITING_BY_PRIORITY = text(_WAITING.format(order="priority DESC, sent_at, number"))
WAITING_BY_AGE = text(_WAITING.format(order="sent_at, number"))

# What ended since it was looked for is not pushed, and what ends from now on is withdrawn.
PUSH = text(f"""
    WITH letter AS MATERIALIZED (
        SELECT id FROM agent_mail
        WHERE id = ANY(:ids) AND status IN ('queued', 'delivering', 'retrying')
        ORDER BY id FOR UPDATE
    ), chosen AS MATERIALIZED (
        SELECT session_id FROM sessions
        WHERE address = :to AND expires_at > now()
        ORDER BY last_active_at DESC, session_id LIMIT CASE WHEN :all THEN NULL ELSE 1 END
        FOR KEY SHARE
    ), pushed AS (
        INSERT INTO session_events AS e (session_id, message_id)
        SELECT session_id, id
        FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS wanted (id, place)
        JOIN letter USING (id), chosen
        ORDER BY place
        ON CONFLICT (message_id, session_id) DO UPDATE SET attempt = e.attempt + 1
        RETURNING event_id, message_id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, message_id, {THIS_MOMENT}, 'message.delivering', '{{}}'
        FROM (SELECT DISTINCT message_id FROM pushed) AS letters
        ON CONFLICT DO NOTHING
    )
    SELECT event_id FROM pushed
""")  # noqa: S608  parts of ours
UNCONFIRMED = text("""
    SELECT DISTINCT message_id FROM session_events
    WHERE event_id = ANY(:events) AND message_id NOT IN (
        SELECT message_id FROM session_events
        WHERE confirmed_at IS NOT NULL
          AND message_id IN (SELECT message_id FROM session_events WHERE event_id = ANY(:events)))
""")
# Of several letters each statement takes the rows in one order, so that no two wait for each other.
_IN_ORDER = "(SELECT id FROM agent_mail WHERE id = ANY(:ids) ORDER BY id FOR UPDATE)"
NOTIFIED = text(f"""
    WITH noted AS (
        UPDATE agent_mail SET notified_at = now(), updated_at = now()
        WHERE id IN {_IN_ORDER} RETURNING id
    )
    INSERT INTO events (owner, message_id, step, type, detail)
    SELECT :owner, id, {THIS_MOMENT}, 'message.notified', CAST(:detail AS jsonb)
    FROM noted WHERE NOT :quietly ON CONFLICT DO NOTHING
""")  # noqa: S608
ENABLED = text("""
    SELECT coalesce((SELECT enabled FROM switches WHERE name = :name), true)
""")
CIRCUIT = text("SELECT failures, opened_at, probing_since FROM agents WHERE address = :to")
IS_ONLINE = text("""
    SELECT EXISTS (SELECT FROM sessions WHERE address = :to AND expires_at > now())
""")
ARRIVED = text(f"""
    WITH arrived AS (
        UPDATE agent_mail SET status = 'delivered', channel = :channel, delivered_at = now(),
                              updated_at = now(), reason = NULL
        WHERE id IN {_IN_ORDER} AND status <> ALL(:ended) RETURNING id
    ), confirmed AS (
        INSERT INTO delivery_confirmations (message_id)
        SELECT id FROM arrived ON CONFLICT DO NOTHING
    )
    INSERT INTO events (owner, message_id, step, type, detail)
    SELECT :owner, id, 0, 'message.routed', CAST(:detail AS jsonb) FROM arrived
    ON CONFLICT DO NOTHING
""")  # noqa: S608
CLAIM_PROBE = text("""
    UPDATE agents SET probing_since = now()
    WHERE address = :to
      AND (probing_since IS NULL OR probing_since < now() - make_interval(secs => :seconds))
    RETURNING address
""")
REACHED = text("""
    UPDATE agents SET failures = 0, opened_at = NULL, probing_since = NULL
    WHERE address = :to AND failures > 0
""")
LOCKED_CIRCUIT = text("""
    SELECT failures, opened_at, probing_since FROM agents WHERE address = :to FOR UPDATE
""")
SET_CIRCUIT = text("""
    UPDATE agents SET failures = :failures, opened_at = :opened_at, probing_since = :probing_since
    WHERE address = :to
""")
TELL = text(f"""
    INSERT INTO events (owner, message_id, step, type, detail)
    VALUES (:owner, :id, {THIS_MOMENT}, :event, CAST(:detail AS jsonb))
    ON CONFLICT DO NOTHING
""")  # noqa: S608
UNTOLD = text("""
    SELECT id, status FROM agent_mail
    WHERE waits AND status IN ('delivered', 'acknowledged') ORDER BY updated_at LIMIT :most
""")
TOLD = text(f"UPDATE agent_mail SET waits = false WHERE id IN {_IN_ORDER}")  # noqa: S608
