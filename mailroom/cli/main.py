"""The command `mailroom`.

The modules of the commands say what can be typed; what a command needs to do its work is
imported when it runs, so that `mailroom --help` is quick.
"""

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from mailroom.cli import agent, daemon, email, owner, queue, spool
from mailroom.cli.dev import dev
from mailroom.cli.doctor import doctor
from mailroom.cli.errors import EXIT_CODES, Commands
from mailroom.cli.production import bridge, migrate, search_attributes, worker

app = typer.Typer(
    name="mailroom",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HERE, PRODUCTION = "On this machine", "In production"

app.command(rich_help_panel=HERE)(dev)
app.add_typer(daemon.app, name="daemon", rich_help_panel=HERE)
app.command(rich_help_panel=HERE)(doctor)
app.add_typer(email.app, name="email")
app.add_typer(agent.app, name="agent")
app.add_typer(owner.app, name="owner")
app.add_typer(queue.app, name="queue")
app.add_typer(spool.app, name="spool")
app.command(rich_help_panel=PRODUCTION)(worker)
app.command(rich_help_panel=PRODUCTION)(bridge)
app.command(rich_help_panel=PRODUCTION)(migrate)
app.command(rich_help_panel=PRODUCTION)(search_attributes)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mailroom {version_of('mailroom')}")
        raise typer.Exit


@app.callback()
def mailroom(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, not one sentence.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Answer e-mail by text message: a mail becomes a draft, a text, and your word a reply.

    Start with `mailroom dev`. Settings come from the environment, `.env` and `mailroom.toml`.
    """


if __name__ == "__main__":
    app()
