"""What the production commands run."""

import structlog

from mailroom.adapters.settings import load_settings
from mailroom.cli.output import say
from mailroom.local import production
from mailroom.local.lifetime import run, run_until_told
from mailroom.local.logs import log_as

log = structlog.get_logger("mailroom")


def run_worker() -> None:
    settings = load_settings()
    log_as("worker", settings.mailroom_logs_dir, settings.mailroom_log_level)
    run(
        run_until_told(
            production.working(settings),
            up=lambda _: log.info("worker is up", temporal=settings.temporal_address),
            stopping=lambda: log.info("worker is stopping"),
        )
    )
    log.info("worker has stopped")


def run_bridge(*, smtp: bool) -> None:
    settings = load_settings()
    log_as("bridge", settings.mailroom_logs_dir, settings.mailroom_log_level)
    run(
        run_until_told(
            production.bridging(settings, smtp=smtp),
            up=lambda addresses: log.info("bridge is up", addresses=addresses),
            stopping=lambda: log.info("bridge is stopping"),
        )
    )
    log.info("bridge has stopped")


def migrate() -> None:
    settings = load_settings()
    run(production.migrate(settings))
    say(f"The schema of {settings.db_name} on {settings.db_host} is up to date.")


def register_search_attributes() -> None:
    settings = load_settings()
    run(production.register_search_attributes(settings))
    say(f"The search attributes are registered in namespace {settings.temporal_namespace}.")
