"""Progress of what may last."""

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from mailroom.cli.output import messages


def bar(unit: str) -> Progress:
    """On stderr, and only where somebody watches; a task's field `count` is shown in `unit`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[count]}} {unit}"),
        TimeRemainingColumn(),
    )
    console = messages()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
