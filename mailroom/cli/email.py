"""`mailroom email`: mails and their replies, over HTTP; works from anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption
from mailroom.models.states import MailState

app = typer.Typer(no_args_is_help=True, help="Mails and their replies.", epilog=EXIT_CODES)

Id = Annotated[
    str, typer.Argument(metavar="ID", help="Message-ID, or a waiting draft's code like K7M4.")
]
Revision = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse if the draft is another one by now. A code implies it."),
]


@app.command("list", epilog=EXIT_CODES)
def list_(
    *,
    state: Annotated[
        list[MailState] | None, typer.Option(help="Only in this state; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows mails, newest first."""
    from mailroom.cli import mails  # noqa: PLC0415

    mails.list_mails(state or [], None if every else limit, output)


@app.command(epilog=EXIT_CODES)
def show(mail: Id, output: OutputOption = Output.TABLE) -> None:
    """Shows one mail: the letter, the draft, and what happened."""
    from mailroom.cli import mails  # noqa: PLC0415

    mails.show_mail(mail, output)


@app.command(epilog=EXIT_CODES)
def approve(mail: Id, revision: Revision = None, output: OutputOption = Output.TABLE) -> None:
    """Sends the draft."""
    _decide(mail, "1", revision, output)


@app.command(epilog=EXIT_CODES)
def edit(
    mail: Id,
    how: Annotated[
        list[str], typer.Argument(metavar="HOW...", help="For example: make it shorter")
    ],
    revision: Revision = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Has the draft changed; the new one is texted."""
    _decide(mail, f"2 {' '.join(how)}", revision, output)


@app.command(epilog=EXIT_CODES)
def ignore(mail: Id, revision: Revision = None, output: OutputOption = Output.TABLE) -> None:
    """Leaves the mail unanswered."""
    _decide(mail, "3", revision, output)


@app.command(epilog=EXIT_CODES)
def retry(mail: Id, output: OutputOption = Output.TABLE) -> None:
    """Goes on from the stage that failed."""
    from mailroom.cli import decisions  # noqa: PLC0415

    decisions.retry(mail, output)


@app.command(epilog=EXIT_CODES)
def timeout(mail: Id, output: OutputOption = Output.TABLE) -> None:
    """Ends the wait for your word now: the mail is ignored, and a text says so."""
    from mailroom.cli import decisions  # noqa: PLC0415

    decisions.time_out(mail, output)


@app.command("import", epilog=EXIT_CODES)
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help=".eml files, mboxes, Maildirs.")
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Takes mails as if they had come by SMTP.

    A mail that is known (by its Message-ID) is not taken twice, so an import that was
    interrupted can be run again. The subfolders of a Maildir are Maildirs of their own.
    """
    from mailroom.cli import importing  # noqa: PLC0415

    importing.import_files(files, output)


@app.command(epilog=EXIT_CODES)
def forget(
    address: Annotated[str, typer.Argument(help="Whose mail is removed, for example a@b.example.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Removes one person's mail: what was written, answered and recorded. Nothing brings it back.

    What waits for your word is ended, unanswered. Replies that have left are not called back.
    """
    from mailroom.cli import forgetting  # noqa: PLC0415

    if not yes:
        typer.confirm(f"Remove all mail from {address}, for good?", abort=True, err=True)
    forgetting.forget(address, output)


@app.command(epilog=EXIT_CODES)
def retention(output: OutputOption = Output.TABLE) -> None:
    """Shows how long mail is kept, and what the next run removes. Removes nothing."""
    from mailroom.cli import retention as keeping  # noqa: PLC0415

    keeping.retention(output)


@app.command(epilog=EXIT_CODES)
def stats(
    *,
    days: Annotated[int, typer.Option(min=1, max=366, help="The last so many, with today.")] = 30,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Days as CSV into a file, or - for stdout."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows figures: mails, texts, answers, failures and tokens by day; rates; the latest edits.

    Days are of UTC. "Answer" is the median from text to answer.
    """
    from mailroom.cli import stats as figures  # noqa: PLC0415

    figures.stats(days, output, csv)


def _decide(mail: str, word: str, revision: int | None, output: Output) -> None:
    from mailroom.cli import decisions  # noqa: PLC0415

    decisions.decide(mail, word, revision, output)
