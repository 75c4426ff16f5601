"""Somebody in front of a browser."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, ConsoleMessage, Page
from stack.process import Stack

# What htmx logs of a stream that ended with its page, and of a refresh that a click overtook.
ENDED = ("[object Event]", "htmx:afterRequest", "htmx:sendAbort")


@dataclass
class Person:
    """Somebody with the token, and their browser."""

    stack: Stack
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> Page:
        """A new tab, logged in by the link that the terminal shows."""
        page = await self.context.new_page()
        page.on("console", self.note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        await page.goto(f"{self.stack.url}/login?token={self.stack.token}&next={path}")
        return page

    def note(self, message: ConsoleMessage) -> None:
        """What a broken policy or script says."""
        if message.type in ("error", "warning") and not message.text.startswith(ENDED):
            self.complaints.append(message.text)


NewPerson = Callable[..., Awaitable[Person]]
Post = Callable[..., Awaitable[str]]
