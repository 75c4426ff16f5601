"""A worker and a bridge's insides on real servers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import URL, create_engine, text
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from world import PHONE, Gateway, Sink, eventually

from mailroom.adapters import temporal
from mailroom.adapters.postgres.views import WorkflowState
from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.spool import Spool
from mailroom.bridge.app import create_app
from mailroom.bridge.context import Context, Secrets
from mailroom.bridge.handover import Handover
from mailroom.local import serving
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.states import MailState
from worker import Adapters, connected, worker
from workflows.email_reply import EmailReplyWorkflow
from workflows.search_attributes import ALL

WEBHOOK_SECRET = "whsec_bWFpbHJvb20tdGVzdHMtd2ViaG9vay1rZXk="
TOKEN = "a-token-for-tests"
OWNER = "owner@mailroom.test"
# Low, so that a test can exceed it.
EVENTS_BEFORE_CONTINUE_AS_NEW = 500
# Migrated, and nobody's: PostgreSQL copies a database to which nobody is connected.
TEMPLATE = "migrated"


# Urgent ones wait to be acknowledged.
_LETTERS_LEFT = text("""
    SELECT id, status FROM agent_mail
    WHERE status IN ('queued', 'delivering', 'retrying', 'dead_letter')
       OR (status = 'delivered' AND priority = 3)
""")


@dataclass
class House:
    """A worker and a bridge's insides on real servers; `env` skips time."""

    env: WorkflowEnvironment
    client: Client
    adapters: Adapters
    context: Context
    settings: Settings
    gateway: Gateway
    sink: Sink
    sent: list[str] = field(default_factory=list)

    async def receive(self, raw: bytes, sender: str = "john@example.com") -> Accepted:
        return await self.context.intake.accept(Arrival(raw, sender, (OWNER,)))

    async def row(self, accepted: Accepted) -> WorkflowState:
        row = await self.context.views.by_workflow(accepted.workflow_id)
        assert row is not None, "the mail has no row"
        return row

    async def reached(self, accepted: Accepted, state: MailState) -> WorkflowState:
        """The mail's row, once it and its workflow are in this state: a step writes the row, and
        its workflow is told after it."""
        workflow = self.client.get_workflow_handle_for(EmailReplyWorkflow.run, accepted.workflow_id)

        async def are_there() -> bool:
            row = await self.context.views.by_workflow(accepted.workflow_id)
            if row is None or row.current_state is not state:
                return False
            return (await workflow.query(EmailReplyWorkflow.status)).state is state

        await eventually(are_there)
        return await self.row(accepted)

    async def ended(self, accepted: Accepted) -> MailState:
        """The state in which the mail's workflow left it."""
        await self.client.get_workflow_handle(accepted.workflow_id).result()
        return (await self.row(accepted)).current_state

    async def skip(self, **duration: float) -> None:
        await self.env.sleep(timedelta(**duration))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A worker for a house that has none, connected by itself: one that stopped may stay
        registered with its client, which then refuses the next."""
        client = await temporal.connect(address_of(self.env), self.client.namespace)
        async with worker(replace(self.adapters, client=client), self.settings):
            yield

    async def nothing_waits(self) -> None:
        """Ends whatever other tests left waiting, so that a bare answer has one meaning."""
        views, [owner] = self.context.views, self.context.owners
        for draft in await views.waiting(owner, 1_000):
            await self.context.flows.expire(draft.workflow_id)

        async def none() -> bool:
            return not await views.waiting(owner)

        await eventually(none)

    async def end_letters(self) -> None:
        """Ends what other tests left of letters: its timers would go off where time is skipped."""
        async with self.adapters.engines.write.connect() as connection:
            found = (await connection.execute(_LETTERS_LEFT)).all()
            await connection.execute(text("DELETE FROM sessions"))
        for letter in found:
            order = "acknowledge" if letter.status == "delivered" else "discard"
            await self.context.letter_flows.tell_letter(letter.id, order)

    async def forget_phone(self) -> None:
        """The owner's number has neither said STOP nor been explained anything."""
        async with self.adapters.engines.write.connect() as connection:
            await connection.execute(text("DELETE FROM phones"))


@asynccontextmanager
async def house_on(
    env: WorkflowEnvironment, settings: Settings, database: URL, gateway: Gateway, sink: Sink
) -> AsyncIterator[House]:
    async with (
        idle_house_on(env, settings, database, gateway, sink) as house,
        worker(house.adapters, settings),
    ):
        yield house


@asynccontextmanager
async def configured_house(
    env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    folder: Path,
    config: str,
    **more: object,
) -> AsyncIterator[House]:
    """With a mailroom.toml and settings of its own."""
    (folder / "mailroom.toml").write_text(config)
    settings = settings_for(folder, gateway, sink, temporal_address=address_of(env), **more)
    async with house_on(env, settings, database, gateway, sink) as running:
        yield running


@asynccontextmanager
async def idle_house_on(
    env: WorkflowEnvironment, settings: Settings, database: URL, gateway: Gateway, sink: Sink
) -> AsyncIterator[House]:
    """Without a worker: `at_work` starts one."""
    async with connected(settings, database, "links") as adapters:
        await temporal.add_search_attributes(adapters.client, ALL)
        secrets = Secrets(token=TOKEN, webhook=WEBHOOK_SECRET, session="session")
        context = serving.bridge_context(adapters, settings, secrets)
        yield House(env, env.client, adapters, context, settings, gateway, sink)


async def another_database(database: URL, name: str) -> URL:
    """Beside `database`, on the same server; migrated, and empty."""
    engine = create_engine(
        database.set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"'))
    engine.dispose()
    return database.set(database=name)


@asynccontextmanager
async def bridge_on(
    context: Context, *, spool: Path | None = None, **limits: int
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a bridge on a real port, which allows as many texts as there are tests, with a
    spool of its own."""
    own = context.handover.spool.folder.with_name(f"spool-{uuid4().hex}")
    handover = Handover(Spool(spool or own))
    allowed = replace(context.limits, **{"sms_per_minute": 1_000_000, **limits})
    listener = serving.bound_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(replace(context, limits=allowed, handover=handover))
    async with (
        serving.served(app, listener),
        serving.forwarding(app),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        yield http


def cache() -> Path | None:
    """Where `make servers` has put what it fetched or built; None: where it does by itself."""
    folder = os.environ.get("MAILROOM_CACHE_DIR")
    return Path(folder) if folder else None


def address_of(env: WorkflowEnvironment) -> str:
    return env.client.service_client.config.target_host


def settings_for(folder: Path, gateway: Gateway, sink: Sink, **more: object) -> Settings:
    known: dict[str, object] = {
        "sms_gateway_url": gateway.url,
        "sms_webhook_secret": SecretStr(WEBHOOK_SECRET),
        "gmail_smtp_server": "127.0.0.1",
        "gmail_smtp_port": sink.port,
        "email_address": OWNER,
        "your_phone_number": PHONE,
        "mailroom_data_dir": folder,
        "mailroom_token": SecretStr(TOKEN),
        "mailroom_config": folder / "mailroom.toml",
        "mailroom_tmux_socket": str(folder / "no-tmux"),
    }
    return Settings.model_validate(known | more)
