"""tmux: which one there is, and for tests how to have one."""

import os
import re
import shutil
from pathlib import Path

from mailroom.local.progress import GaveUp, after, run, step

HOW_TO_INSTALL = (
    "install tmux 3.2 or newer so that `tmux` is on PATH "
    "(Debian: apt-get install tmux; macOS: brew install tmux)"
)
OLDEST = (3, 2)
APT_TIMEOUT = 5 * 60.0


async def tmux_or_debians() -> Path | None:
    """The one on PATH, if it is new enough; where we may, Debian's package is installed to have
    one."""
    if shutil.which("tmux") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        await _install()
    found = shutil.which("tmux")
    return Path(found) if found and is_new_enough(await tmux_version(found)) else None


async def tmux_version(binary: str) -> str:
    """As it says it: "tmux 3.3a"; a build from its repository says "tmux next-3.6" or "tmux
    master"."""
    return (await run([binary, "-V"], give_up=after(10))).output.strip()


def is_new_enough(says: str) -> bool:
    version = re.search(r"(\d+)\.(\d+)", says)
    return version is None or (int(version[1]), int(version[2])) >= OLDEST


async def _install() -> None:
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    install = [*apt, "-o", "DPkg::Lock::Timeout=120", "-y", "install", "--no-install-recommends"]
    give_up = after(APT_TIMEOUT)
    async with step("Installing Debian's tmux for the tests of agents (once)"):
        try:
            await run([*apt, "update"], give_up=give_up)
            await run([*install, "tmux"], give_up=give_up)
        except GaveUp:
            return  # the caller finds none and says so
