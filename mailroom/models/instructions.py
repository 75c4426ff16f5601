"""The instructions: what is said, what is done, and what to answer if that changes nothing."""

import re
from collections.abc import Callable

from mailroom.models.answers import (
    anew,
    asking,
    because,
    declining,
    giving_reason,
    proposing,
    thanking,
)
from mailroom.models.letters import Change, Letter
from mailroom.models.tones import casual, formal, shorter, warmer

SAID = "it says that already"
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
DECLINE_FOR = re.compile(rf"(?i)(?P<decline>{_DECLINE}){_FOR} (?P<reason>.+)")
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
        lambda *_: shorter, "I can't make it shorter"),
    (r"warm(?:er)?|friendl(?:y|ier)|nicer?|kind(?:er)?",
        lambda *_: warmer, "I can't make it warmer"),
    (r"formal(?:ly)?|professional(?:ly)?|business-?like",
        lambda *_: formal, "I can't make it more formal"),
    (r"casual(?:ly)?|informal(?:ly)?|relaxed|less formal|laid[- ]back",
        lambda *_: casual, "I can't make it more casual"),
    (r"(?:thank (?:them|him|her|you)|say thank(?:s| you)|add (?:a )?thanks)(?P<what> for .+)?",
        thanking, "it thanks them already"),
    (rf"{_WHO}(?:(?:i|we) )?(?:accept|agree|confirm|say yes){_OBJECT}",
        lambda _, frame: anew(frame, "Thank you. That works for me."), SAID),
    (_DECLINE, declining("I have to decline"), SAID),
    (rf"{_DECLINE} (?:because|since|as) (?!of\b)(?P<clause>.+)", because, SAID),
    *((rf"{_DECLINE}{_FOR} (?:\w+ ){{0,3}}(?:{words}){_REASON_TAIL}", declining(why), SAID)
        for words, why in _REASONS.items()),
    *((rf"{_STATE} (?:{words}){_REASON_TAIL}", giving_reason(why), "")
        for words, why in _REASONS.items()),
    (_ANOTHER_TIME, lambda _, frame: asking(frame, "Could we find another time?"), SAID),
    (rf"{_PROPOSE} (?P<time>{_TIME}.*)", proposing, SAID),
]  # fmt: skip
RULES = [(re.compile(f"(?i){said}"), change, missed) for said, change, missed in _TABLE]
