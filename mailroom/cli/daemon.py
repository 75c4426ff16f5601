"""`mailroom daemon`: the stack of `mailroom dev`, in the background."""

from pathlib import Path
from typing import Annotated

import typer

from mailroom.cli.dev import Samples
from mailroom.cli.errors import EXIT_CODES, ExitCode
from mailroom.cli.output import Output, OutputOption

app = typer.Typer(
    no_args_is_help=True,
    help="The same as `mailroom dev`, in the background.",
    epilog=EXIT_CODES,
)


@app.command(epilog=EXIT_CODES)
def start(
    *,
    samples: Samples = True,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds until it must be healthy.")] = 120,
) -> None:
    """Starts it, and returns once it is healthy. No harm if it runs already."""
    from mailroom.cli import background  # noqa: PLC0415

    background.start(samples=samples, seconds=timeout)


@app.command(epilog=EXIT_CODES)
def stop(
    timeout: Annotated[int, typer.Option(min=1, help="Seconds to wait for it.")] = 90,
) -> None:
    """Stops it in order; nothing is lost. No harm if it doesn't run."""
    from mailroom.cli import background  # noqa: PLC0415

    background.stop(timeout)


@app.command(epilog=EXIT_CODES)
def status(output: OutputOption = Output.TABLE) -> None:
    """Says whether it runs, where, and how it is. Exit code 3 when it doesn't run."""
    from mailroom.cli import background  # noqa: PLC0415

    if not background.show_status(output):
        raise typer.Exit(ExitCode.NOT_THERE)


@app.command(epilog=EXIT_CODES)
def logs(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what it logged, `-o json` as it is in the file."""
    from mailroom.cli import logs as shown  # noqa: PLC0415

    shown.show(lines, output, follow=follow)


@app.command(epilog=EXIT_CODES)
def queue(
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=200, help="The first so many of each.")
    ] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows the queues of agent mail: inbound, outbound (for the next try), dead letters."""
    from mailroom.cli import agent_queues  # noqa: PLC0415

    agent_queues.show_queues(limit, output)


@app.command(epilog=EXIT_CODES)
def enable(output: OutputOption = Output.TABLE) -> None:
    """Has letters between agents delivered, as is the case from the beginning."""
    from mailroom.cli import agent_queues  # noqa: PLC0415

    agent_queues.switch(output, enabled=True)


@app.command(epilog=EXIT_CODES)
def disable(output: OutputOption = Output.TABLE) -> None:
    """Has letters between agents wait, over restarts too, until `enable`."""
    from mailroom.cli import agent_queues  # noqa: PLC0415

    agent_queues.switch(output, enabled=False)


@app.command(hidden=True)
def run(folder: Path, *, samples: Samples = True) -> None:
    """The process in the background. Its folder is an argument so that it can be told apart."""
    from mailroom.cli import background  # noqa: PLC0415

    background.run(folder, samples=samples)
