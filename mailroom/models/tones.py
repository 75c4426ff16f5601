"""A letter in another tone: shorter, warmer, more formal, more casual."""

import re

from mailroom.models.letters import ENGLISH_CLOSING, Letter

_SENTENCE_END = re.compile(r"(?<=[.!?])(?<![DM]r\.|Ms\.|\.m\.)\s+(?=[^a-z])")
_POLITE = re.compile(
    r"(?i)(?:(?:many )?thank|i hope|hope |(?:i(?: am|'m) )?look|see you|(?:please )?let me know"
    r"|it (?:was|is) (?:good|great|nice)|have a )(?!.*\bbut\b)"
)


def shorter(letter: Letter) -> Letter:
    """Without its polite sentences, else without its last ones; never without all."""
    split = [_SENTENCE_END.split(text) for text in letter.paragraphs]
    sentences = [sentence for paragraph in split for sentence in paragraph]
    kept = [sentence for sentence in sentences if not _POLITE.match(sentence)]
    if len(kept) in {0, len(sentences)}:
        kept = sentences[: (len(sentences) + 1) // 2]
    paragraphs = (" ".join(s for s in paragraph if s in kept) for paragraph in split)
    return letter.saying(*filter(None, paragraphs))


_HOPE = "I hope you are doing well."
_GOOD = "It was good to hear from you."


def warmer(letter: Letter) -> Letter:
    if _HOPE not in str(letter):
        return _framed(letter, letter.greeting, "Warm regards").opened(_HOPE)
    return letter.ended(_GOOD) if _GOOD not in str(letter) else letter


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


def formal(letter: Letter) -> Letter:
    greeting = re.sub(r"(?i)\A(?:hi|hey|hello) there\b", "Hello", letter.greeting)
    greeting = re.sub(r"(?i)\A(?:hi|hey|hello)(?= \w)", "Dear", greeting).replace("!", ",")
    calm = letter.saying(*(re.sub("!+", ".", text) for text in letter.paragraphs))
    return _framed(_reworded(calm, _FORMAL_WORDS), greeting, "Kind regards")


def casual(letter: Letter) -> Letter:
    greeting = re.sub(r"(?i)\A(?:hi|hello)\b", "Hey", letter.greeting)
    greeting = re.sub(r"(?i)\Adear\b", "Hi", greeting)
    return _framed(_reworded(letter, _CASUAL_WORDS), greeting, "Cheers")


def _framed(letter: Letter, greeting: str, closing: str) -> Letter:
    """Only an English closing is replaced."""
    sign_off = ENGLISH_CLOSING.sub(closing, letter.sign_off)
    return letter.model_copy(update={"greeting": greeting, "sign_off": sign_off})


def _reworded(letter: Letter, words: dict[str, str]) -> Letter:
    def other(found: re.Match[str]) -> str:
        word = words[found[0].lower().replace("’", "'")]
        return word[0].upper() + word[1:] if found[0][0].isupper() else word

    known = "|".join(sorted(words, key=len, reverse=True)).replace("'", "['’]")
    pattern = re.compile(rf"(?i)(?<!\w)(?:{known})(?!\w)")
    return letter.saying(*(pattern.sub(other, text) for text in letter.paragraphs))
