"""The short texts to the owner: about one mail by its sender and subject, or about none."""

from collections.abc import Callable, Sequence

from mailroom.models.sms_segments import bare_or_quoted, fits, quotable, short, with_subject
from mailroom.models.states import Stage

LIST_SEGMENTS = 4


def _about(sender: str, subject: str, render: Callable[[str], str]) -> str:
    """One segment where possible, else two; `render` gets 'John, "Meeting"'."""
    who = bare_or_quoted(quotable(sender), 40)
    return with_subject(quotable(subject) or "(no subject)", 1, lambda s: render(f'{who}, "{s}"'))


def reminder_text(sender_name: str, subject: str, code: str) -> str:
    commands = f"1=Send 2=Edit 3=Ignore {code}"
    return _about(sender_name, subject, lambda mail: f"Still waiting: {mail}\n{commands}")


def delegated_text(sender_name: str, subject: str, delegate: str) -> str:
    tail = f"no answer from you yet, so {short(quotable(delegate), 40)} is asked too."
    return _about(sender_name, subject, lambda mail: f"{mail}: {tail}")


def expired_text(sender_name: str, subject: str, hours: int = 48) -> str:
    tail = f"ignored after {hours} h without an answer. Nothing was sent."
    return _about(sender_name, subject, lambda mail: f"{mail}: {tail}")


def arrived_text(sender_name: str, subject: str) -> str:
    return _about(sender_name, subject, lambda mail: f"New mail: {mail}")


def superseded_text(sender_name: str, subject: str) -> str:
    tail = "you answered it yourself. The draft is dropped, nothing was sent."
    return _about(sender_name, subject, lambda mail: f"{mail}: {tail}")


def send_failed_text(sender: str) -> str:
    return f"⚠️ Failed to send reply to {short(quotable(sender), 60)}. Check logs."


_FAILED = {
    Stage.DRAFT: "No draft could be made for the mail from {}.",
    Stage.SMS: "The text about the draft for {} could not be sent.",
    Stage.REPLY: "The reply to {} could not be sent.",
}


def stage_failed_text(stage: Stage, sender: str) -> str:
    who = bare_or_quoted(quotable(sender), 40)
    return _FAILED[stage].replace("{}", who) + " It waits for a retry; see the page."


def returned_text(recipient: str, why: str) -> str:
    """Of a reply that was sent so long ago that nothing can be done about it here."""
    who = bare_or_quoted(quotable(recipient), 60)
    return f"Your reply to {who} came back. {why}"


def bounced_text(sender: str, why: str, code: str) -> str:
    """After a server that took the reply reported that it could not deliver it (RFC 3464)."""
    who = bare_or_quoted(quotable(sender), 40)
    said = short(quotable(why), 60).rstrip(".")
    return f"The reply to {who} came back: {said}. 1=Send again 3=Leave {code}"


def unknown_text(sender: str, code: str) -> str:
    """After a connection that was lost between the final dot and its answer (RFC 1047)."""
    who = bare_or_quoted(quotable(sender), 40)
    return f"The reply to {who} may have been sent: 1=Send again 3=Leave {code}"


def waiting_list_text(waiting: Sequence[tuple[str, str, str]]) -> str:
    """The drafts a bare answer could mean: (code, sender, subject) of each."""
    lines = ["Several drafts wait. Answer 1, 2 or 3 with a code:"]
    for count, (code, sender, subject) in enumerate(waiting):
        who, what = bare_or_quoted(quotable(sender), 24), short(quotable(subject), 30)
        more = f"and {len(waiting) - count:,} more"
        line = f'{code} {who}: "{what}"'
        if not fits("\n".join([*lines, line, more]), LIST_SEGMENTS):
            return "\n".join([*lines, more])
        lines.append(line)
    return "\n".join(lines)


def nothing_waiting_text() -> str:
    return "No draft is waiting for an answer."


def help_text() -> str:
    return (
        "Mailroom texts you each mail with a draft. Answer 1 to send it, 2 and what to change, "
        "or 3 to ignore it, with the code if several wait."
    )
