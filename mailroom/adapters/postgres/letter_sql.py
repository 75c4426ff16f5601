"""The statements that look at letters. Pages go by keyset: `number` grows with each letter."""

from mailroom.models.letter_rows import LetterFilter

COLUMNS = """
    number, id, "from", "to", subject, body, priority, delivery, status, reason,
    thread AS thread_id, reply_to, pinned, strategy, channel, session_id, attempts, sent_at,
    expires_at, last_attempt, retry_at, delivered_at, read_at, acknowledged_at
"""
# As the index `agent_mail_unread` has it.
IS_UNREAD = """
    read_at IS NULL AND acknowledged_at IS NULL
    AND status IN ('queued', 'delivering', 'retrying', 'delivered')
"""
MOST_WORDS, LONGEST_WORD = 20, 100


# As the column `search` has them: the parts of a path are words.
_APART = str.maketrans("\0/@", "   ")


def words(search: str) -> str:
    """A query that finds letters with all of these words, or words that begin so.

    Quoted, nothing in a word is an operator; what has no letter or digit counts for nothing. A
    word of more than 2 KB would be an error.
    """
    found = search.translate(_APART).split()[:MOST_WORDS]
    quoted = (each[:LONGEST_WORD].replace("\\", "\\\\").replace("'", "''") for each in found)
    return " & ".join(f"'{each}':*" for each in quoted)


def _conditions(wanted: LetterFilter) -> tuple[list[str], dict[str, object]]:
    given: dict[str, tuple[str, object]] = {}
    if wanted.to is not None:
        given["to"] = ('"to" = :to', wanted.to)
    if wanted.sender is not None:
        given["sender"] = ('"from" = :sender', wanted.sender)
    if wanted.statuses:
        given["statuses"] = ("status = ANY(:statuses)", [one.value for one in wanted.statuses])
    if wanted.priorities:
        given["ranks"] = ("priority = ANY(:ranks)", [one.rank for one in wanted.priorities])
    if wanted.thread is not None:
        given["thread"] = ("thread = :thread", wanted.thread)
    if wanted.search is not None:
        given["words"] = ("search @@ to_tsquery('simple', :words)", words(wanted.search))
    conditions = [condition for condition, _ in given.values()]
    if wanted.unread:
        conditions.append(IS_UNREAD)
    return conditions, {name: value for name, (_, value) in given.items()}


def page(wanted: LetterFilter) -> tuple[str, dict[str, object]]:
    """`:cursor`, `:limit`."""
    conditions, values = _conditions(wanted)
    if wanted.mine is None or wanted.mine in (wanted.to, wanted.sender):
        return _newest(conditions), values
    # Two halves, each with its index; a letter to oneself is in the first.
    values["mine"] = wanted.mine
    to_me = _newest([*conditions, '"to" = :mine'])
    from_me = _newest([*conditions, '"from" = :mine', '"to" <> :mine'])
    both = f"SELECT * FROM (({to_me}) UNION ALL ({from_me})) AS mine"  # noqa: S608
    return f"{both} ORDER BY number DESC LIMIT :limit", values


def _newest(conditions: list[str]) -> str:
    also = "".join(f" AND {each}" for each in conditions)
    return f"""
        SELECT {COLUMNS} FROM agent_mail
        WHERE number < :cursor{also}
        ORDER BY number DESC LIMIT :limit
    """  # noqa: S608  conditions of ours


def matching(wanted: LetterFilter) -> tuple[str, dict[str, object]]:
    """`:after`, `:limit`."""
    conditions, values = _conditions(wanted)
    also = "".join(f" AND {each}" for each in conditions)
    return (
        f"SELECT number, id FROM agent_mail WHERE number > :after{also}"  # noqa: S608
        " ORDER BY number LIMIT :limit"
    ), values


def count(wanted: LetterFilter) -> tuple[str, dict[str, object]]:
    conditions, values = _conditions(wanted)
    which = " AND ".join(conditions) or "true"
    return f"SELECT count(*) AS letters FROM agent_mail WHERE {which}", values  # noqa: S608


PINNED = """
    pinned AND status IN ('queued', 'delivering', 'retrying', 'delivered', 'acknowledged')
"""
UNREAD = f"NOT pinned AND {IS_UNREAD}"
ALL = """
    NOT pinned AND status IN ('queued', 'delivering', 'retrying', 'delivered', 'acknowledged')
"""


def inbox(which: str, *, by_priority: bool) -> str:
    """`:to`, `:limit`, and the place after which it begins: `:rank`, `:sent_at`, `:number`."""
    order = "(- priority), sent_at, number" if by_priority else "sent_at, number"
    since = "coalesce(CAST(:sent_at AS timestamptz), '-infinity'), CAST(:number AS bigint)"
    place = f"- CAST(:rank AS integer), {since}" if by_priority else since
    return f"""
        SELECT {COLUMNS} FROM agent_mail
        WHERE "to" = :to AND {which} AND ({order}) > ({place})
        ORDER BY {order} LIMIT :limit
    """  # noqa: S608


THREAD = f"""
    SELECT {COLUMNS} FROM agent_mail
    WHERE thread = :thread AND number > :cursor
      AND (CAST(:mine AS text) IS NULL OR "to" = :mine OR "from" = :mine)
    ORDER BY number LIMIT :limit
"""  # noqa: S608
# An ID has digits and letters up to f.
FIND = f"""
    SELECT {COLUMNS}, blob, mine
    FROM (
        SELECT *, CAST(:mine AS text) IS NULL OR "to" = :mine OR "from" = :mine AS mine
        FROM agent_mail WHERE id >= :prefix AND id < :prefix || 'g'
    ) AS found
    ORDER BY mine DESC, number LIMIT :limit
"""  # noqa: S608
ROWS = f"SELECT {COLUMNS} FROM agent_mail WHERE id = ANY(:ids) ORDER BY number"  # noqa: S608
LETTER = """
    SELECT id, "from" AS sender, "to", subject, body, blob, priority, delivery, reply_to, thread,
           pinned, sent_at, expires_at, strategy, channel_id AS channel, source, step
    FROM agent_mail WHERE id = :id
"""
TIMELINE = """
    SELECT id, type, at, detail FROM events
    WHERE owner = :owner AND message_id = :id ORDER BY id
"""
CONFIRMATION = """
    SELECT session_id, delivered_at FROM delivery_confirmations
    WHERE message_id = :id AND delivered_at > now() - CAST(:kept AS interval)
"""
