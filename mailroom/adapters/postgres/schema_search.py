"""The words that messages have, and what people search for again."""

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from mailroom.adapters.postgres.schema import metadata, time_now

message_words = Table(
    "message_words", metadata, Column("word", Text(collation="C"), primary_key=True)
)

saved_filters = Table(
    "saved_filters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("selection", JSONB, nullable=False),
    time_now("created_at"),
)
