"""What a selected folder has: search, sizes and bytes. Nothing is marked as read
(BODY.PEEK, RFC 3501 §6.4.5)."""

import imaplib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imap_tools.mailbox import BaseMailBox

# Of a mail that is not read in full; more is no header that anybody meant.
HEADER_BYTES = 64 * 1024

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")


@dataclass(frozen=True)
class Described:
    uid: int
    arrived: datetime
    size: int


def search(box: BaseMailBox, after: int, since: datetime) -> list[int]:
    """UIDs in their order. Dates have no time and a zone that is the server's, so a day more
    is asked for."""
    day = since.astimezone(UTC) - timedelta(days=1)
    date = f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"
    found = box.uids(f"UID {after + 1}:* SINCE {date}", charset=None)
    # `n:*` has the last mail even where its UID is below n (RFC 3501 §6.4.8).
    return sorted(uid for uid in map(int, found) if uid > after)


def describe(box: BaseMailBox, uids: Sequence[int]) -> list[Described]:
    wanted = ",".join(map(str, uids))
    _, lines = box.client.uid("FETCH", wanted, "(UID INTERNALDATE RFC822.SIZE)")
    described = {one.uid: one for one in map(_described, lines) if one}
    return [described[uid] for uid in uids if uid in described]


def body(box: BaseMailBox, uid: int, most_bytes: int) -> bytes | None:
    """None if it is gone, or larger than it was said to be."""
    found = _part(box, uid, f"BODY.PEEK[]<0.{most_bytes + 1}>")
    return found if found is not None and len(found) <= most_bytes else None


def header(box: BaseMailBox, uid: int) -> bytes | None:
    """The header alone; None if the mail is gone."""
    return _part(box, uid, f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>")


def _part(box: BaseMailBox, uid: int, part: str) -> bytes | None:
    _, answer = box.client.uid("FETCH", str(uid), f"({part})")
    return next((bytes(item[1]) for item in answer if isinstance(item, tuple)), None)


def _described(line: Any) -> Described | None:
    """None where a line tells of something else, such as another client's flags."""
    if not isinstance(line, bytes):
        return None
    uid, size, arrived = _UID.search(line), _SIZE.search(line), imaplib.Internaldate2tuple(line)
    if uid is None or size is None or arrived is None:
        return None
    return Described(
        uid=int(uid[1]),
        size=int(size[1]),
        arrived=datetime.fromtimestamp(time.mktime(arrived), UTC),
    )
