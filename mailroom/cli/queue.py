"""`mailroom queue`: messages on their way out."""

import typer

from mailroom.cli import (
    queue_bounces,
    queue_message_commands,
    queue_states,
    queue_suppressions,
)
from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.queue_migrate_command import migrate
from mailroom.cli.queue_submit_command import submit

app = typer.Typer(
    no_args_is_help=True, help="Messages on their way out, and who gets none.", epilog=EXIT_CODES
)

app.command(epilog=EXIT_CODES)(submit)
app.command("list", epilog=EXIT_CODES)(queue_message_commands.list_)
app.command(epilog=EXIT_CODES)(queue_message_commands.show)
app.command(epilog=EXIT_CODES)(queue_message_commands.watch)
ORDERS = "One message"
for order in (
    queue_message_commands.suspend,
    queue_message_commands.resume,
    queue_message_commands.retry,
    queue_message_commands.cancel,
    queue_message_commands.bounce,
    queue_message_commands.rebind,
    queue_message_commands.set_priority,
):
    app.command(rich_help_panel=ORDERS, epilog=EXIT_CODES)(order)
app.add_typer(queue_suppressions.app, name="suppressions")
app.command(epilog=EXIT_CODES)(migrate)
app.command(epilog=EXIT_CODES)(queue_states.queues)
app.command("set-state", epilog=EXIT_CODES)(queue_states.set_state)
app.command(epilog=EXIT_CODES)(queue_states.domains)
app.command(epilog=EXIT_CODES)(queue_bounces.bounces)
