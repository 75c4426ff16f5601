"""A process that dies, or whose disk fills up, at one certain call to the system."""

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

CALLS = [
    (os, name) for name in ("open", "write", "fsync", "close", "rename", "unlink", "mkdir")
] + [(fcntl, "flock")]

Fate = Callable[[Callable[..., Any], tuple[Any, ...]], Any]


@contextmanager
def fate_at(number: int, fate: Fate) -> Iterator[list[str]]:
    """The call of this number, from 1, goes to `fate`. Gives the names of the calls made."""
    made: list[str] = []
    real = [(module, name, getattr(module, name)) for module, name in CALLS]

    def call(name: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        made.append(name)
        return fate(function, args) if len(made) == number else function(*args, **named)

    for module, name, function in real:
        setattr(module, name, partial(call, name, function))
    try:
        yield made
    finally:
        for module, name, function in real:
            setattr(module, name, function)


write_for_real = os.write


def die(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Instead of the call; of a write one half is done."""
    if function is write_for_real:
        descriptor, data = args
        function(descriptor, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def full(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """As `die`, of a disk that has no room left."""
    if function is write_for_real:
        descriptor, data = args
        function(descriptor, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
