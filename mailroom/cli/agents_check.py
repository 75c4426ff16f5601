"""Checks of agent mail: what it types into, calls and reads is there. Nothing is sent."""

import shutil
from collections import defaultdict
from pathlib import Path

from mailroom.adapters.settings import (
    BadConfiguration,
    Settings,
    load_config_file,
    secret_of,
)
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.local.production import check_webhook_secret
from mailroom.local.progress import GaveUp
from mailroom.local.tmux import HOW_TO_INSTALL, is_new_enough, tmux_version
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_handling import Mailbox

NAMED_AT_MOST = 5


async def agents(settings: Settings) -> list[Finding]:
    section = load_config_file(settings.mailroom_config).agents
    return [
        _known(section),
        await _tmux(section),
        *_terminals(section),
        *(_webhook(each) for each in section.mailboxes if each.webhook_secret_env),
        *_commands(section),
        *_beads(section),
    ]


def _known(section: AgentsSection) -> Finding:
    found = f"addresses: {len(section.known)}, rules: {len(section.rules)}"
    groups = ", ".join(f"{name} ({len(set(members))})" for name, members in section.groups.items())
    return ok("agents", f"{found}, groups: {groups or 'none'}")


async def _tmux(section: AgentsSection) -> Finding:
    """Whoever has not named sessions may have no terminals at all."""
    check, templates = "tmux", ", ".join(_templates(section))
    named = "tmux" in section.model_fields_set or any(
        "tmux" in each.model_fields_set for each in section.mailboxes
    )
    mend = f"For agents in terminals {HOW_TO_INSTALL}, where the worker runs."
    binary = shutil.which("tmux")
    if binary is None:
        found = "not installed: nothing is typed into terminals, letters wait in the inbox"
        return warning(check, found, mend) if named else ok(check, found)
    try:
        version = await tmux_version(binary)
    except GaveUp:
        return warning(check, f"{binary} does not say its version", mend)
    if not is_new_enough(version):
        return warning(check, f"{version} is too old", mend)
    return ok(check, f"{version}; sessions are called {templates}")


def _templates(section: AgentsSection) -> list[str]:
    boxes = [section.tmux, *(each.tmux for each in section.mailboxes)]
    return list(dict.fromkeys(template for templates in boxes for template in templates))


def _terminals(section: AgentsSection) -> list[Finding]:
    """Two agents with one name for their session would be typed each other's letters."""
    by_name = defaultdict(list)
    for address in sorted(section.known):
        for name in section.for_address(address).tmux_sessions:
            by_name[name].append(address)
    same = [f"{name} is {' and '.join(of)}" for name, of in by_name.items() if len(of) > 1]
    if not same:
        return []
    mend = "Give them templates that tell them apart (tmux in [agents] or [[agents.mailboxes]])."
    return [warning("tmux sessions", "; ".join(same[:NAMED_AT_MOST]), mend)]


def _webhook(box: Mailbox) -> Finding:
    check, variable = f"webhook {box.address}", box.webhook_secret_env or ""
    mend = f'Set {variable} to what it checks signatures with: "whsec_$(openssl rand -base64 24)".'
    try:
        secret = secret_of(variable)
    except BadConfiguration:
        return failed(check, f"{variable} is not set", mend)
    try:
        check_webhook_secret(secret.get_secret_value())
    except BadConfiguration:
        return failed(check, f"{variable} is not in the form of Standard Webhooks", mend)
    return ok(check, f"signed with {variable}")


def _commands(section: AgentsSection) -> list[Finding]:
    hooks = [("hook", command) for command in section.hooks]
    boxes = [(f"command {each.address}", each.command) for each in section.mailboxes]
    return [
        _command(check, command[0]) for check, command in (*hooks, *boxes) if command is not None
    ]


def _command(check: str, program: str) -> Finding:
    if shutil.which(program):
        return ok(check, program)
    mend = "Install it where the worker runs, or correct it in mailroom.toml."
    return failed(check, f"{program} is not there or can't be run", mend)


def _beads(section: AgentsSection) -> list[Finding]:
    beads = section.beads
    if not beads.enabled:
        return []
    if (binary := shutil.which("bd")) is None:
        mend = "Install Beads where the worker runs, or set agents.beads.enabled = false."
        return [failed("beads", "there is no bd on PATH", mend)]
    if beads.folder and not Path(beads.folder).is_dir():
        mend = "Correct agents.beads.folder: it is where bd is run."
        return [failed("beads", f"{beads.folder} is no folder", mend)]
    return [ok("beads", f"{binary}, run in {beads.folder or Path.cwd()}")]
