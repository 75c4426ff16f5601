"""The table of what servers answer when they refuse, first rule first.

Written from what is public: RFC 3463 and IANA's registry of enhanced status codes (RFC 5248,
RFC 7372, RFC 7505), and what Gmail, Outlook, Yahoo, Apple and others say in their postmasters'
pages about their replies. Words come before codes where servers give one code to many things:
5.7.1 is a block list at one, a closed group at the next, an unknown user at a third.
"""

from typing import Any, Final

CATEGORIES: Final = {
    "complaint": "Its recipient called it spam.",
    "blocklist": "The sending server is on a block list.",
    "reputation": "The sender's reputation is not good enough.",
    "spam": "Its content was taken for spam.",
    "virus": "Its content was taken for harmful.",
    "authentication": "SPF, DKIM, DMARC or reverse DNS of the sender is missing or wrong.",
    "policy": "A rule of the recipient's server does not allow it.",
    "rate-limited": "The recipient's server wants fewer messages for now.",
    "greylisted": "The recipient's server asks strangers to come again.",
    "full-mailbox": "The mailbox is full.",
    "too-large": "The message is larger than the recipient's server takes.",
    "bad-mailbox": "There is no such mailbox.",
    "inactive-mailbox": "The mailbox is closed.",
    "bad-domain": "The recipient's domain does not exist or takes no mail.",
    "relaying": "The server does not take mail for the recipient's domain.",
    "bad-sender": "The sender's address is not accepted.",
    "mail-loop": "The message went in circles.",
    "content": "The server can't take a message of this form.",
    "protocol": "The server did not understand what it was told.",
    "connection": "The recipient's server can't be reached.",
    "dns": "The recipient's domain can't be looked up for now.",
    "tls": "No encrypted connection could be made.",
    "login": "The server wants a login, or refused it.",
    "expired": "It could not be delivered in time.",
    "server": "The recipient's server has trouble of its own.",
    "temporary": "The server can't take it for now.",
    "other": "The server refused it, for a reason that no rule knows.",
}
"""What is said of each."""


def _rule(type: str, category: str, *text: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "category": category, "text": text, **more}


_ABOUT_THE_SENDER = (
    _rule(
        "block",
        "blocklist",
        *("blocklist", "block list", "blacklist", "black list", "blocked using", "listed by"),
        *("spamhaus", "spamcop", "barracudacentral", "sorbs.net", "uceprotect", "abuseat.org"),
        *("mailspike", "invaluement", "spamrats", "senderscore", "ipcheck.proofpoint"),
        *("rbl restriction", "dnsbl", "in an rbl", "ip is in the pbl", "(s3140)", "(s3150)"),
        *("banned sending ip", "client host * blocked", "ip * is blocked", "your ip * blocked"),
    ),
    _rule(
        "block",
        "authentication",
        *("spf fail", "spf check", "failed spf", "spf validation", "dkim fail", "dmarc"),
        *("unauthenticated email", "unauthenticated mail", "sender is unauthenticated"),
        *("unauthenticated messages", "authentication requirements", "authentication checks"),
        *("not authorized to send", "not permitted to send", "not allowed to send mail from"),
        *("ptr record", "reverse dns", "reverse hostname", "no rdns", "forward dns", "fcrdns"),
        *("cannot find your hostname", "can't find your hostname", "cannot find your reverse"),
    ),
    _rule(
        "block",
        "authentication",
        enhanced=(*(f"*.7.{n}" for n in (20, 21, 22, 23, 24, 25, 26, 30, 509, 515)),),
    ),
    _rule("block", "blocklist", enhanced=("*.7.606", "*.7.511")),
    _rule(
        "block",
        "reputation",
        *("low reputation", "poor reputation", "bad reputation", "ip reputation", "hl:rep"),
        *("domain reputation", "reputation of the", "sender reputation", "sending reputation"),
        *("user complaints", "[tss0", "[ts0", "too many spams", "dynamic ip", "dynamic address"),
        *("a problem occurred. (ask your postmaster", "reputation problem", "suspicious due to"),
    ),
    _rule(
        "soft",
        "rate-limited",
        *("rate limit", "ratelimit", "rate-limit", "throttl", "unusual rate", "too quickly"),
        *("at a rate that", "too many connections", "too many messages", "too many concurrent"),
        *("too many sessions", "too many recipients", "too much mail", "too many emails"),
        *("limits for how many", "frequency limit", "sending limit", "sending quota", "too fast"),
        *("connection limit", "message limit", "hourly limit", "daily limit", "too many errors"),
        *("exceeded the maximum number", "exceeded * per hour", "exceeded * per minute"),
    ),
    _rule("soft", "rate-limited", enhanced=("*.7.28", "*.5.3", "4.4.5", "5.4.5")),
    _rule("soft", "greylisted", "greylist", "graylist", "grey list", "gray list", "greylisting"),
)

