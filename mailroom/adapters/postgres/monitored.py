"""Mails that came from the Email Monitor, and what it knows of them (port `MonitoredMails`)."""

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.poll import StatusReport, TakenMail

EMAIL_MONITOR = "email_monitor"

_KNOWN = text("SELECT digest FROM monitored_emails WHERE digest = ANY(:digests)")
_KEEP = text("""
    INSERT INTO monitored_emails (workflow_id, monitor_id, digest)
    SELECT * FROM unnest(CAST(:workflow_ids AS text[]), CAST(:monitor_ids AS text[]),
                         CAST(:digests AS text[]))
    ON CONFLICT DO NOTHING
""")
# A report about an outbound message is nobody's mail.
# What the first step hasn't entered yet is on its way; what retention deleted has no `monitor_id`
# any more. Those that were asked about longest ago come first: one that the monitor forgot doesn't
# stand in the way of the others.
_CHANGED = text("""
    SELECT m.workflow_id, m.monitor_id, c.status
    FROM monitored_emails m
    LEFT JOIN processed_emails p USING (workflow_id)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN m.workflow_id LIKE 'outbound/%' THEN 'ignored'
                    WHEN p.status IS NULL OR p.status = 'pending' THEN 'orchestrating'
                    ELSE p.status END AS status
    ) c
    WHERE (m.reported IS NULL OR m.reported IN ('orchestrating', 'failed'))
      AND m.monitor_id IS NOT NULL
      AND m.reported IS DISTINCT FROM c.status
    ORDER BY m.asked_at NULLS FIRST, m.workflow_id
    LIMIT :limit
""")
_REPORTED = text("""
    UPDATE monitored_emails m SET reported = r.status, asked_at = now()
    FROM unnest(CAST(:workflow_ids AS text[]), CAST(:statuses AS text[])) AS r (workflow_id, status)
    WHERE m.workflow_id = r.workflow_id
""")
_ASKED = text("UPDATE monitored_emails SET asked_at = now() WHERE workflow_id = :workflow_id")
_POLLED = text("""
    INSERT INTO polls (source) VALUES (:source)
    ON CONFLICT (source) DO UPDATE SET polled_at = now()
""")


class PostgresMonitored:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def known(self, digests: Collection[str]) -> set[str]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(_KNOWN, {"digests": list(digests)}))

    async def keep(self, mails: Collection[TakenMail]) -> None:
        # In one order for all, so that two processes never wait for each other.
        rows = sorted(mails, key=lambda mail: mail.workflow_id)
        values = {
            "workflow_ids": [row.workflow_id for row in rows],
            "monitor_ids": [row.monitor_id for row in rows],
            "digests": [row.digest for row in rows],
        }
        async with self._engine.connect() as connection:
            await connection.execute(_KEEP, values)

    async def changed(self, limit: int) -> Sequence[StatusReport]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_CHANGED, {"limit": limit})
            return [StatusReport.model_validate(dict(row)) for row in rows.mappings()]

    async def reported(self, reports: Collection[StatusReport]) -> None:
        rows = sorted(reports, key=lambda report: report.workflow_id)
        values = {
            "workflow_ids": [row.workflow_id for row in rows],
            "statuses": [row.status.value for row in rows],
        }
        async with self._engine.connect() as connection:
            await connection.execute(_REPORTED, values)

    async def asked(self, report: StatusReport) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_ASKED, {"workflow_id": report.workflow_id})

    async def polled(self) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_POLLED, {"source": EMAIL_MONITOR})
