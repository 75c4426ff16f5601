"""What searching a million messages needs.

A message has its words, and labels for what has no index of its own (tags, sender, pool, ...), in
one column with one index, so that any conjunction of them is one look into it. They change only
when what they are made of does. What else filters ask about stands in the indexes of the orders:
rows lie scattered, and reading one costs ten times as much as its line in an index.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)


# As `words_of` and `labels_of` of mailroom.models.outbound.search_words have it.
_UP = r"""
CREATE FUNCTION words_of_message(
    recipient text, sender text, subject text, domain text, routing_domain text, campaign_id text,
    tenant_id text, pool_name text, scheduled_at timestamptz, tags text[]
) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_tsvector(
    ARRAY(
        SELECT left(word, 64) FROM unnest(string_to_array(translate(
            lower(normalize(left(concat_ws(' ', recipient, sender, subject), 4000), NFC)),
            E'\t\n\r!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2026\u3000\u3001\u3002\uff01\uff0c\uff1a\uff1f\u03c2',
            repeat(' ', 57) || U&'\03C3'
        ), ' ')) AS word WHERE word <> ''
    )
    || array_remove(ARRAY[
        '=to=' || left(recipient, 200),
        '=from=' || left(sender, 200),
        '=domain=' || left(domain, 200),
        '=route=' || left(routing_domain, 200),
        '=campaign=' || left(campaign_id, 200),
        '=tenant=' || left(tenant_id, 200),
        '=pool=' || left(pool_name, 200),
        CASE WHEN scheduled_at IS NOT NULL THEN '=is=scheduled' END
    ], NULL)
    || ARRAY(SELECT '=tag=' || left(tag, 200) FROM unnest(tags) AS tag WHERE tag IS NOT NULL)
);

-- What lists sort by and what filters ask about stands in front, where reading it does not pass
-- names and headers; PostgreSQL rewrites a table that gets such a column anyway.
LOCK TABLE message_queue IN ACCESS EXCLUSIVE MODE;
CREATE TABLE message_queue_before AS TABLE message_queue;
DROP TABLE message_queue;
CREATE TABLE message_queue (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    size_bytes bigint NOT NULL,
    num_attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 20,
    step integer NOT NULL DEFAULT 0,
    priority smallint NOT NULL DEFAULT 5,
    held boolean NOT NULL DEFAULT false,
    relayed boolean NOT NULL DEFAULT false,
    attachment_count integer DEFAULT 0,
    scheduled_at timestamptz,
    last_attempt_at timestamptz,
    next_attempt_at timestamptz,
    delivered_at timestamptz,
    expires_at timestamptz,
    status text NOT NULL,
    domain text NOT NULL,
    queue_name text NOT NULL,
    tenant_id text,
    campaign_id text,
    pool_name text,
    bounce_classification text,
    routing_domain text,
    recipient text NOT NULL,
    sender text NOT NULL,
    words tsvector GENERATED ALWAYS AS (
        words_of_message(recipient, sender, headers ->> 'Subject', domain, routing_domain,
                         campaign_id, tenant_id, pool_name, scheduled_at, tags)
    ) STORED,
    message_id text NOT NULL,
    last_bounce_reason text,
    smtp_response jsonb,
    delivery_protocol text DEFAULT 'smtp',
    headers jsonb,
    body_hash text,
    tags text[],
    metadata jsonb,
    blob text
);
INSERT INTO message_queue (
    id, created_at, updated_at, size_bytes, num_attempts, max_attempts, step, priority, held,
    relayed, attachment_count, scheduled_at, last_attempt_at, next_attempt_at, delivered_at,
    expires_at, status, domain, queue_name, tenant_id, campaign_id, pool_name,
    bounce_classification, routing_domain, recipient, sender, message_id, last_bounce_reason,
    smtp_response, delivery_protocol, headers, body_hash, tags, metadata, blob
) SELECT
    id, created_at, updated_at, size_bytes, num_attempts, max_attempts, step, priority, held,
    relayed, attachment_count, scheduled_at, last_attempt_at, next_attempt_at, delivered_at,
    expires_at, status, domain, queue_name, tenant_id, campaign_id, pool_name,
    bounce_classification, routing_domain, recipient, sender, message_id, last_bounce_reason,
    smtp_response, delivery_protocol, headers, body_hash, tags, metadata, blob
FROM message_queue_before;
DROP TABLE message_queue_before;

CREATE INDEX message_queue_queue ON message_queue (queue_name, status);
CREATE INDEX message_queue_held ON message_queue (queue_name, id) WHERE held;
CREATE INDEX message_queue_held_domain ON message_queue (domain, id) WHERE held;
CREATE INDEX message_queue_held_since ON message_queue (updated_at) WHERE held;
CREATE INDEX message_queue_recipient ON message_queue (recipient, id);
CREATE INDEX message_queue_campaign ON message_queue (campaign_id, created_at, id)
    WHERE campaign_id IS NOT NULL;
