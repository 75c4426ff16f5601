"""How a command ends: an exit code, and one sentence on stderr where something went wrong."""

import errno
import sys
from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_THERE = 3
    REFUSED = 4


EXIT_CODES = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not running or not found, 4 refused."


class Failure(Exception):
    """Ends a command; the message is the sentence that is shown."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


# Their messages are sentences for people. By name: a class that nobody has imported was not
# raised, and importing them all would make `--help` slow.
SENTENCES = (
    ("mailroom.adapters.settings", "BadConfiguration"),
    ("mailroom.adapters.spool.files", "SpoolFull"),
    ("mailroom.adapters.spool.locks", "SpoolBusy"),
    ("mailroom.adapters.spool.place", "SpoolUnusable"),
    ("mailroom.adapters.temporal", "TemporalUnavailable"),
    ("mailroom.local.dev", "Unusable"),
    ("mailroom.local.inbound", "PortTaken"),
    ("mailroom.local.production", "StoreUnusable"),
    ("mailroom.local.resolve", "ToolMissing"),
    ("mailroom.local.servers", "ServerFailed"),
)


def failure_of(error: Exception) -> Failure | None:
    """What to say of an error, or None for one that only a traceback explains."""
    if isinstance(error, Failure):
        return error
    for module, name in SENTENCES:
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return Failure(str(error))
    if isinstance(error, OSError) and error.errno not in (None, errno.EPIPE):
        return Failure(_of_system(error))
    return None


def _of_system(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."


class Commands(TyperGroup):
    """The root of all commands, where their errors become sentences."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = None if ctx.params.get("debug") else failure_of(error)
            if failure is None:
                raise
            typer.echo(str(failure), err=True)
            raise typer.Exit(failure.code) from error
