"""What the Temporal UI shows of an outbound message: no address, no subject."""

from mailroom.models.outbound.message import OutboundMessage, OutboundProgress


def summary(message: OutboundMessage) -> str:
    return f"A message in the queue {message.queue_name}"


def details(message: OutboundMessage, progress: OutboundProgress) -> str:
    held = ", held by its queue" if progress.held else ""
    lines = [
        f"**Queue** `{message.queue_name.replace('`', '')}`, priority {message.priority}",
        f"**State** {progress.status}{held}, {progress.num_attempts} attempts",
        f"**Ends** {message.expires_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if progress.next_attempt_at:
        lines.append(f"**Next attempt** {progress.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC")
    if progress.reason:
        said = " ".join(progress.reason.replace("`", "'").split())[:180]
        lines.append(f"**Why** `{said}`")
    return "\n\n".join(lines)
