"""The words for a letter: how urgent it is, how it goes, where it stands."""

from enum import StrEnum


class Priority(StrEnum):
    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """3 goes first (seed 000)."""
        return 3 - list(Priority).index(self)

    @property
    def temporal(self) -> int:
        """1 goes first."""
        return 4 - self.rank

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        return list(cls)[3 - rank]

    @property
    def interrupts(self) -> bool:
        """What `auto` does with it."""
        return self in (Priority.URGENT, Priority.HIGH)


class Delivery(StrEnum):
    """`auto` interrupts for urgent and high letters and queues the rest."""

    AUTO = "auto"
    INTERRUPT = "interrupt"
    QUEUE = "queue"


class LetterState(StrEnum):
    QUEUED = "queued"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    RETRYING = "retrying"
    DEAD_LETTER = "dead_letter"
    EXPIRED = "expired"
    DISCARDED = "discarded"
