"""Who gets a letter: an address, the members of a group, or everybody under a path."""

from collections.abc import Collection, Mapping, Sequence

from mailroom.models.agent_addresses import (
    is_announcement,
    is_group,
    members_of,
    nearest,
    recipient_of,
)


class UnknownRecipient(ValueError):
    """`nearest` may have been meant. The message is one sentence that names them."""

    def __init__(self, to: str, nearest: Sequence[str]) -> None:
        self.nearest = tuple(nearest)
        meant = f"; did you mean {' or '.join(nearest)}?" if nearest else "."
        super().__init__(f"Nobody is known as {to}{meant}")


def recipients_of(
    to: str, groups: Mapping[str, Sequence[str]], known: Collection[str], sender: str | None = None
) -> list[str]:
    """One address for each letter, each once. The sender gets none of a group's or announcement's.

    Raises ValueError for what has no such form, UnknownRecipient for whom nobody knows.
    """
    to = recipient_of(to)
    if is_group(to):
        found = [each for each in dict.fromkeys(_members(to, groups)) if each != sender]
    elif is_announcement(to):
        found = members_of(to, known, sender)
    else:
        found = [to] if to in known else []
    if not found:
        raise UnknownRecipient(to, [] if is_announcement(to) else nearest(to, known))
    return found


def _members(group: str, groups: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if group not in groups:
        raise UnknownRecipient(group, nearest(group, groups))
    return groups[group]
