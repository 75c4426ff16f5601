"""Addresses of agents: paths such as `mayor/` and `rig/worker`, groups (`@staff`) and
announcements (`rig/*`)."""

import re
from collections.abc import Iterable, Sequence
from heapq import nsmallest

from mailroom.models.agent_mail import MOST_ADDRESS
from mailroom.models.distance import distance

OVERSEER = "overseer"
"""The human operator, the only address of one segment without a slash."""
EVERYBODY = "*"

FORM = (
    "an address is a path such as mayor/ or rig/worker, of letters, digits, '-', '_' and '.', "
    f"{MOST_ADDRESS} characters at most"
)
_SEGMENT = r"[a-z0-9][a-z0-9_.-]*"
# ASCII alone: what Unicode lower-cases to "k" (the Kelvin sign) would be somebody else's name.
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*/?", re.ASCII)
_GROUP = re.compile(rf"@{_SEGMENT}", re.ASCII)
_ANNOUNCEMENT = re.compile(rf"(?:{_SEGMENT}/)*\*", re.ASCII)


def address_of(text: str) -> str:
    """In its one form: lower case, `mayor/` with a slash, `rig/worker` without one.

    Raises ValueError with a sentence that says the form.
    """
    lower = _lower(text)
    if len(lower) > MOST_ADDRESS + 1 or not _PATH.fullmatch(lower):
        raise ValueError(_no_address(text))
    path = lower.removesuffix("/")
    address = path if "/" in path or path == OVERSEER else f"{path}/"
    if len(address) > MOST_ADDRESS:
        raise ValueError(_no_address(text))
    return address


def is_group(text: str) -> bool:
    return _is(_GROUP, text)


def is_announcement(text: str) -> bool:
    return _is(_ANNOUNCEMENT, text)


def recipient_of(text: str) -> str:
    """An address, a group or an announcement, each in its one form."""
    return _lower(text) if is_group(text) or is_announcement(text) else address_of(text)


def members_of(announcement: str, known: Iterable[str], sender: str | None = None) -> list[str]:
    """Whom it reaches: every known address that begins so, but never who sends it."""
    begins = _lower(announcement).removesuffix(EVERYBODY)
    return sorted({each for each in known if each.startswith(begins)} - {sender})


def segments(address: str) -> list[str]:
    return address.removesuffix("/").split("/")


def _is(form: re.Pattern[str], text: str) -> bool:
    lower = _lower(text)
    return len(lower) <= MOST_ADDRESS and form.fullmatch(lower) is not None


def _lower(text: str) -> str:
    stripped = text.strip()
    return stripped.lower() if stripped.isascii() else stripped


def _no_address(text: str) -> str:
    return f"{text[:60]!r} is no address: {FORM}."


_COMPARED = 64


def nearest(address: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Those of `known` that may have been meant, the likeliest first; none if all are far."""
    # Two letters of three have to be right, in the last ones of a long address: with ten thousand
    # known ones of 200 characters each it would take seconds.
    wanted = address[-_COMPARED:]
    furthest = max(2, len(wanted) // 3)
    rated = ((_apart(wanted, each[-_COMPARED:], furthest), each) for each in set(known) - {address})
    return [each for apart, each in nsmallest(most, rated) if apart <= furthest]


def _apart(wanted: str, other: str, furthest: int) -> int:
    """In letters to change; a forgotten, wrong or exchanged segment counts as two."""
    of_wanted, of_other = segments(wanted), segments(other)
    if of_wanted[-1] == of_other[-1] or sorted(of_wanted) == sorted(of_other):
        return min(2, distance(wanted, other, furthest))
    return distance(wanted, other, furthest)


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# tmux itself writes "_" for "." and ":"; a name that begins with "-" would be an option of its
# command line, and with "=", "$", "@" or "%" something else than a name (tmux(1), COMMANDS).
_SESSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)


def tmux_template(text: str) -> str:
    """`text`, if it can be filled with some address; ValueError with a sentence if not."""
    every = dict.fromkeys(_placeholders("a/b") | _placeholders("a/"), "a")
    for name in _PLACEHOLDER.findall(text):
        if name not in every:
            known = ", ".join(f"{{{known}}}" for known in every)
            raise ValueError(f"{{{name}}} is no placeholder of a tmux session; there are {known}.")
    if not _SESSION.fullmatch(_filled(text, every)) or len(text) > MOST_ADDRESS:
        raise ValueError(
            f"{text[:60]!r} can't name a tmux session: outside of {{placeholders}} there may be "
            "letters, digits, '-' and '_'."
        )
    return text


def tmux_names(templates: Sequence[str], address: str) -> list[str]:
    """What the tmux session of an address may be called, in the order of the templates.

    Of `rig/crew/ann`: {address} is rig-crew-ann, {first} and {rig} are rig, {last} and {worker}
    are ann, {rest} is crew-ann. Of `mayor/`: {address}, {first}, {last} and {name} are mayor.
    A template that asks for what an address hasn't is left out.
    """
    values = _placeholders(address)
    fitting = [each for each in templates if set(_PLACEHOLDER.findall(each)) <= values.keys()]
    names = dict.fromkeys(_filled(each, values) for each in fitting)
    return [name for name in names if _SESSION.fullmatch(name)]


def _placeholders(address: str) -> dict[str, str]:
    first, *rest = parts = [segment.replace(".", "_") for segment in segments(address)]
    values = {"address": "-".join(parts), "first": first, "last": parts[-1]}
    if rest:
        return values | {"rest": "-".join(rest), "rig": first, "worker": rest[-1]}
    return values | {"name": first}


def _filled(template: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)
