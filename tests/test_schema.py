"""The migrations and `schema.py` say the same."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from house import another_database
from sqlalchemy import URL, create_engine, text

from mailroom.adapters.postgres import (  # noqa: F401  their tables are part of it
    migrate,
    schema_agents,
    schema_metrics,
    schema_operations,
    schema_outbound,
    schema_search,
    schema_suspensions,
)
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.postgres.schema import metadata

MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def differences(database: URL) -> list[object]:
    engine = create_engine(database.set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return [one for one in found if "alembic_version" not in str(one)]


async def test_migrations_lead_to_the_schema(database: URL) -> None:
    assert differences(database) == []


async def test_migrating_twice_changes_nothing(database: URL) -> None:
    await upgrade(database)
    assert differences(database) == []


def moved(database: URL, move: Callable[[Config, str], None], revision: str) -> None:
    engine = create_engine(database.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        move(config, revision)
    engine.dispose()


def messages(database: URL) -> list[dict[str, object]]:
    engine = create_engine(database.set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT to_jsonb(m) - 'words' FROM message_queue AS m"))
        found = [dict(row[0]) for row in rows]
    engine.dispose()
    return found


async def test_messages_stay_as_they_are_when_their_columns_are_put_in_order(
    database: URL,
) -> None:
    own = await another_database(database, f"ordered_{uuid4().hex[:8]}")
    moved(own, command.downgrade, "0012")
    engine = create_engine(own.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(_MESSAGES))
    engine.dispose()
    before = messages(own)
    assert [len(each) for each in before] == [35, 35]
    moved(own, command.upgrade, "head")
    assert messages(own) == before
    assert differences(own) == []


_MESSAGES = """
    INSERT INTO message_queue
    SELECT (jsonb_populate_record(NULL::message_queue, CAST(one AS jsonb))).*
    FROM unnest(ARRAY[
        '{"id": "00000000-0000-4000-8000-000000000001", "message_id": "<1@ours.test>",
          "queue_name": "bulk", "recipient": "anna@gmail.com", "sender": "news@ours.test",
          "domain": "gmail.com", "routing_domain": "relay.test", "campaign_id": "spring",
          "tenant_id": "one", "pool_name": "fast", "status": "deferred", "priority": 9,
          "size_bytes": 5000000000, "num_attempts": 3, "max_attempts": 7,
          "last_attempt_at": "2026-05-01T01:00:00+00:00",
          "next_attempt_at": "2026-05-01T02:00:00+00:00", "last_bounce_reason": "4.2.2 full",
          "bounce_classification": "soft", "created_at": "2026-05-01T00:00:00+00:00",
          "scheduled_at": "2026-05-01T00:30:00+00:00",
          "delivered_at": "2026-05-01T03:00:00+00:00",
          "expires_at": "2026-05-09T00:00:00+00:00", "smtp_response": {"code": 452},
          "delivery_protocol": "smtp", "headers": {"Subject": "Summer"}, "body_hash": "ab",
          "attachment_count": 2, "tags": ["vip", "eu"], "metadata": {"a": [1]}, "blob": "cd",
          "step": 4, "held": true, "relayed": true, "updated_at": "2026-05-01T03:00:01+00:00"}',
        '{"id": "00000000-0000-4000-8000-000000000002", "message_id": "<2@ours.test>",
          "queue_name": "web.de", "recipient": "ben@web.de", "sender": "news@ours.test",
          "domain": "web.de", "status": "ready", "priority": 0, "size_bytes": 1,
          "num_attempts": 0, "max_attempts": 20, "created_at": "2026-05-02T00:00:00+00:00",
          "step": 0, "held": false, "relayed": false, "updated_at": "2026-05-02T00:00:00+00:00"}'
    ]) AS one
"""
