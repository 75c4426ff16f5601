"""`mailroom queue`: messages on their way out."""

import typer

from mailroom.cli import queue_bounces, queue_states, queue_suppressions
from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.queue_migrate_command import migrate

app = typer.Typer(
    no_args_is_help=True, help="Messages on their way out, and who gets none.", epilog=EXIT_CODES
)

app.add_typer(queue_suppressions.app, name="suppressions")
app.command(epilog=EXIT_CODES)(migrate)
app.command(epilog=EXIT_CODES)(queue_states.queues)
app.command("set-state", epilog=EXIT_CODES)(queue_states.set_state)
app.command(epilog=EXIT_CODES)(queue_states.domains)
app.command(epilog=EXIT_CODES)(queue_bounces.bounces)
