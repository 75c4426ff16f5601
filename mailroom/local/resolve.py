"""Where a server comes from: an explicit setting, PATH, our cache, else a recipe that fills it.

Two processes at once set a server up once; one that is killed leaves nothing half-made behind.
"""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import AsyncFileLock, Timeout

from mailroom.local.progress import step
from mailroom.local.recipes import Recipe, RecipeFailed


class ToolMissing(Exception):
    """A server cannot be had on this machine; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Tool:
    """A server: its name for people, its executable, its folder in the cache, how to judge it."""

    name: str
    executable: str
    cached_in: str
    works: Callable[[Path], Awaitable[bool]]
    advice: str


async def resolve(
    tool: Tool,
    *,
    explicit: Path | None,
    on_path: Path | None,
    cache: Path,
    ways: Sequence[Recipe],
) -> Path:
    """The first executable that works, in the order this module's docstring gives."""
    if explicit is not None:
        return await _as_set(tool, explicit)
    cached = cache / tool.cached_in / tool.executable
    for found in (on_path, cached):
        if found and await tool.works(found):
            return found
    async with _alone(tool, cache):
        if not await tool.works(cached):  # another process may have set it up meanwhile
            await _set_up(tool, cache, ways)
    return cached


async def _as_set(tool: Tool, explicit: Path) -> Path:
    if await tool.works(explicit):
        return explicit
    raise ToolMissing(
        f"{explicit} is set as the {tool.name}, but it does not run or is too old: "
        "correct the setting or remove it."
    )


async def _set_up(tool: Tool, cache: Path, ways: Sequence[Recipe]) -> None:
    failures = []
    for recipe in ways:
        with _work_folder(tool, cache) as folder:
            try:
                await recipe(folder)
            except (RecipeFailed, OSError) as failure:
                failures.append(str(failure))
                continue
            if await tool.works(folder / tool.executable):
                _move_into_place(folder, cache / tool.cached_in)
                return
            failures.append("what was fetched does not run here")
    tried = "; ".join(failures)
    raise ToolMissing(f"The {tool.name} could not be set up ({tried}): {tool.advice}.")


@contextlib.asynccontextmanager
async def _alone(tool: Tool, cache: Path) -> AsyncIterator[None]:
    lock = _lock(tool, cache)
    try:
        await lock.acquire(blocking=False)
    except Timeout:
        async with step(f"Waiting for another process that sets up the {tool.name}"):
            await lock.acquire()
    try:
        yield
    finally:
        await lock.release()


def _lock(tool: Tool, cache: Path) -> AsyncFileLock:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return AsyncFileLock(cache / f"{tool.cached_in}.lock")
    except OSError:
        raise ToolMissing(
            f"The cache folder {cache} cannot be written to: "
            "set MAILROOM_CACHE_DIR to a folder that can."
        ) from None


@contextlib.contextmanager
def _work_folder(tool: Tool, cache: Path) -> Iterator[Path]:
    # Inside the cache, so that the last step is a rename. We hold the lock, so a folder that is
    # there already was left by a process that was killed.
    prefix = f"work-{tool.cached_in}-"
    for left in cache.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        dir=cache, prefix=prefix, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _move_into_place(folder: Path, target: Path) -> None:
    if target.exists():  # it did not work, or we would not be here
        shutil.rmtree(target)
    folder.rename(target)
    target.chmod(0o755)
