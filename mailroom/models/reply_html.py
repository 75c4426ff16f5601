"""The approved text once more, for mail programs that show HTML: its paragraphs and lines, escaped.

Nothing else: no styles, no images, no links; what looks like an address stays text.
"""

import re
from html import escape

_BETWEEN = re.compile(r"\n(?:[^\S\n]*\n)+")
_INDENT = re.compile(r"(?m)^ +| {2,}")


def reply_html(text: str) -> str:
    paragraphs = "\n".join(map(_paragraph, _BETWEEN.split(text.strip("\n"))))
    return f"<!DOCTYPE html>\n<html><body>\n{paragraphs}\n</body></html>\n"


def _paragraph(text: str) -> str:
    # What the text lines up stays lined up. `dir`: each in the direction of its own script.
    kept = _INDENT.sub(lambda found: "&#160;" * len(found[0]), escape(text, quote=False))
    lines = "<br>\n".join(kept.split("\n"))
    return f'<p dir="auto">{lines}</p>'
