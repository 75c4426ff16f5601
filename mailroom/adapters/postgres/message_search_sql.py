"""The statements of a list of messages. Names only: values are bound."""

# ruff: noqa: S608

from collections.abc import Sequence

from mailroom.adapters.postgres.filter_sql import (
    Where,
    conditions_of,
    given_of,
    row_by_row,
    stands_in_orders,
)
from mailroom.adapters.postgres.filter_sql import where as that_fit
from mailroom.adapters.postgres.message_order import Order, Walk
from mailroom.models.outbound.filters import MessageSelection

FEW_WORDS, SAMPLED = 32, 1_000
# No word has it: it is after all of them.
_LAST = chr(0x10FFFF)
_SIZE = "SELECT reltuples FROM pg_class WHERE oid = CAST('message_queue' AS regclass)"


def known(words: Sequence[str]) -> Where:
    """Words of messages, each after the one that it begins like: one more than `FEW_WORDS`."""
    return Where(
        """
        SELECT given, found.word FROM unnest(CAST(:words AS text[])) AS given, LATERAL (
            SELECT word FROM message_words
            WHERE word >= lower(given) AND word < lower(given) || :last
            ORDER BY word LIMIT :most
        ) AS found
        """,
        {"words": list(words), "last": _LAST, "most": FEW_WORDS + 1},
    )


def sampled(selection: MessageSelection, order: Order, after: Where) -> Where:
    """How many rows of a sample fit, how many they are, how many the table has, and how far the
    first is that fits, as `Order.near` takes it."""
    each = row_by_row(selection)
    if each.sql == "true":
        return Where(f"SELECT 1, 1, ({_SIZE}), NULL", {})
    first = order.first(f"fits AND {after.sql}")
    return Where(
        f"""
        SELECT count(*) FILTER (WHERE fits), count(*), ({_SIZE}), {first}
        FROM {_sample(order, each)}
        """,
        {**each.values, **after.values},
    )


def horizon(selection: MessageSelection, order: Order, walk: Walk) -> Where:
    """The first rows of the sample that fit: how many rows come before each, and its keys."""
    each = row_by_row(selection)
    return Where(
        f"""
        SELECT number, {order.columns} FROM (
            SELECT *, row_number() OVER (ORDER BY {walk.order}) AS number
            FROM {_sample(order, each)} WHERE {walk.where.sql}
        ) AS m
        WHERE fits ORDER BY number LIMIT :most
        """,
        {**each.values, **walk.where.values},
    )


def _sample(order: Order, each: Where) -> str:
    """IDs are random (UUID 4 and 5), so that the first ones are of messages as they come. They are
    the same ones each time, and stay in memory."""
    row = f"{order.columns}, ({each.sql}) AS fits"
    return f"(SELECT {row} FROM message_queue AS m ORDER BY m.id LIMIT {SAMPLED}) AS m"


def walked(selection: MessageSelection, order: Order, walk: Walk) -> Where:
    """Along an index in the order of the list, `steps` rows at most, until `wanted` rows fit."""
    conditions, _ = conditions_of(selection)
    each = row_by_row(selection)
    bounds = [conditions[name] for name in order.bounds(conditions)]
    return Where(
        f"""
        SELECT {order.columns} FROM (
            SELECT m.* FROM message_queue AS m WHERE {" AND ".join([walk.where.sql, *bounds])}
            ORDER BY {walk.order} LIMIT :steps
        ) AS m
        WHERE {each.sql} ORDER BY {walk.order} LIMIT :wanted
        """,
        {**each.values, **walk.where.values},
    )


def along(selection: MessageSelection, order: Order, part: Walk) -> Where:
    """All of a part that fits, where the order's index answers by itself."""
    each = row_by_row(selection)
    return Where(
        f"""
        SELECT {order.columns} FROM message_queue AS m
        WHERE {each.sql} AND {part.where.sql} ORDER BY {part.order} LIMIT :wanted
        """,
        {**each.values, **part.where.values},
    )


def passed(selection: MessageSelection, order: Order, walk: Walk) -> Where:
    """How many rows such a walk passes, whether they fit or not: fewer than `steps` at the end."""
    conditions, values = conditions_of(selection)
    bounds = [conditions[name] for name in order.bounds(conditions)]
    return Where(
        f"""
        SELECT count(*) FROM (
            SELECT FROM message_queue AS m WHERE {" AND ".join([walk.where.sql, *bounds])}
            LIMIT :steps
        ) AS n
        """,
        {**values, **walk.where.values},
    )


def sorted_all(selection: MessageSelection, order: Order, after: Where) -> Where:
    """All that fits is read and sorted: `total` says how much that is."""
    found = _found(selection, order)
    return Where(
        f"""
        WITH found AS MATERIALIZED ({found.sql}), page AS (
            SELECT * FROM found AS m WHERE {after.sql} ORDER BY {order.by} LIMIT :wanted
        )
        SELECT total.rows AS total, {order.columns}
        FROM (SELECT count(*) AS rows FROM found) AS total LEFT JOIN page AS m ON true
        ORDER BY {order.by}
        """,
        {**found.values, **after.values},
    )


def sorted_near(selection: MessageSelection, order: Order, near: Where) -> Where:
    """All that fits is read, and only what is near is kept and sorted: `total` as above."""
    found = _found(selection, order)
    return Where(
        f"""
        SELECT total.rows AS total, {order.columns}
        FROM (
            SELECT count(*) AS rows,
                   array_agg(ROW({order.columns})) FILTER (WHERE {near.sql}) AS kept
            FROM ({found.sql}) AS m
        ) AS total
        LEFT JOIN LATERAL (
            SELECT * FROM unnest(total.kept) AS m ({order.typed}) ORDER BY {order.by} LIMIT :wanted
        ) AS m ON true
        ORDER BY {order.by}
        """,
        {**found.values, **near.values},
    )


def sorted_part(selection: MessageSelection, order: Order, part: Walk) -> Where:
    """Of one part of the list."""
    found = _found(selection, order, part)
    return Where(
        f"""
        WITH found AS MATERIALIZED ({found.sql})
        SELECT {order.columns} FROM found AS m ORDER BY {part.order} LIMIT :wanted
        """,
        found.values,
    )


def looked_up(selection: MessageSelection, order: Order) -> bool:
    """Only the index of recipients knows them: of all that another index finds by one field, those
    that have the others, too, are looked up by their IDs."""
    given = given_of(selection)
    return not order.is_wide and len(given) > 1 and stands_in_orders(given)


def _found(selection: MessageSelection, order: Order, part: Walk | None = None) -> Where:
    by_id = not part and looked_up(selection, order)
    by_orders = by_id or (order.is_wide and stands_in_orders(given_of(selection)))
    fits = row_by_row(selection) if by_orders else that_fit(selection, part.label if part else None)
    also = part.where if part else Where("true", {})
    rows = f"message_queue AS m WHERE {fits.sql} AND {also.sql}"
    chosen = f"SELECT {order.columns} FROM {rows}"
    if by_id:
        ids = f"SELECT m.id FROM {rows} OFFSET 0"
        chosen = f"SELECT {order.columns} FROM message_queue AS m JOIN ({ids}) AS fits USING (id)"
    return Where(chosen, {**fits.values, **also.values})


def counted(selection: MessageSelection) -> Where:
    """No farther than `most`."""
    by_orders = stands_in_orders(given_of(selection))
    fits = row_by_row(selection) if by_orders else that_fit(selection)
    return Where(
        f"SELECT count(*) FROM (SELECT FROM message_queue AS m WHERE {fits.sql} LIMIT :most) AS n",
        fits.values,
    )
