"""OAuth 2 access tokens from a command of the user's own, as mail programs have it."""

import asyncio
import shlex

from mailroom.ports import Transient

SECONDS = 30


class NoToken(Transient):
    """The command failed, not the server."""


async def token_from(command: str) -> str:
    """The first line that `command` prints. What it prints is a secret and shown nowhere."""
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (OSError, ValueError) as error:
        raise NoToken(f"The token command can't be started: {error}.") from error
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise NoToken(f"The token command took more than {SECONDS} s.") from error
    token = printed.decode(errors="replace").partition("\n")[0].strip()
    if process.returncode or not token:
        raise NoToken(
            f"The token command gave no token (exit status {process.returncode}); "
            "run it by hand to see why."
        )
    return token
