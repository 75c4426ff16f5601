"""Changes to a draft that need no AI: a few instructions, each understood whole or not at all."""

import re
from typing import NamedTuple

from mailroom.models.answers import anew
from mailroom.models.base import Frozen
from mailroom.models.instructions import DECLINE_FOR, RULES, SAID
from mailroom.models.letters import Change, Letter, paragraphs, read_letter
from mailroom.models.sms_segments import short

QUOTED = 60


class Edited(Frozen):
    """`note` says what of the instructions was not followed; None when all of it was."""

    text: str
    note: str | None = None


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
    before = letter = read_letter(draft)
    missed = []
    for step in _steps(instructions.replace("’", "'"), frame):
        changed = step.change(letter)
        missed += [step.missed] if changed == letter else []
        letter = changed
    if letter == before:
        return Edited(text=draft, note="; ".join([*missed, "the draft is unchanged"]))
    note = "; ".join([*missed, "the rest is done"]) if missed else None
    return Edited(text=str(letter), note=note)


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
        say = anew(frame, *paragraphs(said["text"].strip(' \n"“”')))
        return [*_steps(said["before"], frame), Step(say, SAID)]
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
    return any(rule.fullmatch(_core(piece)) for rule, *_ in RULES)


def _core(piece: str) -> str:
    return _FILLER.sub("", " ".join(piece.split())).strip(" .!:")


def _understood(piece: str, frame: Letter) -> list[Step]:
    core = _core(piece)
    for rule, change, missed in RULES:
        if found := rule.fullmatch(core):
            return [Step(change(found, frame), missed or _not_followed(piece).missed)]
    if found := DECLINE_FOR.fullmatch(core):
        return [*_understood(found["decline"], frame), _not_followed(found["reason"])]
    return [_not_followed(piece)]


def _not_followed(piece: str) -> Step:
    quoted = short(" ".join(piece.split()), QUOTED)
    return Step(lambda letter: letter, f"I can't follow “{quoted}” without an AI")
