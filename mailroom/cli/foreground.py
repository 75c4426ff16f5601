"""The local stack in a terminal: what is seen from start to stop."""

from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from mailroom.adapters.couriers import CATCHER, route_of
from mailroom.adapters.settings import Settings, load_config_file, load_settings, owners_of
from mailroom.cli.output import messages, say
from mailroom.local import dev, lifetime, toolchain

EXAMPLE = (
    r"printf 'From: Jo <jo@example.com>\nSubject: Lunch at %s?\n\nAre you in?\n' $(date +%T) | "
    "curl -s --crlf smtp://{smtp} --mail-from jo@example.com --mail-rcpt you@mailroom.test -T -"
)


def run(*, samples: bool) -> None:
    settings = load_settings()
    lifetime.run(_run(settings, samples=samples))
    say(f"Stopped; everything is kept in {settings.mailroom_data_dir}.")


async def _run(settings: Settings, *, samples: bool) -> None:
    # Before minutes go by for something that can't be used then.
    dev.prepared(settings.mailroom_data_dir)
    # Here, so that the first download shows its own progress and not under ours.
    await toolchain.temporal_cli(
        explicit=settings.mailroom_temporal_cli, cache=settings.mailroom_cache_dir
    )
    starting = messages().status("Starting Temporal, PostgreSQL, worker and bridge ...")
    starting.start()

    def up(running: dev.Running) -> None:
        starting.stop()
        show_banner(running, settings)

    def stopping() -> None:
        starting.stop()
        say("Stopping ...")

    try:
        await lifetime.run_until_told(
            dev.stack(settings, samples=samples), up=up, stopping=stopping
        )
    finally:
        starting.stop()


def show_banner(running: dev.Running, settings: Settings) -> None:
    to = Console(highlight=False, soft_wrap=True)  # not wrapped: to be clicked and copied
    to.print(Text("Mailroom is running.", style="bold green"))
    to.print()
    for name, place in _places(running, settings):
        to.print(Text(f"{name:<10}", style="bold") + Text(place))
    to.print()
    to.print(Text(_what_leaves(settings)))
    to.print("On the phone: 1 sends, 2 and how to change it edits, 3 ignores. Ctrl-C stops.")


def _places(running: dev.Running, settings: Settings) -> list[tuple[str, str]]:
    kept = "MAILROOM_TOKEN" if settings.mailroom_token else running.data_dir / "token"
    return [
        ("Mails", f"{running.url}/login?token={running.token}"),
        ("Phone", f"{running.url}/phone"),
        ("Outbox", f"{running.url}/outbox"),
        ("Temporal", running.temporal_ui),
        ("Token", f"{running.token} (kept in {kept})"),
        ("SMTP", f"{running.smtp}, for any mail client, or:"),
        ("", EXAMPLE.format(smtp=running.smtp)),
    ]


def _what_leaves(settings: Settings) -> str:
    route = route_of(settings)
    if route == CATCHER:
        return _of_owners(settings)
    # A smarthost's URL may hold a password.
    where = urlsplit(route).netloc.rpartition("@")[2] or route
    return f"Outbound mail leaves this machine ({where}). {_of_owners(settings)}"


def _of_owners(settings: Settings) -> str:
    gateway, server = settings.sms_gateway_url, settings.gmail_smtp_server
    if settings.twilio_account_sid:
        gateway = f"Twilio ({settings.twilio_from_number})"
    if not dev.reaches_outside(settings):
        stays = "texts go to the phone, replies to the outbox."
        nothing = route_of(settings) == CATCHER
        return f"Nothing leaves this machine: {stays}" if nothing else stays.capitalize()
    owners = list(owners_of(settings, load_config_file(settings.mailroom_config)).values())
    phones = ", ".join(owner.phone for owner in owners if owner.phone) or "nobody"
    texts = f"{phones} through {gateway}" if gateway else "the phone"
    servers = dict.fromkeys(owner.smtp.host if owner.smtp else server for owner in owners)
    replies = ", ".join(f"through {host}" if host else "to the outbox" for host in servers)
    return f"Texts go to {texts}, replies {replies}."
