"""What a letter can say anew: yes, no and why, another time, thanks."""

import re
from collections.abc import Callable

from mailroom.models.letters import Change, Letter


def anew(frame: Letter, *paragraphs: str) -> Change:
    return lambda letter: Letter(
        greeting=letter.greeting or frame.greeting,
        paragraphs=paragraphs,
        sign_off=letter.sign_off or frame.sign_off,
    )


_DECLINES = re.compile(
    r"(?i)\b(?:decline|unfortunately|sorry|afraid|cannot|can't|unable|not (?:able|available))\b"
)
_QUESTION = re.compile(
    r"\s?(?:Would [^.?!]{0,120} work for you instead|Could we find another time)\?"
)


def declining(why: str) -> Callable[[re.Match[str], Letter], Change]:
    return lambda _, frame: anew(frame, f"Thank you for asking, but {why}.")


def giving_reason(why: str) -> Callable[[re.Match[str], Letter], Change]:
    """A reason alone ("I'm sick") says no only where the draft says no already."""

    def give(letter: Letter, declined: Change) -> Letter:
        return declined(letter) if _DECLINES.search(" ".join(letter.paragraphs)) else letter

    return lambda found, frame: lambda letter: give(letter, declining(why)(found, frame))


def because(found: re.Match[str], frame: Letter) -> Change:
    clause = re.sub(r"\bi\b", "I", found["clause"].rstrip(" .!,;"))
    return declining(f"I have to decline because {clause}")(found, frame)


def proposing(found: re.Match[str], frame: Letter) -> Change:
    return asking(frame, f"Would {found['time'].rstrip(' .?!')} work for you instead?")


def asking(frame: Letter, question: str) -> Change:
    """Behind what declines; in place of what may have agreed to a time."""

    def ask(letter: Letter) -> Letter:
        body = [_QUESTION.sub("", text) for text in letter.paragraphs]
        if _DECLINES.search(" ".join(body)):
            return letter.saying(*filter(None, body)).ended(question)
        return anew(frame, f"Thank you for your message. {question}")(letter)

    return ask


def thanking(found: re.Match[str], _: Letter) -> Change:
    what = re.sub(r"(?i)\b(?:their|his|her)\b", "your", found["what"] or "")

    def thank(letter: Letter) -> Letter:
        if not re.match("(?i)(?:many )?thank", "".join(letter.paragraphs)):
            return letter.opened(f"Thank you{what or ' for your message'}.")
        again = f"Thank you again{what}."
        return letter if again in str(letter) else letter.ended(again)

    return thank