_ABOUT_THE_MESSAGE = (
    _rule(
        "block",
        "virus",
        *("virus", "malware", "potential security issue", "trojan", "infected", "phishing"),
        *("executable attachment", "malicious", "blocked attachment", "attachment type"),
    ),
    _rule(
        "block",
        "spam",
        *("identified as spam", "classified as spam", "considered spam", "detected as spam"),
        *("spam message", "spam content", "spam detected", "looks like spam", "is spam"),
        *("suspicion of spam", "as spam", "likely unsolicited", "unsolicited mail", "unsolicited"),
        *("high probability of spam", "junk mail", "dt:spm", "mail content denied", "spam score"),
        *("message content rejected", "content rejected", "spam-like", "spamassassin", "ofr_506"),
        *("anti-spam", "antispam", "bulk email", "spamming", "probable spam", "blocked as spam"),
    ),
    _rule(
        "block",
        "policy",
        *("policy restriction", "policy reason", "policy violation", "local policy"),
        *("administrative prohibition", "administratively prohibited", "policy rejection"),
        *("anti-spoofing", "rejected by policy", "blocked by policy", "security polic"),
        *("due to policy", "violates * policy", "rejected by content filter", ":blocked)"),
    ),
    _rule(
        "soft",
        "too-large",
        *("message too large", "message too big", "message is too large", "message is too big"),
        *("size exceeds", "size limit", "exceeds size", "maximum message size", "max message size"),
        *("message file too big", "message length exceeds", "exceeds the maximum size"),
        *("exceeded * message size", "exceeds * message size", "message size"),
    ),
    _rule(
        "block",
        "content",
        *("rfc 5322", "rfc 2822", "rfc 822", "rfc5322", "rfc2822", "bare lf", "bare linefeed"),
        *("smtputf8", "malformed", "missing a valid", "invalid header", "missing header"),
        *("line too long", "lines too long", "multiple from", "invalid message-id", "bad header"),
    ),
    _rule(
        "soft",
        "mail-loop",
        *("too many hops", "mail loop", "loops back to", "hop count", "routing loop"),
        *("too many received", "loop detected", "looping", "hopcount"),
    ),
)

_ABOUT_THE_ADDRESS = (
    _rule(
        "soft",
        "full-mailbox",
        *("mailbox full", "mailbox is full", "mailbox * full", "over quota", "overquota"),
        *("quota exceeded", "exceeded * quota", "exceeds * quota", "over * quota", "quota full"),
        *("out of storage", "storage space", "exceeded storage", "exceeded its storage"),
        *("quotaexceeded", "mailbox size", "mailbox limit", "inbox is full", "mailfolder is full"),
        *("not enough space", "mailbox has exceeded", "disk quota", "mailbox quota"),
    ),
    _rule(
        "unknown",
        "bad-sender",
        *("sender address rejected", "domain of sender", "sender domain", "sender verify"),
        *("sender denied", "invalid sender", "sender rejected", "sender not", "sender is not"),
        *("return-path", "return path", "envelope sender", "invalid dns mx", "bad sender"),
        *("cannot resolve your domain", "sender callout", "sender invalid", "from address"),
    ),
    _rule(
        "hard",
        "relaying",
        *("relay access denied", "relaying denied", "relay not permitted", "unable to relay"),
        *("permitted to relay", "not a relay", "relay denied", "relaying not allowed"),
        *("do not relay", "rcpthosts", "no relaying", "relaying disallowed", "relay prohibited"),
        *("not relay", "relaying is", "relaying prohibited", "cannot relay", "can't relay"),
    ),
    _rule(
        "soft",
        "dns",
        *("host not found, try again", "temporary dns", "temporary lookup", "dns timeout"),
        *("name service error", "servfail", "dns query failed", "dns lookup failed"),
        code=("4*", ""),
    ),
    _rule("hard", "bad-domain", enhanced=("*.4.310",), suppresses=True),
    _rule("soft", "dns", enhanced=("4.4.3", "4.4.312", "5.4.312")),
    _rule(
        "hard",
        "bad-domain",
        *("no such domain", "domain not found", "domain does not exist", "null mx", "nullmx"),
        *("host unknown", "unknown host", "domain name not found", "nxdomain", "unknown domain"),
        *("bad destination system", "unrouteable mail domain", "non-existent host", "bad domain"),
        *("find any host named", "does not accept mail", "accepts no mail", "takes no mail"),
        *("domain doesn't exist", "domain isn't", "domain is not hosted", "invalid domain"),
        *("host not found", "no such host", "domain unknown"),
        suppresses=True,
    ),
    _rule(
        "hard",
        "inactive-mailbox",
        *("is disabled", "account disabled", "mailbox disabled", "user disabled", "has been disab"),
        *("account * inactive", "mailbox * inactive", "account is closed", "account closed"),
        *("deactivated", "no longer in use", "no longer active", "no longer available"),
        *("no longer works", "no longer with", "no longer valid", "no longer accept"),
        *("account suspended", "user suspended", "has been suspended", "account is not active"),
        *("discontinued", "is inactive", "inactive user", "mailbox closed", "no longer exist"),
        suppresses=True,
    ),
    _rule(
        "hard",
        "bad-mailbox",
        *("user unknown", "unknown user", "no such user", "no such recipient", "no such mailbox"),
        *("no mailbox here", "user not found", "recipient not found", "address not found"),
        *("mailbox not found", "mailbox unavailable", "mailbox is unavailable", "not a known user"),
        *("does not exist", "doesn't exist", "doesn't have a", "does not have a", "unknown alias"),
        *("invalid recipient", "recipient invalid", "unknown recipient", "unrouteable address"),
        *("unknown address", "not our customer", "not a valid mailbox", "invalid mailbox"),
        *("unknown local", "illegal alias", "recipnotfound", "recipientnotfound", "unknown rcpt"),
        *("no such address", "not listed in", "invalid address", "bad destination mailbox"),
        *("address unknown", "recipient unknown", "unknown mailbox", "no such person"),
        *("rejected: access denied", "no such local user", "no such account", "invalid user"),
        *("destinataire inconnu", "destinataire invalide", "unbekannt", "usuario desconocido"),
        *("not exist", "user doesn't", "user invalid", "no user", "account not found"),
        *("unroutable address", "no mailbox", "email address could not be found"),
        suppresses=True,
    ),
)

