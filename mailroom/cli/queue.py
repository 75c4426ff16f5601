"""`mailroom queue`: messages on their way out."""

import typer

from mailroom.cli import (
    queue_bounces,
    queue_filters,
    queue_holds,
    queue_message_commands,
    queue_metrics_commands,
    queue_operate_commands,
    queue_states,
    queue_suppressions,
)
from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.queue_kumomta_command import kumomta
from mailroom.cli.queue_migrate_command import migrate
from mailroom.cli.queue_submit_command import submit

app = typer.Typer(
    no_args_is_help=True, help="Messages on their way out, and who gets none.", epilog=EXIT_CODES
)

app.command(epilog=EXIT_CODES)(submit)
app.command("list", epilog=EXIT_CODES)(queue_message_commands.list_)
app.command(epilog=EXIT_CODES)(queue_message_commands.show)
app.command(epilog=EXIT_CODES)(queue_message_commands.watch)
for figures in (
    queue_metrics_commands.metrics,
    queue_metrics_commands.top,
    queue_metrics_commands.export,
):
    app.command(epilog=EXIT_CODES)(figures)
ORDERS = "Messages, by ID or by what they have in common"
for order in (
    queue_operate_commands.suspend,
    queue_operate_commands.resume,
    queue_operate_commands.rebind,
    queue_operate_commands.bounce,
    queue_operate_commands.retry,
    queue_operate_commands.cancel,
    queue_operate_commands.purge,
    queue_operate_commands.set_priority,
    queue_operate_commands.operations,
    queue_operate_commands.operation,
    queue_operate_commands.abandon,
):
    app.command(rich_help_panel=ORDERS, epilog=EXIT_CODES)(order)
app.add_typer(queue_suppressions.app, name="suppressions")
app.add_typer(queue_filters.app, name="filters")
app.command(epilog=EXIT_CODES)(migrate)
app.command(epilog=EXIT_CODES)(queue_states.queues)
app.command("set-state", epilog=EXIT_CODES)(queue_states.set_state)
for command in (queue_holds.hold, queue_holds.release, queue_holds.holds):
    app.command(rich_help_panel="Domains, campaigns, tenants, pools", epilog=EXIT_CODES)(command)
app.command(epilog=EXIT_CODES)(queue_states.domains)
app.command(epilog=EXIT_CODES)(kumomta)
app.command(epilog=EXIT_CODES)(queue_bounces.bounces)
