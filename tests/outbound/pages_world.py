"""An operator's browser without a window: pages are read, and forms sent."""

import re
from html import unescape
from typing import Any

import httpx
from outbound_world import Outbound

LATER = "2035-01-01T00:00:00Z"
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


class Person:
    """The operator's browser."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.csrf = ""

    async def see(self, path: str, **params: str) -> str:
        page = await self.http.get(path, params=params or None)
        assert page.status_code == 200, page.text
        return page.text

    async def send(self, path: str, form: dict[str, Any]) -> httpx.Response:
        """What a form's button does, and where it leads."""
        if not self.csrf:
            page = await self.see("/outbound/messages")
            [self.csrf, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', page)
        answer = await self.http.post(path, data={"csrf": self.csrf, **form})
        assert answer.status_code == 303, answer.text
        return await self.http.get(answer.headers["location"])

    async def count(self, **form: Any) -> httpx.Response:
        return await self.send("/outbound/operations/ask", form)

    async def do(self, counted: httpx.Response, **form: str) -> httpx.Response:
        return await self.send(f"{counted.url.path}/do", form)


def words(page: httpx.Response | str) -> str:
    found = page if isinstance(page, str) else page.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found)).split())


def notice_of(page: httpx.Response) -> str:
    [said] = re.findall(r'<p id="notice"[^>]*>(.*?)</p>', page.text, re.DOTALL)
    return words(said)


async def ended(outbound: Outbound, page: httpx.Response) -> dict[str, Any]:
    """The operation that a page is about, once it has ended."""
    id = page.url.path.rpartition("/")[2]
    answer = await outbound.http.get(f"/queue/operations/{id}?wait=30")
    found: dict[str, Any] = answer.json()
    assert found["status"] in ("completed", "abandoned"), found
    return found
