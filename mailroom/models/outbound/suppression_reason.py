"""Why an address gets no more mail."""

from enum import StrEnum


class SuppressionReason(StrEnum):
    """From the weakest to the strongest: a person's own wish is not overwritten by a server's
    word."""

    HARD_BOUNCE = "hard_bounce"
    MANUAL = "manual"
    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"