CREATE INDEX message_queue_next ON message_queue (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX message_queue_message_id ON message_queue USING hash (message_id);
CREATE INDEX message_queue_blob ON message_queue USING hash (blob) WHERE blob IS NOT NULL;
CREATE INDEX message_queue_ended ON message_queue (updated_at, id)
    WHERE status IN ('delivered', 'bounced', 'expired', 'cancelled');
-- What waits to be merged into the index is read by each search: little of it.
CREATE INDEX message_queue_words ON message_queue USING gin (words, (ARRAY[status]))
    WITH (gin_pending_list_limit = 512);
CREATE INDEX message_queue_status ON message_queue (status, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, scheduled_at, domain, tenant_id,
             campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_domain ON message_queue (domain, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, scheduled_at, status, tenant_id,
             campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_tenant ON message_queue (tenant_id, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, scheduled_at, status, domain,
             campaign_id, pool_name, bounce_classification)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX message_queue_created ON message_queue (created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, scheduled_at, status, domain,
             tenant_id, campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_attempts ON message_queue (num_attempts, created_at, id)
    INCLUDE (queue_name, priority, size_bytes, scheduled_at, status, domain, tenant_id,
             campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_size ON message_queue (size_bytes, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, scheduled_at, status, domain, tenant_id,
             campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_priority ON message_queue (priority, created_at, id)
    INCLUDE (queue_name, num_attempts, size_bytes, scheduled_at, status, domain, tenant_id,
             campaign_id, pool_name, bounce_classification);
CREATE INDEX message_queue_bounce ON message_queue (bounce_classification, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, scheduled_at, status, domain,
             tenant_id, campaign_id, pool_name)
    WHERE bounce_classification IS NOT NULL;
CREATE INDEX message_queue_scheduled ON message_queue (scheduled_at, created_at, id)
    INCLUDE (queue_name, num_attempts, priority, size_bytes, status, domain, tenant_id,
             campaign_id, pool_name, bounce_classification)
    WHERE scheduled_at IS NOT NULL;
-- An index answers by itself for pages that were vacuumed; a fifth of a million rows is too long.
ALTER TABLE message_queue SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Every word that a message has: a search for the beginning of a word is one for the few words that
-- begin so, which the index finds several times as fast.
CREATE TABLE message_words (
    word text COLLATE "C" PRIMARY KEY
);
CREATE FUNCTION message_queue_inserted_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_words
    SELECT DISTINCT word FROM new_rows, unnest(tsvector_to_array(words)) AS word
    WHERE word NOT LIKE '=%' ORDER BY word
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER message_queue_inserted_words AFTER INSERT ON message_queue
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION message_queue_inserted_words();
CREATE FUNCTION message_queue_updated_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_words
    SELECT word FROM unnest(tsvector_to_array(NEW.words)) AS word
    WHERE word NOT LIKE '=%' ORDER BY word
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER message_queue_updated_words AFTER UPDATE OF recipient, sender, headers
    ON message_queue FOR EACH ROW WHEN (OLD.words IS DISTINCT FROM NEW.words)
    EXECUTE FUNCTION message_queue_updated_words();
INSERT INTO message_words
SELECT DISTINCT word FROM message_queue, unnest(tsvector_to_array(words)) AS word
WHERE word NOT LIKE '=%';

CREATE TABLE saved_filters (
    name text PRIMARY KEY,
    selection jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

_DOWN = """
DROP TABLE saved_filters;
DROP TRIGGER message_queue_updated_words ON message_queue;
DROP TRIGGER message_queue_inserted_words ON message_queue;
DROP FUNCTION message_queue_updated_words, message_queue_inserted_words;
DROP TABLE message_words;
ALTER TABLE message_queue RESET (autovacuum_vacuum_scale_factor,
    autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor);
DROP INDEX message_queue_status, message_queue_domain, message_queue_tenant, message_queue_created,
    message_queue_attempts, message_queue_size, message_queue_priority, message_queue_bounce,
    message_queue_scheduled, message_queue_words;
CREATE INDEX message_queue_status ON message_queue (status, created_at, id);
CREATE INDEX message_queue_domain ON message_queue (domain, created_at, id);
CREATE INDEX message_queue_tenant ON message_queue (tenant_id, created_at, id)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX message_queue_created ON message_queue (created_at, id);
CREATE INDEX message_queue_scheduled ON message_queue (scheduled_at) WHERE scheduled_at IS NOT NULL;
ALTER TABLE message_queue DROP COLUMN words;
DROP FUNCTION words_of_message;
"""
