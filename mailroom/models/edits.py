"""Changes to a draft that need no AI: a few instructions, each understood whole or not at all."""

import re
from collections.abc import Callable
from typing import NamedTuple

from mailroom.models.base import Frozen
from mailroom.models.sms_segments import short

QUOTED = 60


class Edited(Frozen):
    """`note` says what of the instructions was not followed; None when all of it was."""

    text: str
    note: str | None = None


class Letter(Frozen):
    """A draft's parts. What an instruction doesn't touch stays as it was, in any language."""

    greeting: str = ""
    paragraphs: tuple[str, ...] = ()
    sign_off: str = ""

    def __str__(self) -> str:
        return "\n\n".join(filter(None, (self.greeting, *self.paragraphs, self.sign_off)))

    def saying(self, *paragraphs: str) -> "Letter":
        return self.model_copy(update={"paragraphs": paragraphs})


Change = Callable[[Letter], Letter]


class Step(NamedTuple):
    """One instruction, and what to tell the owner if it changes nothing."""

    change: Change
    missed: str


def apply_edit(draft: str, instructions: str, first_name: str, owner_name: str) -> Edited:
    """`draft` changed by all that can be followed, in order.

    A letter written anew gets a greeting and a sign-off with these names where it has none.
    """
    frame = Letter(
        greeting=f"Hi {first_name or 'there'},", sign_off=f"Best regards,\n{owner_name}".strip()
    )
    before = letter = read(draft)
    missed = []
    for step in _steps(instructions.replace("’", "'"), frame):
        changed = step.change(letter)
        missed += [step.missed] if changed == letter else []
        letter = changed
    if letter == before:
        return Edited(text=draft, note="; ".join([*missed, "the draft is unchanged"]))
    note = "; ".join([*missed, "the rest is done"]) if missed else None
    return Edited(text=str(letter), note=note)


# --- Reading a draft

_SALUTATION = re.compile(
    r"(?i)(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^,.!?\n]{0,40}"
    r"(?:[,!:]\s+|\s*\n\s*)(?=\S)"
)
_ENGLISH_CLOSING = re.compile(
    r"(?i)\A(?:(?:with |my )?(?:best|kind|warm|many)?\s*(?:regards|wishes|thanks)|best|cheers"
    r"|thank you|(?:yours )?(?:sincerely|truly|faithfully))(?=[,.!]?\s*(?:\n|\Z))"
)
_OTHER_CLOSING = re.compile(
    r"(?i)(?:--|mit .*grüßen|\w+ grüße|cordialement|bien à vous|(?:un )?saludos?.*|atentamente"
    r"|(?:cordiali )?saluti|met vriendelijke groet(?:en)?|med vänliga hälsningar)[,.!]?\Z"
)
_COMMAS = (",", "，", "、", "،")


def read(draft: str) -> Letter:
    greeting, rest = _greeting(draft.strip())
    body, sign_off = _sign_off(rest.splitlines())
    return Letter(greeting=greeting, paragraphs=_paragraphs(body), sign_off=sign_off)


def _paragraphs(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(r"\n\s*\n", text))
    return tuple(filter(None, parts))


def _greeting(text: str) -> tuple[str, str]:
    line, _, rest = text.partition("\n")
    # A line that the next one continues in lower case is no greeting.
    apart = rest.strip() and not rest[0].islower()
    if apart and len(line) <= 60 and line.rstrip().endswith(_COMMAS):
        return line.rstrip(), rest.strip()
    found = _SALUTATION.match(text)
    return (found[0].strip(), text[found.end() :]) if found else ("", text)


def _sign_off(lines: list[str]) -> tuple[str, str]:
    """The last lines, from one that closes a letter on; a body always remains."""
    for start in range(max(1, len(lines) - 5), len(lines)):
        ending = [line.strip() for line in lines[start:] if line.strip()]
        apart = not lines[start - 1].strip()
        if lines[start].strip() and _closes(ending[0], ending[1:], apart):
            return "\n".join(lines[:start]).strip(), "\n".join(ending)
    return "\n".join(lines), ""


def _closes(first: str, names: list[str], apart: bool) -> bool:
    if any(len(line) > 60 for line in names):
        return False
    if _ENGLISH_CLOSING.match(first) or _OTHER_CLOSING.match(first):
        return True
    if names:
        return apart and len(first.split()) <= 4 and first.endswith(_COMMAS)
    return apart and len(first.split()) <= 3 and not re.search(r"[.!?…:。！？]\Z", first)


# --- Understanding the instructions

