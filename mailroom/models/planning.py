"""What becomes of a mail: the rules of the field first, then those of its owner."""

from collections.abc import Sequence

from mailroom.models.arrival import Arrival
from mailroom.models.base import Frozen
from mailroom.models.mail import IncomingMail, header_fields
from mailroom.models.owner import Owner
from mailroom.models.rules import Action, Facts, rule_for
from mailroom.models.triage import is_one_of, not_answerable


class Plan(Frozen):
    """What triage makes of a mail; both None: a draft."""

    not_answerable: str | None = None
    only_notify: str | None = None


def takes(owner: Owner, address: str) -> bool:
    return not owner.addresses or is_one_of(address, owner.addresses)


def planned(owner: Owner, mail: IncomingMail, arrival: Arrival, recipients: Sequence[str]) -> Plan:
    """The rules of the field first: no rule of an owner's makes an automatic mail answerable."""
    why_not = not_answerable(mail, arrival.sender, recipients, owner.addresses)
    rule = rule_for(owner.rules, _facts(owner, mail, arrival.raw))
    if why_not or rule is None or rule.action is Action.DRAFT:
        return Plan(not_answerable=why_not)
    if rule.action is Action.IGNORE:
        return Plan(not_answerable=f"Your rule {rule.name!r} ignores it.")
    return Plan(only_notify=f"Your rule {rule.name!r} only tells you of it.")


def _facts(owner: Owner, mail: IncomingMail, raw: bytes) -> Facts:
    asks_headers = any(rule.header for rule in owner.rules)
    return Facts(
        sender=mail.sender.address if mail.sender else "",
        subject=mail.subject,
        headers=header_fields(raw) if asks_headers else (),
        size=mail.size,
    )
