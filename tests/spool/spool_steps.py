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


write_for_real, close_for_real = os.write, os.close
NEED_ROOM = (os.open, os.write, os.fsync, os.close, os.rename)
"""close: the quota of a network disk may show only then; the descriptor is gone all the same."""


def half(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Of a write one half is done."""
    if function is write_for_real:
        descriptor, data = args
        function(descriptor, data[: len(data) // 2])


def die(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    half(function, args)
    os.kill(os.getpid(), signal.SIGKILL)


def full(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A disk that has no room left."""
    if function not in NEED_ROOM:
        return function(*args)
    half(function, args)
    if function is close_for_real:
        function(*args)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
