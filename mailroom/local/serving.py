"""Puts a bridge together and serves it, in the local stack as in production."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from mailroom.adapters.dkim import DkimSigner
from mailroom.adapters.kumomta.relay import relay_of
from mailroom.adapters.postgres.agents import PostgresAgents
from mailroom.adapters.postgres.analytics import PostgresAnalytics
from mailroom.adapters.postgres.domain_views import PostgresDomainViews
from mailroom.adapters.postgres.forgetting import PostgresForgetting
from mailroom.adapters.postgres.letter_actions import PostgresLetterActions
from mailroom.adapters.postgres.letter_figures import PostgresLetterFigures
from mailroom.adapters.postgres.letter_views import PostgresLetterViews
from mailroom.adapters.postgres.letters import PostgresLetters
from mailroom.adapters.postgres.message_export import PostgresExports
from mailroom.adapters.postgres.message_intake import PostgresMessageIntake
from mailroom.adapters.postgres.message_search import PostgresMessageSearch
from mailroom.adapters.postgres.message_unsubscribe import PostgresUnsubscribing
from mailroom.adapters.postgres.message_views import PostgresMessageViews
from mailroom.adapters.postgres.operation_views import PostgresOperationViews
from mailroom.adapters.postgres.queue_figures import PostgresQueueFigures
from mailroom.adapters.postgres.queue_legacy import PostgresLegacyQueue
from mailroom.adapters.postgres.queue_migrations import PostgresMigrations
from mailroom.adapters.postgres.queue_states import PostgresQueueStates
from mailroom.adapters.postgres.queue_views import PostgresQueueViews
from mailroom.adapters.postgres.retention import PostgresRetention
from mailroom.adapters.postgres.saved_filters import PostgresSavedFilters
from mailroom.adapters.postgres.sessions import PostgresSessions
from mailroom.adapters.postgres.statistics import PostgresStatistics
from mailroom.adapters.postgres.suppressions import PostgresSuppressions
from mailroom.adapters.postgres.suspensions import PostgresSuspensions
from mailroom.adapters.postgres.texts import PostgresTexts
from mailroom.adapters.postgres.views import PostgresViews
from mailroom.adapters.postgres.wishes import PostgresMailboxes
from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.configured import spool_of
from mailroom.bridge.context import Context, Limits, Secrets
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.forgetting import Forgetting
from mailroom.bridge.handover import Handover
from mailroom.bridge.legacy_orders import LegacyQueue
from mailroom.bridge.letter_flows import LetterFlows
from mailroom.bridge.message_flows import MessageFlows
from mailroom.bridge.operation_flows import OperationFlows
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.bridge.submissions import Submissions
from mailroom.local.beside import beside
from mailroom.local.inbound import PortTaken
from mailroom.models.outbound.unsubscribe import unsubscribe_headers
from worker import Adapters, inbox, returns_of

BACKLOG = 512
# Longer than clients and proxies (nginx: 60 s) keep a connection for their next request: one that
# is closed while that comes would lose it.
KEEP_ALIVE_SECONDS = 75
# Pages keep an event stream open; nobody waits for those at a stop.
STOP_SECONDS = 3


def bridge_context(
    adapters: Adapters,
    settings: Settings,
    secrets: Secrets,
    temporal_ui: str | None = None,
) -> Context:
    flows = ReplyFlows(adapters.client)
    return Context(
        flows=flows,
        intake=inbox(adapters, settings),
        handover=Handover(spool_of(settings)),
        forgetting=Forgetting(
            adapters.client, PostgresForgetting(adapters.engines.write), adapters.blobs
        ),
        views=PostgresViews(adapters.engines.read),
        statistics=PostgresStatistics(adapters.engines.read),
        analytics=PostgresAnalytics(adapters.engines.read, adapters.blobs),
        retention=PostgresRetention(adapters.engines.read),
        texts=PostgresTexts(adapters.engines.write),
        letters=PostgresLetters(adapters.engines.write),
        letter_views=PostgresLetterViews(adapters.engines.read),
        letter_figures=PostgresLetterFigures(adapters.engines.read, adapters.agents),
        letter_actions=PostgresLetterActions(adapters.engines.write),
        letter_flows=LetterFlows(adapters.client, adapters.agents),
        sessions=PostgresSessions(adapters.engines.write),
        known_agents=PostgresAgents(adapters.engines.write),
        agents=adapters.agents,
        agent_mailboxes=PostgresMailboxes(adapters.engines.write, adapters.agents),
        submissions=submissions(adapters),
        message_flows=MessageFlows(adapters.client),
        message_views=PostgresMessageViews(adapters.engines.read),
        message_search=PostgresMessageSearch(adapters.engines.read),
        saved_filters=PostgresSavedFilters(adapters.engines.write, adapters.engines.read),
        suppressions=PostgresSuppressions(adapters.engines),
        unsubscribing=PostgresUnsubscribing(adapters.engines),
        returns=returns_of(adapters),
        queue_states=PostgresQueueStates(adapters.engines.write),
        queue_views=PostgresQueueViews(adapters.engines.read),
        queue_figures=PostgresQueueFigures(adapters.engines, adapters.outbound),
        exports=PostgresExports(adapters.engines.read),
        queue_flows=QueueFlows(adapters.client),
        operations=PostgresOperationViews(adapters.engines),
        operation_flows=OperationFlows(adapters.client),
        suspensions=PostgresSuspensions(adapters.engines.write),
        domain_views=PostgresDomainViews(adapters.engines.read, adapters.outbound),
        legacy_queue=LegacyQueue(
            PostgresLegacyQueue(adapters.engines.write, adapters.engines.read), adapters.client
        ),
        migrations=PostgresMigrations(adapters.engines.write, adapters.engines.read),
        feed=adapters.feed,
        blobs=adapters.blobs,
        links=adapters.links,
        owners=adapters.owners,
        secrets=secrets,
        limits=Limits(settings.mailroom_max_message_bytes, settings.mailroom_sms_per_minute),
        periods=settings.periods,
        relay=relay_of(settings, adapters.http),
        queue_model=settings.queue_model,
        public_url=settings.public_url,
        temporal_ui=temporal_ui,
        https=settings.public_url.startswith("https:"),
    )


def submissions(adapters: Adapters) -> Submissions:
    def unsubscribing(id: UUID) -> dict[str, str]:
        mailto = adapters.outbound.unsubscribe_mailto
        return unsubscribe_headers(adapters.links.unsubscribe(id), mailto)

    return Submissions(
        PostgresMessageIntake(adapters.engines.write),
        MessageFlows(adapters.client),
        adapters.blobs,
        DkimSigner(adapters.outbound.dkim),
        adapters.outbound,
        unsubscribing,
    )


class _Server(uvicorn.Server):
    """Signals are the caller's: the order of a stop is decided there."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY where it sees that it is TCP. Without, the body of an answer, which
    # is written after its head, waits 40 ms for the client's delayed ACK (RFC 9293 §3.7.4).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"HTTP can't listen on {host}:{port} ({error.strerror}); "
            "free the port or set MAILROOM_PORT."
        ) from error
    return listener


@asynccontextmanager
async def served(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serves while the block runs; open requests are finished at the end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.up.wait()
        yield
    finally:
        app.state.stopping.set()
        server.should_exit = True
        await task


def forwarding(app: FastAPI) -> AbstractAsyncContextManager[None]:
    """What the spool keeps goes on while the block runs."""
    return beside(app.state.forwarder.run())
