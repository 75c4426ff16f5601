"""Callbacks by type of event, as `on("message.routed", handler)`."""

import inspect
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from mailroom.client.sessions import SessionEvent

EVERY = "*"

Handler = Callable[[SessionEvent], Awaitable[None] | None]

log = logging.getLogger(__name__)


class Handlers:
    def __init__(self) -> None:
        self._by_type: dict[str, list[Handler]] = defaultdict(list)

    def add(self, type: str, handler: Handler) -> Callable[[], None]:
        """Call what is returned to remove it."""
        handlers = self._by_type[type]
        handlers.append(handler)
        return lambda: handlers.remove(handler) if handler in handlers else None

    async def call(self, event: SessionEvent) -> None:
        """One that fails is logged: the letter has arrived, and others want to hear of it."""
        for handler in (*self._by_type[event.type], *self._by_type[EVERY]):
            try:
                found = handler(event)
                if inspect.isawaitable(found):
                    await found
            except Exception:
                log.exception("a handler of %s failed", event.type)
