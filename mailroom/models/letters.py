"""A draft as a letter: its greeting, its paragraphs and its sign-off."""

import re
from collections.abc import Callable

from mailroom.models.base import Frozen

_SALUTATION = re.compile(
    r"(?i)(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^,.!?\n]{0,40}"
    r"(?:[,!:]\s+|\s*\n\s*)(?=\S)"
)
ENGLISH_CLOSING = re.compile(
    r"(?i)\A(?:(?:with |my )?(?:best|kind|warm|many)?\s*(?:regards|wishes|thanks)|best|cheers"
    r"|thank you|(?:yours )?(?:sincerely|truly|faithfully))(?=[,.!]?\s*(?:\n|\Z))"
)
_OTHER_CLOSING = re.compile(
    r"(?i)(?:--|mit .*grüßen|\w+ grüße|cordialement|bien à vous|(?:un )?saludos?.*|atentamente"
    r"|(?:cordiali )?saluti|met vriendelijke groet(?:en)?|med vänliga hälsningar)[,.!]?\Z"
)
_COMMAS = (",", "，", "、", "،")


class Letter(Frozen):
    """A draft's parts. What an instruction doesn't touch stays as it was, in any language."""

    greeting: str = ""
    paragraphs: tuple[str, ...] = ()
    sign_off: str = ""

    def __str__(self) -> str:
        return "\n\n".join(filter(None, (self.greeting, *self.paragraphs, self.sign_off)))

    def saying(self, *paragraphs: str) -> "Letter":
        return self.model_copy(update={"paragraphs": paragraphs})

    def opened(self, sentence: str) -> "Letter":
        first, *rest = self.paragraphs or ("",)
        return self.saying(f"{sentence} {first}".strip(), *rest)

    def ended(self, sentence: str) -> "Letter":
        *rest, last = self.paragraphs or ("",)
        return self.saying(*rest, f"{last} {sentence}".strip())


Change = Callable[[Letter], Letter]


def read_letter(draft: str) -> Letter:
    greeting, rest = _greeting(draft.strip())
    body, sign_off = _sign_off(rest.splitlines())
    return Letter(greeting=greeting, paragraphs=paragraphs(body), sign_off=sign_off)


def paragraphs(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(r"\n\s*\n", text))
    return tuple(filter(None, parts))


def _greeting(text: str) -> tuple[str, str]:
    line, _, rest = text.partition("\n")
    # A line that the next one continues in lower case is no greeting.
    apart = rest.strip() and not rest[0].islower()
    if apart and len(line) <= 60 and line.rstrip().endswith(_COMMAS):
        return line.rstrip(), rest.strip()
    found = _SALUTATION.match(text)
    return (found[0].strip(), text[found.end() :]) if found else ("", text)


def _sign_off(lines: list[str]) -> tuple[str, str]:
    """The last lines, from one that closes a letter on; a body always remains."""
    for start in range(max(1, len(lines) - 5), len(lines)):
        ending = [line.strip() for line in lines[start:] if line.strip()]
        apart = not lines[start - 1].strip()
        if lines[start].strip() and _closes(ending[0], ending[1:], apart):
            return "\n".join(lines[:start]).strip(), "\n".join(ending)
    return "\n".join(lines), ""


def _closes(first: str, names: list[str], apart: bool) -> bool:
    if any(len(line) > 60 for line in names):
        return False
    if ENGLISH_CLOSING.match(first) or _OTHER_CLOSING.match(first):
        return True
    if names:
        return apart and len(first.split()) <= 4 and first.endswith(_COMMAS)
    return apart and len(first.split()) <= 3 and not re.search(r"[.!?…:。！？]\Z", first)
