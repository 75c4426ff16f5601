"""The migrations and `schema.py` say the same."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, create_engine

from mailroom.adapters.postgres import (  # noqa: F401  their tables are part of it
    schema_agents,
    schema_outbound,
)
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.postgres.schema import metadata


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
