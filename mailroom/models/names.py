"""Names that code, history and operators share: IDs, task queues, reasons."""

import hashlib
from uuid import UUID

MAIL_TASK_QUEUE = "mail"
DELIVERY_TASK_QUEUE = "delivery"

INBOX_POLL = "inbox-poll"
"""Schedule that asks the Email Monitor."""
RETENTION = "retention"
"""Schedule that removes what is too old."""

MAILBOX_SCAN = "mailbox-scan"
"""Schedule that looks for letters that should have gone on."""
BEADS_POLL = "beads-poll"
"""Schedule that takes over the open messages of Beads."""
QUEUE_HEALTH = "queue-health"
"""Schedule that scores domains, and opens and closes their circuits."""

REASON_SEND_UNKNOWN = "send_unknown"
REASON_BOUNCED = "bounced"
ASKED_AGAIN = (REASON_SEND_UNKNOWN, REASON_BOUNCED)
"""A reply has left, perhaps in vain: only the owner's word sends it again."""
REASON_BY_OWNER = "by owner"
REASON_SUPERSEDED = "superseded"
REASON_LATER_MAIL = "superseded by a later mail"
REASON_NO_ANSWER = "no answer"
REASON_BY_OPERATOR = "timed out by hand"


def email_reply_id(account: str, message_id: str) -> str:
    """Workflow ID of one mail. Hashed: IDs are never encrypted and addresses are personal."""
    return f"email-reply/{_short_hash(account, message_id)}"


def is_email_reply(workflow_id: str) -> bool:
    return workflow_id.startswith("email-reply/")


def reopened_id(workflow_id: str, number: int) -> str:
    """Of the workflow in which a mail goes on whose reply came back for the first time, the second,
    ..."""
    return f"{workflow_id}/bounce/{number}"


def owner_notice_id(number: str, inbound_id: str) -> str:
    return f"owner-notice/{_short_hash(number, inbound_id)}"


def bounced_reply_id(workflow_id: str) -> str:
    """One notice for each reply, however many servers report it."""
    return f"owner-notice/{_short_hash(workflow_id, 'bounce')}"


def lost_text_id(text: str) -> str:
    return f"lost-text/{_short_hash(text)}"


def mailbox_id(owner: str, host: str, user: str) -> str:
    return f"mailbox/{_short_hash(owner, host, user)}"


def agent_mail_id(letter_id: str) -> str:
    return f"agent-mail/{letter_id}"


def outbound_id(id: UUID | str) -> str:
    return f"outbound/{id}"


def is_outbound(workflow_id: str) -> bool:
    return workflow_id.startswith("outbound/")


def fairness_key(queue_name: str) -> str:
    """Temporal takes 64 bytes; names of queues may be longer."""
    return _short_hash(queue_name)


def drain_id(address: str) -> str:
    return f"drain/{_short_hash(address)}"


def queue_release_id(queue_name: str, scope: str | None = None) -> str:
    """Of a queue, or of all that has this name in a scope."""
    return f"queue-release/{_short_hash(*filter(None, (scope, queue_name)))}"


def queue_operation_id(id: UUID | str) -> str:
    return f"queue-op/{id}"


def _short_hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
