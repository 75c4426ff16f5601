"""What a reader of docs/ copies from there: blocks of settings, tables, sentences.

They are followed word by word. Nothing is replaced but the names and ports of servers, and what
a page leaves out as a secret of its reader's (`...`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next one of the same depth or above."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)",
        (DOCS / page).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert found, f"docs/{page} has no section {title!r}"
    return found[2]


def blocks(page: str, title: str, language: str) -> list[str]:
    """Fenced blocks of one language, in a list or not."""
    found = re.findall(
        rf"^ *```{language}\n(.*?)^ *```$", section(page, title), re.MULTILINE | re.DOTALL
    )
    return [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in found]


def block(page: str, title: str, language: str) -> str:
    [only] = blocks(page, title, language)
    return only


def lines(text: str) -> dict[str, str]:
    """The variables of an `.env`."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def on(text: str, servers: Mapping[tuple[str, int], tuple[str, int]]) -> str:
    """The text with other servers: each host, and the port that stands behind it."""
    for (host, port), (new_host, new_port) in servers.items():
        text = re.sub(
            rf'"{re.escape(host)}", port = {port}\b', f'"{new_host}", port = {new_port}', text
        )
        text = re.sub(
            rf"={re.escape(host)}\n(\w+_PORT)={port}$",
            rf"={new_host}\n\1={new_port}",
            text,
            flags=re.MULTILINE,
        )
        # The port that is not written is the usual one.
        text = re.sub(
            rf"^IMAP_HOST={re.escape(host)}$",
            f"IMAP_HOST={new_host}\nIMAP_PORT={new_port}",
            text,
            flags=re.MULTILINE,
        )
    return text
