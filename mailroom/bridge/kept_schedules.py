"""What is done every so often: Temporal Schedules as the settings say."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from temporalio.client import Client

from mailroom.adapters import schedules
from mailroom.adapters.schedules import Repeated
from mailroom.adapters.settings import Settings, load_config_file
from mailroom.adapters.temporal import once_it_has_started
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import Priority, ScanInput
from mailroom.models.names import (
    BEADS_POLL,
    INBOX_POLL,
    MAILBOX_SCAN,
    QUEUE_HEALTH,
    RETENTION,
)
from workflows.beads_poll import BeadsPollWorkflow
from workflows.inbox_poll import InboxPollWorkflow
from workflows.mailbox_scan import MailboxScanWorkflow
from workflows.queue_health import QueueHealthWorkflow
from workflows.retention import RetentionWorkflow

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def keep_schedules(client: Client, settings: Settings) -> None:
    """What is done every so often is as the settings say; what an operator paused stays so."""
    every = timedelta(seconds=settings.poll_interval)
    poll = Repeated(INBOX_POLL, InboxPollWorkflow.run, every, "asks the Email Monitor for mail")
    await _keep(client, poll, wanted=bool(settings.email_monitor_url))
    # A machine that sleeps at midnight does it when it wakes up.
    daily = Repeated(RETENTION, RetentionWorkflow.run, DAY, "removes what is too old", catch_up=DAY)
    await _keep(client, daily, wanted=bool(settings.periods))
    note = "scores domains; opens and closes circuits"
    health = Repeated(QUEUE_HEALTH, QueueHealthWorkflow.run, MINUTE, note)
    await _keep(client, health, wanted=True)
    agents = load_config_file(settings.mailroom_config).agents
    await keep_scans(client, agents)
    await keep_beads(client, agents)


async def keep_scans(client: Client, agents: AgentsSection) -> None:
    """One for all priorities, and one for each that is looked after at another pace."""
    own = [each for each in Priority if agents.scan_pause(each) != agents.scan_every]
    common = [each for each in Priority if each not in own]
    await _keep(client, _scan(MAILBOX_SCAN, agents.scan_every, common), wanted=bool(common))
    for each in Priority:
        scan = _scan(f"{MAILBOX_SCAN}-{each}", agents.scan_pause(each), [each])
        await _keep(client, scan, wanted=each in own)


async def keep_beads(client: Client, agents: AgentsSection) -> None:
    every, note = agents.beads.every, "takes over the open messages of Beads"
    poll = Repeated(BEADS_POLL, BeadsPollWorkflow.run, every, note)
    await _keep(client, poll, wanted=agents.beads.enabled)


def _scan(schedule: str, every: timedelta, priorities: Sequence[Priority]) -> Repeated:
    note = "looks for letters that should have gone on"
    wanted = ScanInput(priorities=tuple(priorities))
    return Repeated(schedule, MailboxScanWorkflow.run, every, note, arguments=(wanted,))


async def _keep(client: Client, repeated: Repeated, *, wanted: bool) -> None:
    kept = partial(schedules.keep, client, repeated)
    dropped = partial(schedules.drop, client, repeated.id)
    await once_it_has_started(kept if wanted else dropped)
