"""Which word of the owner counts (design: "The owner's word"). Pure: one word, one verdict.

The first valid word wins over all channels; a word about an older revision never decides
anything; what is refused is said in a sentence, because a person waits for it.
"""

from datetime import datetime

from mailroom.models.attached import name_shown
from mailroom.models.attaching import NotAttached, checked, named
from mailroom.models.email_reply import (
    MAX_EDITS,
    Heard,
    Outcome,
    OwnersWord,
    Progress,
    Verdict,
)
from mailroom.models.names import ASKED_AGAIN, REASON_BOUNCED, REASON_SEND_UNKNOWN
from mailroom.models.states import Stage, is_final
from mailroom.models.when import in_words
from mailroom.models.words import (
    Approve,
    Decision,
    Edit,
    Ignore,
    Reserved,
    Snooze,
    Unclear,
    parse_word,
)

SHOWN_NAMES = 3


def judge(word: OwnersWord, progress: Progress, now: datetime) -> tuple[Outcome, Heard | None]:
    """The verdict on a word, and the word to act on when it was accepted."""
    said = parse_word(word.text)
    command = said.command
    if isinstance(command, Reserved):
        return _refused(progress, f"{command.keyword} is no answer to a draft: {_HOW}"), None
    if isinstance(command, Unclear):
        return _refused(progress, f"That was not understood ({command.why}): {_HOW}"), None
    why_not = _why_not(command, said.code, word.revision, progress)
    if why_not:
        return _refused(progress, why_not), None
    try:
        command = _with_attachments(command, said.files, word.attach, progress)
    except NotAttached as error:
        return _refused(progress, str(error)), None
    heard = Heard(command=command, at=now, via=word.via or "signal")
    return _accepted(command, progress), heard


def _with_attachments(
    command: Decision, files: str | None, names: tuple[str, ...], progress: Progress
) -> Decision:
    """What the owner names is attached, and nothing else. An approval that names nothing keeps
    what an earlier one named that still waits to be sent."""
    draft = progress.draft
    if not isinstance(command, Approve) or draft is None:
        if names:
            raise NotAttached("Only a reply that is sent (1) can carry attachments.")
        return command
    if progress.reason in ASKED_AGAIN and (files or names):
        left = "came back" if progress.reason == REASON_BOUNCED else "may have been sent"
        raise NotAttached(f"The reply {left} as it is: 1 sends it again, 3 leaves it.")
    found = named(files, draft.attachments) if files else ()
    chosen = checked(tuple(dict.fromkeys((*found, *names))), draft.attachments)
    return command.model_copy(update={"attach": chosen or _kept(progress)})


def _kept(progress: Progress) -> tuple[str, ...]:
    earlier = progress.approved.command if progress.approved else None
    again = progress.failed_stage is None or progress.reason in ASKED_AGAIN
    return earlier.attach if isinstance(earlier, Approve) and again else ()


_HOW = "answer 1 to send, 2 and how to change it, or 3 to ignore."


def _why_not(
    command: Decision, code: str | None, revision: int | None, progress: Progress
) -> str | None:
    if is_final(progress.state):
        return f"This mail is closed already: {describe(progress)}."
    if progress.word is not None:
        return f"This was answered already ({_verb(progress.word.command)})."
    if progress.draft is None or progress.draft.revision != progress.wanted_revision:
        return _without_draft(command, progress)
    if _is_older(code, revision, progress):
        return (
            f"That answers an older draft. The current one is revision "
            f"{progress.draft.revision}, code {progress.draft.code}."
        )
    if progress.failed_stage is Stage.REPLY:
        return _after_failed_send(command, progress)
    return _too_many_edits(command, progress)


def _too_many_edits(command: Decision, progress: Progress) -> str | None:
    if not isinstance(command, Edit) or progress.edits < MAX_EDITS:
        return None
    return f"The draft was edited {MAX_EDITS} times: send it (1) or ignore it (3)."


def _without_draft(command: Decision, progress: Progress) -> str | None:
    if isinstance(command, Ignore) and progress.failed_stage is not None:
        return None
    return "There is no draft to answer yet; wait for the text."


def _is_older(code: str | None, revision: int | None, progress: Progress) -> bool:
    assert progress.draft is not None
    if revision is not None and revision != progress.draft.revision:
        return True
    return code is not None and code != progress.draft.code


def _after_failed_send(command: Decision, progress: Progress) -> str | None:
    if isinstance(command, Ignore):
        return None
    if command == Approve() and progress.reason in ASKED_AGAIN:
        return None
    if progress.reason == REASON_SEND_UNKNOWN:
        return "The reply may have been sent: 1 sends it again, 3 leaves it."
    if progress.reason == REASON_BOUNCED:
        return "The reply came back: 1 sends it again, 3 leaves it."
    if isinstance(command, Approve) and not command.later and _attached(progress):
        # What was too large for the server is sent without, or with something else.
        return None
    return "Sending the reply failed; `retry` tries again, 3 gives it up."


def _attached(progress: Progress) -> bool:
    command = progress.approved.command if progress.approved else None
    return isinstance(command, Approve) and bool(command.attach)


def describe(progress: Progress) -> str:
    """The state in words, with its reason."""
    words = progress.state.replace("_", " ")
    if progress.send_at:
        return f"{words}, to be sent {progress.send_at:%Y-%m-%d %H:%M} UTC"
    if progress.snoozed_until:
        return f"{words}, asked again {progress.snoozed_until:%Y-%m-%d %H:%M} UTC"
    return f"{words} ({progress.reason})" if progress.reason else words


def _verb(command: Decision) -> str:
    match command:
        case Approve():
            return "send"
        case Edit():
            return "edit"
        case Ignore():
            return "ignore"
        case Snooze():
            return "ask again later"


def _accepted(command: Decision, progress: Progress) -> Outcome:
    again = progress.reason in ASKED_AGAIN
    return _outcome(progress, Verdict.ACCEPTED, _what_follows(command, again=again))


def _what_follows(command: Decision, *, again: bool) -> str:
    match command:
        case Approve():
            return "The reply is sent again." if again else _when_sent(command)
        case Edit():
            return "The draft is being changed."
        case Ignore():
            return "The mail is left unanswered."
        case Snooze(length=length):
            return f"You are asked again in {in_words(length)}."


def _when_sent(approval: Approve) -> str:
    reply = f"The reply{_carried(approval.attach)}"
    if approval.at:
        return f"{reply} goes out at {approval.at:%H:%M}; {_TILL}"
    if approval.after:
        return f"{reply} goes out in {in_words(approval.after)}; {_TILL}"
    return f"{reply} is on its way."


def _carried(names: tuple[str, ...]) -> str:
    if len(names) > SHOWN_NAMES:
        return f" with {len(names)} attachments"
    return f" with {', '.join(map(name_shown, names))}" if names else ""


_TILL = "till then 3 cancels it."


def _refused(progress: Progress, text: str) -> Outcome:
    return _outcome(progress, Verdict.REFUSED, text)


def _outcome(progress: Progress, verdict: Verdict, text: str) -> Outcome:
    revision = progress.draft.revision if progress.draft else 0
    return Outcome(verdict=verdict, state=progress.state, revision=revision, text=text)
