"""The spool's queues, and what waits in them."""

from enum import StrEnum


class Queue(StrEnum):
    """In the order in which the locks of several are taken."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    DEAD_LETTER = "dead-letter"


class Kind(StrEnum):
    MAIL = "mail"
    TEXT = "text"
    RECEIPT = "receipt"
    LETTER = "letter"
    SUBMISSION = "submission"
