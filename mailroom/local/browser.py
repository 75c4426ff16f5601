"""Chromium, for the tests of the pages."""

import os
import shutil
from pathlib import Path

from mailroom.local.progress import GaveUp, after, run, step

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_INSTALL = (
    "install Chromium so that `chromium` is on PATH "
    "(Debian: apt-get install chromium; macOS: brew install --cask chromium)"
)
APT_TIMEOUT = 15 * 60.0


def chromium() -> Path | None:
    """The browser on PATH, if there is one."""
    found = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in found if path), None)


async def chromium_or_debians() -> Path | None:
    """The browser on PATH; where we may, Debian's package is installed to have one."""
    if chromium() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        await _install()
    return chromium()


async def _install() -> None:
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    install = [*apt, "-o", "DPkg::Lock::Timeout=120", "-y", "install", "--no-install-recommends"]
    give_up = after(APT_TIMEOUT)
    async with step("Installing Debian's chromium for the page tests (once)"):
        try:
            await run([*apt, "update"], give_up=give_up)
            await run([*install, "chromium"], give_up=give_up)
        except GaveUp:
            return  # the caller finds no browser and says so
