"""A message with `{{places}}`, filled from the columns of a table. Plain substitution."""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from pydantic import Field, ValidationError

from mailroom.models.base import Frozen

_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class BadTemplate(ValueError):
    """Says what is wrong with it."""


class MailTemplate(Frozen):
    headers: dict[str, str] = Field(default_factory=dict)
    text: str | None = None
    html: str | None = None

    @property
    def places(self) -> frozenset[str]:
        """The columns that it asks for."""
        return frozenset(name for part in self._parts() for name in _PLACE.findall(part))

    def filled(self, row: Mapping[str, str]) -> dict[str, Any]:
        """Fields of a message. In HTML what the row says is text, not markup."""
        known = {
            "headers": {name: _filled(value, row, str) for name, value in self.headers.items()},
            "text": None if self.text is None else _filled(self.text, row, str),
            "html": None if self.html is None else _filled(self.html, row, html.escape),
        }
        return {name: value for name, value in known.items() if value}

    def _parts(self) -> Iterator[str]:
        yield from self.headers.values()
        yield from filter(None, (self.text, self.html))


def _filled(part: str, row: Mapping[str, str], shown: Callable[[str], str]) -> str:
    # In one pass, so that a place which a row brings along stays text.
    return _PLACE.sub(lambda place: shown(row[place[1]]), part)


def read_template(written: str, *, is_json: bool) -> MailTemplate:
    """JSON with `headers`, `text`, `html`; or headers, an empty line, and the text, which is HTML
    where Content-Type says so. Raises `BadTemplate`."""
    try:
        found = MailTemplate.model_validate_json(written) if is_json else _as_mail(written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadTemplate(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    if found.text is None and found.html is None:
        raise BadTemplate("It has neither text nor html.")
    return found


def _as_mail(written: str) -> MailTemplate:
    parsed: Message = HeaderParser().parsestr(written)
    if parsed.defects or not parsed.keys():
        raise BadTemplate("It has to begin with headers, such as Subject, and an empty line.")
    headers = {name: " ".join(value.split()) for name, value in parsed.items()}
    kind = next((name for name in headers if name.lower() == "content-type"), None)
    is_html = kind is not None and headers.pop(kind).lower().startswith("text/html")
    body = str(parsed.get_payload())
    return MailTemplate(headers=headers, **{"html" if is_html else "text": body})
