"""Composition root: settings -> adapters -> activities -> workers. Here, and nowhere else,
they meet."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from sqlalchemy import URL
from temporalio.client import Client
from temporalio.worker import Worker

from activities.add_up import AddUp
from activities.ask_again import AskAgain
from activities.deliver_letter import DeliverLetter
from activities.deliver_message import DeliverMessage
from activities.draft_reply import DraftReply
from activities.drain_mailbox import DrainMailbox
from activities.errands import Errands
from activities.heartbeats import Heartbeats
from activities.mirror_suspensions import MirrorSuspensions
from activities.nudge_again import NudgeAgain
from activities.poll_beads import PollBeads
from activities.poll_inbox import PollInbox
from activities.postpone import Postpone
from activities.queue_operation import QueueOperations
from activities.queue_release import QueueRelease
from activities.reach import Reach
from activities.record import Record
from activities.remove_old import RemoveOld
from activities.remove_old_ones import OldOnes
from activities.say import Say
from activities.scan_mailboxes import ScanMailboxes
from activities.score_domains import ScoreDomains
from activities.send_reply import SendReply
from activities.settle_letter import SettleLetter
from activities.settle_message import SettleMessage
from activities.tell_lost_text import TellLostText
from activities.tell_overseer import TellOverseer
from activities.text_owner import TextOwner
from activities.watch_mailbox import WatchMailbox
from activities.write_owner import WriteOwner
from mailroom.adapters import temporal, twilio
from mailroom.adapters.beads import BeadsCommand
from mailroom.adapters.blobs import ObstoreBlobs
from mailroom.adapters.command_hook import CommandHook, run_hooks
from mailroom.adapters.couriers import MX, courier_of, route_of
from mailroom.adapters.delivery_rate import keep_rate
from mailroom.adapters.drafters import drafter_of, drafts_by_ai, fallback_of
from mailroom.adapters.email_monitor import EmailMonitor
from mailroom.adapters.executions import TemporalExecutions
from mailroom.adapters.http import http_client
from mailroom.adapters.imap import ImapSource
from mailroom.adapters.kumomta.relay import relay_of
from mailroom.adapters.letter_webhook import LetterWebhook
from mailroom.adapters.links import SignedLinks
from mailroom.adapters.mailboxes import mailboxes_of
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.agents import PostgresAgents
from mailroom.adapters.postgres.circuits import PostgresCircuits
from mailroom.adapters.postgres.domain_health import PostgresDomainHealth
from mailroom.adapters.postgres.emails import PostgresEmails
from mailroom.adapters.postgres.history import PostgresHistory
from mailroom.adapters.postgres.letter_retention import PostgresLetterRetention
from mailroom.adapters.postgres.letters import PostgresLetters
from mailroom.adapters.postgres.listen import EventFeed
from mailroom.adapters.postgres.mailboxes import PostgresMailboxes
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.postgres.message_reports import PostgresReports
from mailroom.adapters.postgres.message_retention import PostgresMessageRetention
from mailroom.adapters.postgres.monitored import PostgresMonitored
from mailroom.adapters.postgres.outage import StoreOutages
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.adapters.postgres.queue_operations import PostgresOperations
from mailroom.adapters.postgres.queue_states import PostgresQueueStates
from mailroom.adapters.postgres.retention import PostgresRetention
from mailroom.adapters.postgres.sessions import PostgresSessions
from mailroom.adapters.postgres.suspensions import PostgresSuspensions
from mailroom.adapters.postgres.texts import PostgresTexts
from mailroom.adapters.postgres.wishes import PostgresMailboxes as PostgresAgentMailboxes
from mailroom.adapters.settings import (
    BadConfiguration,
    OwnerSection,
    Settings,
    load_config_file,
    owners_of,
    webhook_secrets,
)
from mailroom.adapters.sms_gateway import GatewayTexter
from mailroom.adapters.smtp.configured import own_submission, submission_of
from mailroom.adapters.smtp.routes import RoutedMailer
from mailroom.adapters.smtp.submission import SmtpMailer
from mailroom.adapters.tmux import Tmux
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.given_letters import GivenLetters
from mailroom.bridge.holding import Holding
from mailroom.bridge.intake import Intake
from mailroom.bridge.letter_flows import LetterFlows
from mailroom.bridge.mailbox_watches import watch_mailboxes
from mailroom.bridge.message_flows import MessageFlows
from mailroom.bridge.operated_flows import OperatedFlows
from mailroom.bridge.post_office import PostOffice
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.bridge.queue_reports import Reports
from mailroom.bridge.queue_returns import Returns
from mailroom.bridge.suspending import Suspending
from mailroom.local.beside import beside
from mailroom.models.agent_config import AgentsSection
from mailroom.models.drafting import DraftsSection
from mailroom.models.names import (
    DELIVERY_TASK_QUEUE,
    MAIL_TASK_QUEUE,
    agent_mail_id,
    outbound_id,
)
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.parcel import Parcel
from mailroom.ports import Drafter, Texter
from workflows.agent_mail import AgentMailWorkflow
from workflows.arguments import CheckedArguments
from workflows.beads_poll import BeadsPollWorkflow
from workflows.email_reply import EmailReplyWorkflow
from workflows.inbox_poll import InboxPollWorkflow
from workflows.lost_text import LostTextWorkflow
from workflows.mailbox_drain import MailboxDrainWorkflow
from workflows.mailbox_scan import MailboxScanWorkflow
from workflows.mailbox_watch import MailboxWatchWorkflow
from workflows.outbound_message import OutboundMessageWorkflow
from workflows.owner_notice import OwnerNoticeWorkflow
from workflows.queue_health import QueueHealthWorkflow
from workflows.queue_operation import QueueOperationWorkflow
from workflows.queue_release import QueueReleaseWorkflow
from workflows.retention import RetentionWorkflow
from workflows.sandbox import sandbox

WORKFLOWS = [
    AgentMailWorkflow,
    BeadsPollWorkflow,
    EmailReplyWorkflow,
    InboxPollWorkflow,
    LostTextWorkflow,
    MailboxDrainWorkflow,
    MailboxScanWorkflow,
    MailboxWatchWorkflow,
    OutboundMessageWorkflow,
    OwnerNoticeWorkflow,
    QueueHealthWorkflow,
    QueueOperationWorkflow,
    QueueReleaseWorkflow,
    RetentionWorkflow,
]

# Above the longest wait for the answer to a final dot that is worth waiting for at a stop.
GRACEFUL_STOP = timedelta(seconds=30)
# A waiting workflow costs about 0.15 MiB while cached; one beyond is replayed when it is asked,
# which takes about 10 ms more.
CACHED_WORKFLOWS = 40
# A letter waits in its step for the recipient to confirm it, five seconds at most.
CONCURRENT_ACTIVITIES = 200
CONCURRENT_DELIVERIES = 200
HEARTBEAT_EVERY = timedelta(seconds=5)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Adapters:
    """Everything that touches the world, connected."""

    client: Client
    engines: engine.Engines
    blobs: ObstoreBlobs
    http: httpx.AsyncClient
    drafter: Drafter
    fallback: Drafter | None
    drafts: DraftsSection
    links: SignedLinks
    owners: Mapping[str, OwnerSection]
    agents: AgentsSection
    outbound: OutboundSection
    feed: EventFeed


def database_url(settings: Settings) -> URL:
    if not settings.db_host:
        raise BadConfiguration(
            "DB_HOST is not set; set it, or use `mailroom dev`, which brings its own PostgreSQL."
        )
    secret = settings.db_password
    # A folder is where the server's Unix socket is; libpq takes it as a parameter.
    socket = settings.db_host.startswith("/")
    return URL.create(
        "postgresql+psycopg",
        username=settings.db_user,
        password=secret.get_secret_value() if secret else None,
        host=None if socket else settings.db_host,
        port=settings.db_port,
        database=settings.db_name,
        query={"host": settings.db_host} if socket else {},
    )


@asynccontextmanager
async def connected(
    settings: Settings, database: URL, link_secret: str, *, lazy: bool = False
) -> AsyncIterator[Adapters]:
    config = load_config_file(settings.mailroom_config)
    owners = owners_of(settings, config)
    engines = engine.connect(database, settings.mailroom_db_pool)
    key = settings.temporal_api_key
    client = await temporal.connect(
        settings.temporal_address,
        settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=settings.temporal_tls,
        lazy=lazy,
    )
    feed = EventFeed(database)
    async with http_client() as http, beside(feed.run()):
        try:
            yield Adapters(
                client=client,
                engines=engines,
                blobs=ObstoreBlobs.at(settings.blobs_dir, settings.mailroom_blobs_url),
                http=http,
                drafter=drafter_of(settings, config, http),
                fallback=fallback_of(settings, config),
                drafts=config.drafts,
                links=SignedLinks(link_secret, settings.public_url),
                owners=owners,
                agents=config.agents,
                outbound=config.outbound,
                feed=feed,
            )
        finally:
            await engines.dispose()


def _texter(settings: Settings, http: httpx.AsyncClient, texts: PostgresTexts) -> Texter:
    if account := twilio.account_of(settings):
        return _twilio(settings, http, texts, account)
    if not settings.sms_gateway_url:
        raise BadConfiguration(
            "SMS_GATEWAY_URL is not set; set it to your gateway's address, or the three TWILIO_* "
            "variables."
        )
    token = settings.sms_gateway_token
    return GatewayTexter(
        http, settings.sms_gateway_url, token.get_secret_value() if token else None
    )


def _twilio(
    settings: Settings, http: httpx.AsyncClient, texts: PostgresTexts, account: twilio.Account
) -> Texter:
    outside = settings.mailroom_public_url
    return twilio.TwilioTexter(
        http,
        account,
        partial(texts.set_stopped, stopped=True),
        f"{outside}{twilio.STATUS_PATH}" if outside else None,
    )


def _mailer(settings: Settings, owners: Mapping[str, OwnerSection]) -> RoutedMailer:
    # Loading the authorities takes 10 ms: once, however many owners there are.
    tls = ssl.create_default_context()
    own = {
        address.casefold(): mailer
        for owner in owners.values()
        if owner.smtp
        for mailer in [SmtpMailer(own_submission(owner.smtp), tls)]
        for address in owner.addresses
    }
    return RoutedMailer(SmtpMailer(submission_of(settings), tls), own)


def _draft_reply(adapters: Adapters, settings: Settings, emails: PostgresEmails) -> DraftReply:
    history = PostgresHistory(adapters.engines.read, adapters.blobs, adapters.drafts.examples)
    return DraftReply(
        adapters.blobs,
        emails,
        adapters.drafter,
        adapters.owners,
        history=history if drafts_by_ai(settings) else None,
        fallback=adapters.fallback,
        attempts=settings.max_retry_attempts,
    )


def activities(adapters: Adapters, settings: Settings) -> list[Callable[..., Any]]:
    emails = PostgresEmails(adapters.engines.write)
    texts = PostgresTexts(adapters.engines.write)
    owners = adapters.owners
    texter = _texter(settings, adapters.http, texts)
    mailer = _mailer(settings, owners)
    return [
        _draft_reply(adapters, settings, emails).draft_reply,
        TextOwner(
            adapters.blobs,
            emails,
            texts,
            texter,
            adapters.links,
            owners,
            settings.sms_format,
        ).text_owner,
        SendReply(
            adapters.blobs,
            emails,
            PostgresMarkers(adapters.engines.write),
            mailer,
            owners,
        ).send_reply,
        AskAgain(adapters.blobs, emails).ask_again,
        Postpone(emails, owners).postpone,
        Record(emails).record,
        Say(texts, texter, owners).say,
        WriteOwner(mailer, adapters.links, owners).write_owner,
        TellLostText(texts, mailer, owners).tell_lost_text,
        SettleMessage(PostgresMessages(adapters.engines.write, adapters.outbound)).settle_message,
        *_letters(adapters, Say(texts, texter, owners), settings),
        *_polling(adapters, settings),
        *_queues(adapters, settings),
        *_operations(adapters, settings),
        _watching(adapters, settings).watch_mailbox,
        _removing(adapters, settings).remove_old,
    ]


def _letters(adapters: Adapters, say: Say, settings: Settings) -> list[Callable[..., Any]]:
    agents, write = adapters.agents, adapters.engines.write
    letters = PostgresLetters(write)
    mailboxes = PostgresAgentMailboxes(write, agents)
    flows = LetterFlows(adapters.client, agents)
    reach = Reach(
        Tmux(settings.mailroom_tmux_socket),
        LetterWebhook(adapters.http),
        CommandHook(),
        adapters.blobs,
        webhook_secrets(agents),
    )
    deliver = DeliverLetter(
        letters,
        adapters.feed,
        reach,
        flows,
        mailboxes,
        partial(run_hooks, agents.hooks),
        Errands(),
        agents.enable_priority_processing,
    )
    return [
        deliver.deliver_at_once,
        deliver.deliver_letter,
        DrainMailbox(letters, adapters.feed, reach, flows, mailboxes, agents).drain_mailbox,
        ScanMailboxes(letters, PostgresSessions(write), flows, reach, agents).scan_mailboxes,
        *_settling(SettleLetter(letters)),
        NudgeAgain(letters, reach, mailboxes).nudge_again,
        TellOverseer(say, adapters.owners, agents.overseer_owner, beads_of(agents)).tell_overseer,
        *_beads(adapters, letters, mailboxes),
    ]


def _settling(settle: SettleLetter) -> list[Callable[..., Any]]:
    return [settle.settle_letter, settle.hold_letter]


def beads_of(agents: AgentsSection) -> BeadsCommand | None:
    return BeadsCommand(agents.beads.folder) if agents.beads.enabled else None


def _beads(
    adapters: Adapters, letters: PostgresLetters, mailboxes: PostgresAgentMailboxes
) -> list[Callable[..., Any]]:
    agents = adapters.agents
    if (beads := beads_of(agents)) is None:
        return []
    known, flows = PostgresAgents(adapters.engines.write), LetterFlows(adapters.client, agents)
    retention = PostgresLetterRetention(adapters.engines.write)
    office = PostOffice(flows, letters, known, adapters.blobs, agents, mailboxes)
    return [PollBeads(beads, GivenLetters(office, retention)).poll_beads]


def _queues(adapters: Adapters, settings: Settings) -> list[Callable[..., Any]]:
    write, terms = adapters.engines.write, adapters.outbound.health
    states, circuits = PostgresQueueStates(write), PostgresCircuits(write, terms)
    flows = QueueFlows(adapters.client)
    messages = MessageFlows(adapters.client)
    release = QueueRelease(states, circuits, messages, terms)
    health, counts = PostgresDomainHealth(write), AddUp(PostgresQueueCounts(write))
    relay = relay_of(settings, adapters.http)
    mirror = MirrorSuspensions(relay, PostgresSuspensions(write), states) if relay else None
    return [
        release.queue_standing,
        release.end_suspension,
        release.offer_probe,
        release.release_queue,
        ScoreDomains(
            health, circuits, states, flows, messages, terms, counts, mirror
        ).score_domains,
    ]


def _operations(adapters: Adapters, settings: Settings) -> list[Callable[..., Any]]:
    write, flows = adapters.engines.write, QueueFlows(adapters.client)
    relay = relay_of(settings, adapters.http)
    operations = QueueOperations(
        PostgresOperations(write, adapters.outbound),
        OperatedFlows(MessageFlows(adapters.client)),
        Holding(
            PostgresQueueStates(write),
            flows,
            Suspending(PostgresSuspensions(write), flows, relay),
        ),
        adapters.blobs,
        relay,
    )
    return [
        operations.plan_operation,
        operations.ask_operator,
        operations.begin_operation,
        operations.operate_on_share,
        operations.operate_on_whole,
        operations.tell_relay,
        operations.finish_operation,
    ]


def inbox(adapters: Adapters, settings: Settings) -> Intake:
    """Where every source of this process hands its mail over."""
    return Intake(
        adapters.blobs,
        PostgresEmails(adapters.engines.write),
        ReplyFlows(adapters.client),
        adapters.owners,
        reminder_after=settings.reminder_after,
        attempts=settings.max_retry_attempts,
        returns=returns_of(adapters),
    )


def returns_of(adapters: Adapters) -> Returns:
    """What becomes of mail about outbound messages."""
    flows, outbound = MessageFlows(adapters.client), adapters.outbound
    reports = Reports(PostgresReports(adapters.engines), flows, outbound.bounces)
    return Returns(reports, adapters.links, outbound.bounce_domain)


def _polling(adapters: Adapters, settings: Settings) -> list[Callable[..., Any]]:
    if not settings.email_monitor_url:
        return []
    poll = PollInbox(
        EmailMonitor(adapters.http, settings.email_monitor_url),
        inbox(adapters, settings),
        PostgresMonitored(adapters.engines.write),
        settings.mailroom_max_message_bytes,
    )
    return [poll.poll_inbox]


def _watching(adapters: Adapters, settings: Settings) -> WatchMailbox:
    mailboxes = mailboxes_of(settings, adapters.owners.values())
    # Once, not for each connection: a hundred mailboxes begin at the same time.
    tls = ssl.create_default_context() if mailboxes else None
    return WatchMailbox(
        {(mailbox.owner, mailbox.name): ImapSource(mailbox, tls) for mailbox in mailboxes},
        inbox(adapters, settings),
        PostgresMailboxes(adapters.engines.write),
        settings.mailroom_max_message_bytes,
    )


def _removing(adapters: Adapters, settings: Settings) -> RemoveOld:
    write, executions = adapters.engines.write, TemporalExecutions(adapters.client)
    old_ones = (
        OldOnes(
            "letters", PostgresLetterRetention(write), adapters.blobs, executions, agent_mail_id
        ),
        OldOnes(
            "messages", PostgresMessageRetention(write), adapters.blobs, executions, outbound_id
        ),
    )
    return RemoveOld(
        PostgresRetention(write), adapters.blobs, executions, old_ones, settings.periods
    )


async def keep_watches(adapters: Adapters, settings: Settings) -> None:
    """Every mailbox that is configured is watched; what an operator paused stays so."""
    await watch_mailboxes(adapters.client, mailboxes_of(settings, adapters.owners.values()))


async def keep_rates(adapters: Adapters) -> bool:
    """No queue leaves faster than mailroom.toml says. False: this server keeps no rates."""
    return await keep_rate(adapters.client, DELIVERY_TASK_QUEUE, adapters.outbound.throttle_rate)


@asynccontextmanager
async def worker(adapters: Adapters, settings: Settings) -> AsyncIterator[None]:
    """Works while the block runs: on everything, and on deliveries, which wait for their turn."""
    async with _mail_worker(adapters, settings), _delivery_worker(adapters, settings):
        yield


def _return_path(links: SignedLinks, domain: str | None, parcel: Parcel) -> str:
    """Where a message's bounces go: to an address of its own where those come to us."""
    return links.bounce_address(parcel.id, domain) if domain else parcel.sender


