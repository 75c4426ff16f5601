"""What every route works with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from fastapi import Request

from activities.errands import Errands
from mailroom.adapters.links import SignedLinks
from mailroom.adapters.postgres.agents import PostgresAgents
from mailroom.adapters.postgres.analytics import PostgresAnalytics
from mailroom.adapters.postgres.domain_views import PostgresDomainViews
from mailroom.adapters.postgres.letter_actions import PostgresLetterActions
from mailroom.adapters.postgres.letter_figures import PostgresLetterFigures
from mailroom.adapters.postgres.letter_views import PostgresLetterViews
from mailroom.adapters.postgres.letters import PostgresLetters
from mailroom.adapters.postgres.listen import EventFeed
from mailroom.adapters.postgres.message_export import PostgresExports
from mailroom.adapters.postgres.message_search import PostgresMessageSearch
from mailroom.adapters.postgres.message_unsubscribe import PostgresUnsubscribing
from mailroom.adapters.postgres.message_views import PostgresMessageViews
from mailroom.adapters.postgres.operation_views import PostgresOperationViews
from mailroom.adapters.postgres.queue_figures import PostgresQueueFigures
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
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.forgetting import Forgetting
from mailroom.bridge.handover import Handover
from mailroom.bridge.intake import Intake
from mailroom.bridge.legacy_orders import LegacyQueue
from mailroom.bridge.letter_flows import LetterFlows
from mailroom.bridge.message_flows import MessageFlows
from mailroom.bridge.operation_flows import OperationFlows
from mailroom.bridge.post_office import PostOffice
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.bridge.queue_returns import Returns
from mailroom.bridge.reception import Reception
from mailroom.bridge.submissions import Submissions
from mailroom.bridge.suspending import Suspending
from mailroom.models.agent_config import AgentsSection
from mailroom.models.outbound.rollout import QueueModel
from mailroom.models.owner import Owner
from mailroom.models.retention import Kept
from mailroom.ports import Blobs
from mailroom.ports.relay import RelayAdmin


@dataclass(frozen=True)
class Secrets:
    """`webhook` is what the SMS gateway signs with, `twilio` Twilio's auth token; each is None
    where that provider is not configured."""

    token: str
    webhook: str | None
    session: str
    twilio: str | None = None


@dataclass(frozen=True)
class Limits:
    max_message_bytes: int
    sms_per_minute: int


async def _true() -> bool:
    return True


@dataclass(frozen=True)
class Context:
    """One per bridge; `request.app.state.context` holds it."""

    flows: ReplyFlows
    intake: Intake
    handover: Handover
    forgetting: Forgetting
    views: PostgresViews
    statistics: PostgresStatistics
    analytics: PostgresAnalytics
    retention: PostgresRetention
    texts: PostgresTexts
    letters: PostgresLetters
    letter_views: PostgresLetterViews
    letter_figures: PostgresLetterFigures
    letter_actions: PostgresLetterActions
    letter_flows: LetterFlows
    sessions: PostgresSessions
    known_agents: PostgresAgents
    agents: AgentsSection
    agent_mailboxes: PostgresMailboxes
    submissions: Submissions
    message_flows: MessageFlows
    message_views: PostgresMessageViews
    message_search: PostgresMessageSearch
    saved_filters: PostgresSavedFilters
    suppressions: PostgresSuppressions
    unsubscribing: PostgresUnsubscribing
    returns: Returns
    queue_states: PostgresQueueStates
    queue_views: PostgresQueueViews
    queue_figures: PostgresQueueFigures
    exports: PostgresExports
    queue_flows: QueueFlows
    operations: PostgresOperationViews
    operation_flows: OperationFlows
    suspensions: PostgresSuspensions
    domain_views: PostgresDomainViews
    legacy_queue: LegacyQueue
    migrations: PostgresMigrations
    feed: EventFeed
    blobs: Blobs
    links: SignedLinks
    owners: Mapping[str, Owner]
    secrets: Secrets
    limits: Limits
    periods: Mapping[Kept, timedelta] = field(default_factory=dict)
    relay: RelayAdmin | None = None
    queue_model: QueueModel = field(default_factory=QueueModel)
    public_url: str = ""
    temporal_ui: str | None = None
    https: bool = False
    errands: Errands = field(default_factory=Errands)
    store_healthy: Callable[[], Awaitable[bool]] = field(default=_true)

    @cached_property
    def reception(self) -> Reception:
        return Reception(self.intake, self.handover)

    @cached_property
    def suspending(self) -> Suspending:
        return Suspending(self.suspensions, self.queue_flows, self.relay)

    @cached_property
    def office(self) -> PostOffice:
        return PostOffice(
            self.letter_flows,
            self.letters,
            self.known_agents,
            self.blobs,
            self.agents,
            self.agent_mailboxes,
        )

    @cached_property
    def by_phone(self) -> Mapping[str, str]:
        """Owners by their number: a text costs the same, however many owners there are."""
        return {owner.phone: owner.id for owner in self.owners.values() if owner.phone}


def context_of(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context