_SAY = re.compile(
    r"(?is)(?P<before>.*?)(?:\A|[,;.\n]|\b(?:and|then))\s*(?:say|write|reply|answer)\s*:(?P<text>.+)"
)
_JOINT = re.compile(r"(?i)(\s*(?:[,;&\n]|\.(?=\s|\Z)|\b(?:and|but|then)\b)\s*)")
# After these a clause may go on behind a comma or an "and" ...
_OPEN = re.compile(r"(?i)\b(?:because|since|propose|suggest|thank (?:them|him|her|you) for)\b")
# ... unless it begins like an instruction of its own.
_VERB = re.compile(
    r"(?i)(?:please |also |don't |do not )*(?:add|answer|apologi[sz]e|ask|attach|call|change|delete"
    r"|explain|give|include|invite|keep|leave|let|make|mention|offer|promise|put|remove|replace"
    r"|reply|say|send|sign|tell|translate|use|write)\b"
)
_FILLER = re.compile(
    r"(?i)\A(?:(?:please|pls|just|also|now|edit|can you|could you|(?:make|write) (?:it|this"
    r"|the (?:reply|draft|text|mail|email))|be|sound|a (?:bit|little)|a lot|much|slightly"
    r"|somewhat|more|very|even)\s+)+|(?:\s+(?:please|pls|too|a (?:bit|little)))+\Z"
)


def _steps(instructions: str, frame: Letter) -> list[Step]:
    if said := _SAY.fullmatch(instructions.strip()):
        say = _anew(frame, *_paragraphs(said["text"].strip(' \n"“”')))
        return [*_steps(said["before"], frame), Step(say, _SAID)]
    return [step for piece in _pieces(instructions) for step in _understood(piece, frame)]


def _pieces(instructions: str) -> list[str]:
    first, *rest = _JOINT.split(instructions)
    pieces = [first]
    for joint, part in zip(rest[::2], rest[1::2], strict=True):
        goes_on = _OPEN.search(pieces[-1]) or not _is_instruction(pieces[-1])
        if part and pieces[-1] and goes_on and not _VERB.match(part) and not _is_instruction(part):
            pieces[-1] += joint + part
        else:
            pieces.append(part)
    return [piece.strip(" .!\n") for piece in pieces if piece.strip(" .!\n")]


def _is_instruction(piece: str) -> bool:
    return any(rule.fullmatch(_core(piece)) for rule, *_ in _RULES)


def _core(piece: str) -> str:
    return _FILLER.sub("", " ".join(piece.split())).strip(" .!:")


def _understood(piece: str, frame: Letter) -> list[Step]:
    core = _core(piece)
    for rule, change, missed in _RULES:
        if found := rule.fullmatch(core):
            return [Step(change(found, frame), missed or _not_followed(piece).missed)]
    if found := _DECLINE_FOR.fullmatch(core):
        return [*_understood(found["decline"], frame), _not_followed(found["reason"])]
    return [_not_followed(piece)]


def _not_followed(piece: str) -> Step:
    quoted = short(" ".join(piece.split()), QUOTED)
    return Step(lambda letter: letter, f"I can't follow “{quoted}” without an AI")


# --- Changing the tone

_SENTENCE_END = re.compile(r"(?<=[.!?])(?<![DM]r\.|Ms\.|\.m\.)\s+(?=[^a-z])")
_POLITE = re.compile(
    r"(?i)(?:(?:many )?thank|i hope|hope |(?:i(?: am|'m) )?look|see you|(?:please )?let me know"
    r"|it (?:was|is) (?:good|great|nice)|have a )(?!.*\bbut\b)"
)