def _delivery_worker(adapters: Adapters, settings: Settings) -> Worker:
    write = adapters.engines.write
    deliver = DeliverMessage(
        PostgresMessages(write, adapters.outbound),
        PostgresMarkers(write),
        adapters.blobs,
        courier_of(settings, adapters.outbound, adapters.http),
        adapters.outbound,
        adapters.outbound.bounces,
        partial(_return_path, adapters.links, adapters.outbound.bounce_domain),
    )
    return Worker(
        adapters.client,
        task_queue=DELIVERY_TASK_QUEUE,
        activities=[deliver.deliver_message],
        interceptors=[Heartbeats(), StoreOutages()],
        max_concurrent_activities=_deliveries(adapters, settings),
        graceful_shutdown_timeout=GRACEFUL_STOP,
    )


def _deliveries(adapters: Adapters, settings: Settings) -> int:
    """At once. Where all go to one server, as many as it has connections, and as many behind them:
    the others wait where Temporal puts them in order, by priority and queue."""
    if route_of(settings) == MX:
        return CONCURRENT_DELIVERIES
    return 2 * adapters.outbound.connections


def _mail_worker(adapters: Adapters, settings: Settings) -> Worker:
    # A watch is an activity that never ends: it takes no place from those that do.
    watches = len(mailboxes_of(settings, adapters.owners.values()))
    return Worker(
        adapters.client,
        task_queue=MAIL_TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=activities(adapters, settings),
        workflow_runner=sandbox(),
        interceptors=[Heartbeats(), StoreOutages(), CheckedArguments()],
        max_cached_workflows=CACHED_WORKFLOWS,
        max_concurrent_activities=CONCURRENT_ACTIVITIES + watches,
        # A pause reaches a watch with the answer to a heartbeat.
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        graceful_shutdown_timeout=GRACEFUL_STOP,
    )
