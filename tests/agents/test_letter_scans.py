"""The Schedules that look after letters, on Temporal's real server."""

from datetime import timedelta

import pytest
from house import House
from temporalio.service import RPCError

from mailroom.bridge.kept_schedules import keep_scans
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import Priority


async def every(house: House, schedule: str) -> timedelta:
    described = await house.client.get_schedule_handle(schedule).describe()
    [interval] = described.schedule.spec.intervals
    return interval.every


async def test_each_priority_is_scanned_at_its_own_pace(dev_house: House) -> None:
    often = {Priority.URGENT: timedelta(seconds=5)}
    await keep_scans(dev_house.client, AgentsSection(scan_every_by_priority=often))
    assert await every(dev_house, "mailbox-scan") == timedelta(seconds=30)
    assert await every(dev_house, "mailbox-scan-urgent") == timedelta(seconds=5)
    await keep_scans(dev_house.client, AgentsSection(scan_every=timedelta(minutes=1)))
    assert await every(dev_house, "mailbox-scan") == timedelta(minutes=1)
    with pytest.raises(RPCError):
        await every(dev_house, "mailbox-scan-urgent")
    handle = dev_house.client.get_schedule_handle("mailbox-scan")
    await handle.delete()