def _shorter(letter: Letter) -> Letter:
    """Without its polite sentences, else without its last ones; never without all."""
    split = [_SENTENCE_END.split(text) for text in letter.paragraphs]
    sentences = [sentence for paragraph in split for sentence in paragraph]
    kept = [sentence for sentence in sentences if not _POLITE.match(sentence)]
    if len(kept) in {0, len(sentences)}:
        kept = sentences[: (len(sentences) + 1) // 2]
    paragraphs = (" ".join(s for s in paragraph if s in kept) for paragraph in split)
    return letter.saying(*filter(None, paragraphs))


def _opened(letter: Letter, sentence: str) -> Letter:
    first, *rest = letter.paragraphs or ("",)
    return letter.saying(f"{sentence} {first}".strip(), *rest)


def _ended(letter: Letter, sentence: str) -> Letter:
    *rest, last = letter.paragraphs or ("",)
    return letter.saying(*rest, f"{last} {sentence}".strip())


_HOPE = "I hope you are doing well."
_GOOD = "It was good to hear from you."


def _warmer(letter: Letter) -> Letter:
    if _HOPE not in str(letter):
        return _opened(_framed(letter, letter.greeting, "Warm regards"), _HOPE)
    return _ended(letter, _GOOD) if _GOOD not in str(letter) else letter


_FORMAL_WORDS = {
    "i'm": "I am", "i'll": "I will", "i've": "I have", "can't": "cannot", "won't": "will not",
    "don't": "do not", "doesn't": "does not", "didn't": "did not", "isn't": "is not",
    "it's": "it is", "that's": "that is", "you're": "you are", "we're": "we are",
    "couldn't": "could not", "thanks": "thank you", "thanks to": "thanks to",
    "many thanks": "thank you very much",
}  # fmt: skip
_CASUAL_WORDS = {
    "i am": "I'm", "i will": "I'll", "cannot": "can't", "will not": "won't", "do not": "don't",
    "thank you": "thanks", "thank you very much": "thanks a lot",
}  # fmt: skip


def _formal(letter: Letter) -> Letter:
    greeting = re.sub(r"(?i)\A(?:hi|hey|hello) there\b", "Hello", letter.greeting)
    greeting = re.sub(r"(?i)\A(?:hi|hey|hello)(?= \w)", "Dear", greeting).replace("!", ",")
    calm = letter.saying(*(re.sub("!+", ".", text) for text in letter.paragraphs))
    return _framed(_reworded(calm, _FORMAL_WORDS), greeting, "Kind regards")


def _casual(letter: Letter) -> Letter:
    greeting = re.sub(r"(?i)\A(?:hi|hello)\b", "Hey", letter.greeting)
    greeting = re.sub(r"(?i)\Adear\b", "Hi", greeting)
    return _framed(_reworded(letter, _CASUAL_WORDS), greeting, "Cheers")


def _framed(letter: Letter, greeting: str, closing: str) -> Letter:
    """Only an English closing is replaced."""
    sign_off = _ENGLISH_CLOSING.sub(closing, letter.sign_off)
    return letter.model_copy(update={"greeting": greeting, "sign_off": sign_off})


def _reworded(letter: Letter, words: dict[str, str]) -> Letter:
    def other(found: re.Match[str]) -> str:
        word = words[found[0].lower().replace("’", "'")]
        return word[0].upper() + word[1:] if found[0][0].isupper() else word

    known = "|".join(sorted(words, key=len, reverse=True)).replace("'", "['’]")
    pattern = re.compile(rf"(?i)(?<!\w)(?:{known})(?!\w)")
    return letter.saying(*(pattern.sub(other, text) for text in letter.paragraphs))


# --- Writing the letter anew


def _anew(frame: Letter, *paragraphs: str) -> Change:
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


def _declining(why: str) -> Callable[[re.Match[str], Letter], Change]:
    return lambda _, frame: _anew(frame, f"Thank you for asking, but {why}.")


def _giving_reason(why: str) -> Callable[[re.Match[str], Letter], Change]:
    """A reason alone ("I'm sick") says no only where the draft says no already."""

    def give(letter: Letter, declined: Change) -> Letter:
        return declined(letter) if _DECLINES.search(" ".join(letter.paragraphs)) else letter

    return lambda found, frame: lambda letter: give(letter, _declining(why)(found, frame))


def _because(found: re.Match[str], frame: Letter) -> Change:
    clause = re.sub(r"\bi\b", "I", found["clause"].rstrip(" .!,;"))
    return _declining(f"I have to decline because {clause}")(found, frame)


def _proposing(found: re.Match[str], frame: Letter) -> Change:
    return _asking(frame, f"Would {found['time'].rstrip(' .?!')} work for you instead?")


def _asking(frame: Letter, question: str) -> Change:
    """Behind what declines; in place of what may have agreed to a time."""

    def ask(letter: Letter) -> Letter:
        body = [_QUESTION.sub("", text) for text in letter.paragraphs]
        if _DECLINES.search(" ".join(body)):
            return _ended(letter.saying(*filter(None, body)), question)
        return _anew(frame, f"Thank you for your message. {question}")(letter)

    return ask


def _thanking(found: re.Match[str], _: Letter) -> Change:
    what = re.sub(r"(?i)\b(?:their|his|her)\b", "your", found["what"] or "")

    def thank(letter: Letter) -> Letter:
        if not re.match("(?i)(?:many )?thank", "".join(letter.paragraphs)):
            return _opened(letter, f"Thank you{what or ' for your message'}.")
        again = f"Thank you again{what}."
        return letter if again in str(letter) else _ended(letter, again)

    return thank


# --- The instructions: what is said, what is done, and what to answer if that changes nothing

_SAID = "it says that already"
_WHO = r"(?:(?:tell (?:them|him|her)|say)(?: that)? )?"
_OBJECT = (
    r"(?: (?:to|for|it|this|that|the|a|my|their|his|her|them|him|politely|meeting|invitation|invite"
    r"|offer|request|proposal|call|lunch|dinner|coffee|appointment|date|event|today|tomorrow))*"
)
_DECLINE = (
    rf"{_WHO}(?:(?:i|we|i am|i'm|we are|politely|kindly) )?(?:decline|reject|refuse|say no"
    r"|not available|unavailable|turn \w+ down|(?:can't|cannot|won't) (?:come|make it|attend|do it)"
    rf"|cancel the (?:meeting|call|appointment)){_OBJECT}"
)
_FOR = r" (?:with|for|due to|because of|on|citing)"
_DECLINE_FOR = re.compile(rf"(?i)(?P<decline>{_DECLINE}){_FOR} (?P<reason>.+)")
_STATE = (
    rf"{_WHO}(?:i am|i'm|i will be|i'll be|i feel|too|for|due to)"
    r"(?: (?:a|at|away|currently|on|quite|really|so|still|the|too|very))*"
)
_REASONS = {
    r"health|ill|illness|sick|sickness|unwell|not (?:feeling )?well|doctor|medical|flu": (
        "I'm not feeling well and have to decline"
    ),
    r"travel|travell?ing|trip|away|abroad|vacation|holidays?|out of (?:the )?(?:town|office)": (
        "I will be travelling and have to decline"
    ),
    r"busy|(?:no )?time|schedul\w+|conflict|workload|deadline|(?:fully )?booked|other plans": (
        "my schedule is full and I have to decline"
    ),
}
_REASON_TAIL = r"(?: (?:reasons?|issues?|problems?|conflicts?))?(?: (?:today|tomorrow|that day))?"
_TIME = (
    r"(?:(?:next|this|the|a|an|in|early|late|some|any|call|meeting|sometime|half|on|at)\W+)*"
    r"(?:\d{1,2}(?![\d%]| ?%)(?:st|nd|rd|th|am|pm|h)?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|tonight|morning|noon|afternoon|evening"
    r"|week|month|january|february|march|april|may|june|july|august|september|october|november"
    r"|december|later)\b"
)
_ANOTHER_TIME = (
    r"(?:(?:propose|suggest|ask for|find|ask (?:them )?to) )?(?:(?:reschedule|postpone)(?: it)?"
    r"|(?:another|a different|a new|some other) (?:time|day|date))"
)
_PROPOSE = (
    r"(?:propose|suggest|ask for|(?:move|reschedule) (?:it )?(?:to|for))"
    r"(?: (?:that )?(?:we|to) (?:meet|talk|speak))?(?: on| at| for)?"
)

Rule = tuple[str, Callable[[re.Match[str], Letter], Change], str]
_TABLE: list[Rule] = [
    (r"short(?:er)?|brief(?:er)?|concise|shorten(?: it)?|trim(?: it)?|cut it(?: down)?",
        lambda *_: _shorter, "I can't make it shorter"),
    (r"warm(?:er)?|friendl(?:y|ier)|nicer?|kind(?:er)?",
        lambda *_: _warmer, "I can't make it warmer"),
    (r"formal(?:ly)?|professional(?:ly)?|business-?like",
        lambda *_: _formal, "I can't make it more formal"),
    (r"casual(?:ly)?|informal(?:ly)?|relaxed|less formal|laid[- ]back",
        lambda *_: _casual, "I can't make it more casual"),
    (r"(?:thank (?:them|him|her|you)|say thank(?:s| you)|add (?:a )?thanks)(?P<what> for .+)?",
        _thanking, "it thanks them already"),
    (rf"{_WHO}(?:(?:i|we) )?(?:accept|agree|confirm|say yes){_OBJECT}",
        lambda _, frame: _anew(frame, "Thank you. That works for me."), _SAID),
    (_DECLINE, _declining("I have to decline"), _SAID),
    (rf"{_DECLINE} (?:because|since|as) (?!of\b)(?P<clause>.+)", _because, _SAID),
    *((rf"{_DECLINE}{_FOR} (?:\w+ ){{0,3}}(?:{words}){_REASON_TAIL}", _declining(why), _SAID)
        for words, why in _REASONS.items()),
    *((rf"{_STATE} (?:{words}){_REASON_TAIL}", _giving_reason(why), "")
        for words, why in _REASONS.items()),
    (_ANOTHER_TIME, lambda _, frame: _asking(frame, "Could we find another time?"), _SAID),
    (rf"{_PROPOSE} (?P<time>{_TIME}.*)", _proposing, _SAID),
]  # fmt: skip
_RULES = [(re.compile(f"(?i){said}"), change, missed) for said, change, missed in _TABLE]
