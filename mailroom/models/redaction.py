"""What may not stand in a log: addresses, phone numbers, secrets, and what people wrote."""

import re

LONGEST = 500
LONGEST_TRACE = 8_000

_HIDDEN = [
    # Name and password in an address of the web (RFC 3986 §3.2.1), tokens in its query.
    (re.compile(r"(?<=://)[^/\s@]+@"), "(secret)@"),
    (re.compile(r"(?i)\b(bearer|basic) +[^\s'\",}]+"), r"\1 (secret)"),
    (re.compile(r"\b(?:whsec_|sk-|xox[abp]-)[\w+/=-]{6,}"), "(secret)"),
    (
        re.compile(r"(?i)((?:token|password|passwd|secret|api_?key)['\"]?\s*[=:]\s*)[^\s,;&'\")]+"),
        r"\1(secret)",
    ),
    # Pydantic quotes its input, PostgreSQL the row: that is mail.
    (re.compile(r"input_value=.*?(?=, input_type=|$)", re.MULTILINE | re.DOTALL), "input_value=…"),
    (re.compile(r"(?:DETAIL|CONTEXT): .*"), "(detail)"),
    # Also as they stand in paths, URL-encoded.
    (re.compile(r"[^\s<>\"'(),:;=\[\]{}/|]{1,128}(?:@|%40)[\w.-]{1,255}"), "(address)"),
    (re.compile(r"(?:\+|%2B)\d[\d .()-]{5,18}\d"), "(number)"),
    (re.compile(r"(?<!\d)\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\d)"), "(number)"),
]


def redacted(text: str, longest: int = LONGEST) -> str:
    """`text` as a log may have it; of a long one the end, which says what went wrong."""
    text = text if len(text) <= longest else f"…{text[-longest:]}"
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text


def redacted_value(value: object) -> object:
    """The same in every text of a JSON value; of what is no JSON, in what it looks like."""
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {redacted(str(key)): redacted_value(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted_value(one) for one in value]
        case _:
            return redacted(str(value))