_BY_ENHANCED_CODE = (
    *(
        _rule(type, category, enhanced=enhanced, suppresses=type == "hard")
        for type, category, enhanced in (
            ("hard", "bad-mailbox", ("*.1.1", "*.1.3")),
            ("hard", "bad-domain", ("*.1.2", "*.1.10", "*.7.18")),
            ("hard", "inactive-mailbox", ("*.1.6", "*.2.1", "*.7.17")),
        )
    ),
    _rule("hard", "bad-mailbox", enhanced=("*.1.0", "*.1.4", "*.1.5")),
    _rule("hard", "bad-domain", enhanced=("*.4.4",)),
    _rule("unknown", "bad-sender", enhanced=("*.1.7", "*.1.8", "*.7.27")),
    _rule("soft", "full-mailbox", enhanced=("*.2.2",)),
    _rule("soft", "too-large", enhanced=("*.2.3", "*.3.4")),
    _rule("soft", "mail-loop", enhanced=("*.4.6",)),
    _rule("soft", "expired", enhanced=("*.4.7",)),
    _rule("soft", "tls", enhanced=("*.7.10", "*.7.4", "*.7.5")),
    _rule("unknown", "login", enhanced=("*.7.8", "*.7.9", "*.7.57")),
)

_BY_WORDS = (
    _rule("block", "spam", "spam"),
    _rule("soft", "tls", "starttls", "tls required", "tls is required", "certificate", "tls hand"),
    _rule("unknown", "login", code=("530", "534", "535")),
    _rule(
        "soft",
        "expired",
        *("time expired", "message expired", "retry timeout exceeded", "retry time not reached"),
        *("too long in the queue", "been failing for a long time", "delivery expired"),
    ),
    _rule(
        "soft",
        "connection",
        *("connection refused", "connection timed out", "timed out", "timeout", "hung up"),
        *("connection reset", "lost connection", "network is unreachable", "no route to host"),
        *("can't be reached", "could not be reached", "connection dropped", "connect to"),
        *("unreachable", "connection died", "connection closed", "not responding"),
    ),
    _rule(
        "block",
        "policy",
        *("policy", "blocked", "prohibited", "not allowed", "not permitted", "access denied"),
        *("not authorized", "authrequired", "not accepted", "denied", "banned", "restricted"),
        code=("5*", ""),
    ),
    _rule(
        "soft",
        "server",
        *("insufficient system storage", "insufficient storage", "out of memory", "local error"),
        *("service unavailable", "service not available", "not accepting", "server busy"),
        *("system * busy", "temporary * problem", "temporary server", "internal error"),
        *("storedrv", "temporary failure", "server error", "resources temporarily"),
        *("configuration error", "temporarily unavailable", "mailbox busy", "try again later"),
    ),
    _rule("block", "policy", enhanced=("5.7.*",)),
    _rule("soft", "policy", enhanced=("4.7.*",)),
    _rule("block", "content", enhanced=("*.6.*",)),
    _rule("soft", "connection", enhanced=("*.4.*",)),
    _rule("soft", "server", enhanced=("*.3.*",)),
    _rule("soft", "temporary", enhanced=("4.*",)),
    _rule("unknown", "protocol", enhanced=("*.5.*",)),
    _rule("soft", "full-mailbox", code=("552",), enhanced=("5.2.0",)),
)

_BY_REPLY_CODE = (
    # RFC 5321 §4.2.3: 552 is "exceeded storage allocation", of a mailbox or by a message.
    _rule("soft", "full-mailbox", code=("552",)),
    _rule("soft", "server", code=("421", "450", "451", "452", "454")),
    _rule("soft", "temporary", code=("4*",)),
    _rule("unknown", "protocol", code=("500", "501", "502", "503", "504", "555")),
    _rule("hard", "bad-domain", code=("556",), suppresses=True),
    _rule("hard", "bad-mailbox", code=("551", "553")),
)

TABLE: Final = (
    *_ABOUT_THE_SENDER,
    *_ABOUT_THE_MESSAGE,
    *_ABOUT_THE_ADDRESS,
    *_BY_ENHANCED_CODE,
    *_BY_WORDS,
    *_BY_REPLY_CODE,
)
