"""The code that tells drafts apart in text messages, for example K7M4.

A consonant and a digit, twice: no vowels, so that no word arises, and no 0 or 1.
"""

import re

# B/8, G/6, Q/9, S/5 and Z/2 look alike: they are understood, but never given out.
LETTERS = "CDFHJKLMNPRTVWX"
DIGITS = "23456789"
SPACE = (len(LETTERS) * len(DIGITS)) ** 2

# Coprime to SPACE, so that every code comes up before one repeats; near SPACE / golden ratio,
# and in this mixed radix a step that changes all four characters.
_STEP = 8_899

# ASCII: under IGNORECASE alone the Kelvin sign would pass as a K, the long s as an S.
SHAPE = r"(?ai:[B-DF-HJ-NP-TV-XZ][2-9][B-DF-HJ-NP-TV-XZ][2-9])"
CODE = re.compile(SHAPE)
_TOKEN = re.compile(rf"#?({SHAPE})[.,:;!?)\]}}\"'…-]*")


def code_for(number: int) -> str:
    """The code of draft number `number`; it repeats after SPACE (14,400) drafts."""
    rest, last = divmod(number * _STEP % SPACE, len(DIGITS))
    rest, third = divmod(rest, len(LETTERS))
    first, second = divmod(rest, len(DIGITS))
    return LETTERS[first] + DIGITS[second] + LETTERS[third] + DIGITS[last]


def find_code(token: str) -> str | None:
    """The code a token stands for, in capitals, or None: `#k7m4,` is K7M4."""
    found = _TOKEN.fullmatch(token)
    return found[1].upper() if found else None
