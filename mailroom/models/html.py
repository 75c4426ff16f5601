"""The words of an HTML mail, as its reader sees them."""

import re

from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml.etree import LxmlError  # type: ignore[import-untyped]

from mailroom.models.decoding import BROKEN
from mailroom.models.text import printable

HTML_LENGTH = 500_000
# inscriptis takes 6 µs a tag.
HTML_TAGS = 10_000

_HIDING = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|(?:font-size|opacity):0(?![.\d]*[1-9])"
)


def html_to_text(html: str) -> str:
    """The words a reader of `html` sees; "" where there are none."""
    html = _within_bounds(printable(html))
    try:
        text = str(get_text(html, _layout()))
    except (*BROKEN, LxmlError, SyntaxError):
        text = re.sub("<[^<>]*>", " ", html)
    return printable(text)


def _within_bounds(html: str) -> str:
    pieces = html[:HTML_LENGTH].split("<", HTML_TAGS)
    return "<".join(pieces[:HTML_TAGS])


def _layout() -> ParserConfig:
    """Tables and paddings are not drawn: columns of a hostile width would fill the memory.

    One for each conversion, because inscriptis writes into the body element it is given.
    """
    block, cell = HtmlElement(display=Display.block), HtmlElement(suffix=" ")
    css = STRICT_CSS_PROFILE | dict.fromkeys(("ul", "ol", "table", "tr"), block)
    css |= {"body": HtmlElement(), "td": cell, "th": cell}
    undrawn = dict.fromkeys(("table", "tr", "td", "th"))
    tags = CustomHtmlTagHandlerMapping(undrawn, undrawn)
    layout = ParserConfig(css=css, custom_html_tag_handler_mapping=tags)
    layout.attribute_handler.attribute_mapping = {"style": _hide_styled, "hidden": _hide}
    return layout


def _hide_styled(style: str, element: HtmlElement) -> None:
    if _HIDING.search("".join(style.lower().split())):
        _hide(style, element)


def _hide(_: str, element: HtmlElement) -> None:
    element.display = Display.none
