"""What refusals mean. Replies are as servers give them, hosts and addresses are made up."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from timing import checked_within

from mailroom.models.outbound.bounce_table import CATEGORIES
from mailroom.models.outbound.bounces import RULES, BounceRule, classify
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.replies import is_transient, reply_in
from mailroom.models.outbound.words import BounceType

NOW = datetime(2026, 6, 1, tzinfo=UTC)

REPLIES = """
hard bad-mailbox | 550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or unnecessary spaces. 550 5.1.1 Learn more at https://support.google.com/mail/?p=NoSuchUser - gsmtp
hard inactive-mailbox | 550 5.2.1 The email account that you tried to reach is disabled. https://support.google.com/mail/?p=DisabledUser - gsmtp
hard inactive-mailbox | 550-5.2.1 The email account that you tried to reach is inactive. 550 5.2.1 - gsmtp
soft full-mailbox | 552-5.2.2 The email account that you tried to reach is over quota. 552 5.2.2 https://support.google.com/mail/?p=OverQuotaPerm - gsmtp
soft full-mailbox | 452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2 - gsmtp
soft rate-limited | 450-4.2.1 The user you are trying to contact is receiving mail too quickly. 450 4.2.1 Please resend your message at a later time. - gsmtp
soft rate-limited | 550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. - gsmtp
soft rate-limited | 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating 421-4.7.28 from your IP address. To protect our users from spam, mail sent from 421 4.7.28 your IP address has been temporarily rate limited.
block reputation | 421-4.7.0 This message is suspicious due to the very low reputation of the sending 421-4.7.0 IP address. To best protect our users from spam, the message has been 421 4.7.0 blocked. - gsmtp
block reputation | 550-5.7.1 Gmail has detected that this message is likely suspicious due to the very low reputation of the sending domain. - gsmtp
block spam | 550-5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. - gsmtp
block authentication | 550-5.7.26 This mail has been blocked because the sender is unauthenticated. 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp
block authentication | 550-5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy. - gsmtp
block authentication | 550-5.7.25 The IP address sending this message does not have a PTR record setup, or the corresponding forward DNS entry does not point to the sending IP. - gsmtp
block virus | 552-5.7.0 This message was blocked because its content presents a potential security issue. - gsmtp
block content | 550-5.7.1 This message is not RFC 5322 compliant. - gsmtp
soft too-large | 552-5.3.4 Your message exceeded Google's message size limits. - gsmtp
soft rate-limited | 550-5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852 - gsmtp
soft rate-limited | 421-4.7.0 Too many messages from your IP. - gsmtp
unknown login | 530-5.7.0 Authentication Required. For more information, go to https://support.google.com/mail/?p=WantAuthError - gsmtp
hard bad-mailbox | 550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [AM4EUR01.prod.protection.outlook.com]
hard bad-mailbox | 550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB8EUR05FT003.eop-eur05.prod.protection.outlook.com]
hard bad-mailbox | 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup
hard bad-mailbox | 550 5.1.1 RESOLVER.ADR.RecipNotFound; not found
soft full-mailbox | 554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded
block policy | 550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group
block blocklist | 550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). [BN7NAM10FT]
block blocklist | 550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list please visit https://sender.office.com/
block blocklist | 550 5.7.511 Access denied, banned sender[192.0.2.7]
block reputation | 451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)
block authentication | 550 5.7.515 Access denied, sending domain example.com doesn't meet the required authentication level.
block authentication | 550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.
soft rate-limited | 421 RP-001 (BAY004-MC1F43) Unfortunately, some messages from 192.0.2.7 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day.
hard bad-domain | 550 5.4.310 DNS domain example.invalid does not exist [Message=InfoDomainNonexistent]
soft dns | 450 4.4.312 DNS query failed
soft connection | 450 4.4.316 Connection refused [Message=Socket error code 10061]
soft server | 432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded
hard bad-mailbox | 554 delivery error: dd This user doesn't have a yahoo.com account (kate@yahoo.com) [0] - mta1.mail.bf1.yahoo.com
hard inactive-mailbox | 554 30 Sorry, your message to kate@yahoo.com cannot be delivered. This mailbox is disabled (554.30). - mta1.mail.bf1.yahoo.com
hard bad-mailbox | 552 1 Requested mail action aborted, mailbox not found
block reputation | 421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes
block policy | 554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes
block blocklist | 553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in Spamhaus's list
hard bad-mailbox | 550 5.1.1 <kate@icloud.com>: user does not exist
soft full-mailbox | 552 5.2.2 <kate@icloud.com>: user is over quota
block policy | 550 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137
hard bad-mailbox | 550 5.1.1 <kate@example.com>: Recipient address rejected: User unknown in virtual mailbox table
hard bad-mailbox | 550 5.1.1 <kate@example.com>: Recipient address rejected: User unknown in local recipient table
hard relaying | 554 5.7.1 <kate@example.com>: Relay access denied
block blocklist | 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7
unknown bad-sender | 450 4.1.8 <bot@example.invalid>: Sender address rejected: Domain not found
soft greylisted | 450 4.2.0 <kate@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.com.html
soft too-large | 552 5.3.4 Message size exceeds fixed limit
soft server | 452 4.3.1 Insufficient system storage
soft bad-mailbox | 450 4.1.1 <kate@example.com>: Recipient address rejected: unverified address: user unknown
block authentication | 550 5.7.23 <kate@example.com>: Recipient address rejected: Message rejected due to: SPF fail - not authorized
soft mail-loop | 554 5.4.0 Error: too many hops
soft rate-limited | 452 4.5.3 Error: too many recipients
soft rate-limited | 552 5.5.3 Too many recipients
soft rate-limited | 421 4.7.0 mx.example.com Error: too many connections from 192.0.2.7
soft tls | 530 5.7.0 Must issue a STARTTLS command first
hard bad-mailbox | 550 Unrouteable address
hard bad-domain | 550 Unrouteable mail domain "example.invalid"
hard relaying | 550 relay not permitted
unknown bad-sender | 550 Sender verify failed
block policy | 550 Administrative prohibition
soft server | 451 Temporary local problem - please try later
soft greylisted | 451 Greylisting in action, please try again in 5 minutes
block spam | 550 This message was classified as SPAM and may not be delivered
block authentication | 550 "Your IP has no reverse hostname: PTR record missing"
hard bad-mailbox | 550 Sorry, no mailbox here by that name. (#5.1.1)
hard relaying | 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
hard bad-domain | 556 5.1.10 Recipient address has null MX
hard bad-domain | 550 5.1.2 <kate@example.invalid>... Host unknown (Name server: host not found)
hard bad-mailbox | 550 5.1.1 <kate@example.com>... User unknown
soft full-mailbox | 550 5.2.2 <kate@example.com>... Mailbox is full / Blocks limit exceeded / Inode limit exceeded
hard bad-mailbox | 550 5.1.1 User not listed in Domino Directory
hard bad-mailbox | 550 #5.1.0 Address rejected.
block reputation | 554-mx.example.com 554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.
block policy | 550 Rejected by header based Anti-Spoofing policy: bot@example.com
block blocklist | 554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7
block policy | 550 5.7.0 Local Policy Violation
block policy | 550 permanent failure for one or more recipients (kate@example.com:blocked)
hard bad-mailbox | 550 Message was not accepted -- invalid mailbox. Local mailbox kate@mail.ru is unavailable: user not found
block spam | 550 spam message rejected. Please visit http://help.mail.ru/notspam-support
block spam | 554 5.7.1 [2] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc
block spam | 554 DT:SPM 163 smtp11,wKgA
block reputation | 421 HL:REP 163 mx9
soft rate-limited | 550 Connection frequency limited
block policy | 554 Transaction failed Reject due to policy restrictions.
unknown bad-sender | 550 Requested action not taken: mailbox unavailable invalid DNS MX or A/AAAA resource record
block reputation | 554 IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)
hard bad-mailbox | 550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]
block spam | 550 5.2.0 Mail rejete. Mail rejected. ofr_506 [506]
block reputation | 421 Too many spams from your IP (192.0.2.7), please visit http://postmaster.free.fr/
soft too-large | 523 5.2.3 the message length exceeds the recipient's administrative limit
hard inactive-mailbox | 550 5.1.6 Recipient no longer on server: kate@example.com
block virus | 550 Virus found in message: Eicar-Test-Signature
soft connection | 441 4.4.1 No answer from host
soft expired | 450 4.4.7 Delivery time expired
block policy | 550 5.7.1 Command rejected
unknown protocol | 503 5.5.1 Bad sequence of commands
unknown login | 535 5.7.8 Error: authentication failed
unknown other | 550 Nope
unknown other | 554 5.0.0 Nope
soft server | 451 Nope
"""  # noqa: E501  replies stay as they are
CASES = [line for line in REPLIES.splitlines() if line]


def reply(line: str) -> SmtpResponse:
    found = reply_in(line, NOW)
    assert found is not None, line
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[:60])
def test_replies_of_servers_are_understood(case: str) -> None:
    wanted, _, line = case.partition(" | ")
    found = classify(reply(line), "")
    assert f"{found.type} {found.category}" == wanted
    assert found.why == CATEGORIES[found.category]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80
    assert {case.split()[0] for case in CASES} == {"hard", "soft", "block", "unknown"}


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("The mail server mx.example.com:25: Connection refused.", "soft connection"),
        ("mx.example.com hung up before the end of the mail.", "soft connection"),
        ("The connection timed out.", "soft connection"),
        ("Host or domain name not found. Name service error: try again", "soft dns"),
        ("The domain example.invalid does not exist: no such domain.", "hard bad-domain"),
        ("example.com takes no mail: it has a null MX record.", "hard bad-domain"),
        ("The server's certificate is not valid for mx.example.com.", "soft tls"),
        ("5.1.2 There is no such domain: example.invalid.", "hard bad-domain"),
        ("5.1.10 The domain example.com takes no mail (null MX).", "hard bad-domain"),
        ("5.4.4 The mail servers of example.com have no address.", "hard bad-domain"),
        ("5.1.3 'kate@' is no address that can be sent to.", "hard bad-mailbox"),
        ("5.4.6 The best mail server of example.com is this one.", "soft mail-loop"),
        ("5.6.7 mx.example.com takes no addresses beyond ASCII (SMTPUTF8).", "block content"),
        ("5.3.4 mx.example.com takes 10 MB at most, and the message has 12 MB.", "soft too-large"),
        ("4.4.3 The DNS did not say what MX records example.com has (Timeout).", "soft dns"),
        ("4.4.1 No mail server of example.com could be tried.", "soft connection"),
        ("4.4.2 mx.example.com: Connection lost.", "soft connection"),
        ("Something else.", "unknown other"),
        ("", "unknown other"),
    ],
)
def test_what_went_wrong_without_a_reply(sentence: str, wanted: str) -> None:
    found = classify(None, sentence)
    assert f"{found.type} {found.category}" == wanted


@pytest.mark.parametrize(
    ("line", "suppresses"),
    [
        ("550 5.1.1 User unknown", True),
        ("550 5.2.1 mailbox disabled", True),
        ("550 5.1.2 no such domain", True),
        ("450 4.1.1 User unknown, try again", False),
        ("550 4.1.1 User unknown", False),
        ("550 5.2.2 mailbox full", False),
        ("554 5.7.1 blocked using zen.spamhaus.org", False),
        ("554 5.7.1 Relay access denied", False),
        ("550 Nope", False),
    ],
)
def test_only_addresses_that_are_gone_for_good_are_suppressed(line: str, suppresses: bool) -> None:
    assert classify(reply(line), "").suppresses is suppresses


def test_no_public_rule_suppresses_but_hard_ones() -> None:
    assert {rule.type for rule in RULES if rule.suppresses} == {BounceType.HARD}


def test_an_address_is_no_word_of_the_server() -> None:
    found = classify(reply("550 5.1.1 <antispam@blacklist.example>: user unknown"), "")
    assert found.category == "bad-mailbox"


def test_a_rule_of_the_file_comes_first() -> None:
    own = BounceRule(
        text=("ask * postmaster",), code=("55*",), type=BounceType.BLOCK, category="partner"
    )
    line = reply("550 5.1.1 User unknown; Ask our Postmaster")
    assert classify(line, "", (own,)).category == "partner"
    assert classify(line, "").category == "bad-mailbox"
    # All of its conditions have to hold.
    assert classify(reply("450 ask our postmaster"), "", (own,)).category != "partner"


def test_the_reason_quotes_the_reply_and_why_does_not() -> None:
    found = classify(reply("550 5.1.1 <kate@example.com>: user unknown"), "")
    assert found.reason == ("There is no such mailbox: 550 5.1.1 <kate@example.com>: user unknown")
    assert found.why == "There is no such mailbox."
    bare = SmtpResponse(code=550, enhanced_code="5.1.1", message="user unknown", timestamp=NOW)
    assert classify(bare, "").reason == "There is no such mailbox: 550 5.1.1 user unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "hard", "category": "x"},
        {"type": "hard", "category": "no spaces", "text": ["abc"]},
        {"type": "hard", "category": "x", "text": ["a"]},
        {"type": "hard", "category": "x", "enhanced": ["5.1.1; DROP"]},
        {"type": "wrong", "category": "x", "text": ["abc"]},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BounceRule.model_validate(wrong)


@pytest.mark.parametrize(
    ("code", "enhanced", "transient"),
    [
        (450, None, True),
        (550, None, False),
        (550, "4.7.1", True),
        (450, "5.1.1", False),
        (552, "5.5.3", True),
        (421, "4.7.0", True),
        (451, "2.0.0", True),
    ],
)
def test_the_class_of_the_enhanced_code_decides(
    code: int, enhanced: str | None, transient: bool
) -> None:
    assert is_transient(code, enhanced) is transient


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("smtp; 550 5.1.1 <kate@example.com>: User unknown", 550, "5.1.1"),
        ("smtp;550-5.1.1 The account 550 5.1.1 does not exist", 550, "5.1.1"),
        ("host mx.example.com[192.0.2.1] said: 552 5.2.2 full", 552, "5.2.2"),
        ("550 no user at 5.1.1.2", 550, None),
        ("#< #5.1.1 smtp;user unknown> #SMTP#", 550, "5.1.1"),
        ("4.4.1 (Persistent transient failure)", 450, "4.4.1"),
    ],
)
def test_replies_are_found_in_reports(text: str, code: int, enhanced: str | None) -> None:
    found = reply_in(text, NOW)
    assert found is not None
    assert (found.code, found.enhanced_code) == (code, enhanced)


def test_no_reply_is_none() -> None:
    assert reply_in("The recipient's server did not accept it", NOW) is None


@given(st.text(max_size=3_000))
def test_any_text_has_a_classification(text: str) -> None:
    found = classify(None, text)
    assert len(found.reason) <= 500
    assert "\n" not in found.reason


@pytest.mark.parametrize("piece", ["exceeded ", "ip ", "550 ", "5.1.1", "@", "a@", "\u202e", "-"])
def test_hostile_text_takes_no_time(piece: str) -> None:
    hostile = piece * (10_000_000 // len(piece))
    response = SmtpResponse(code=550, message=hostile, timestamp=NOW)
    checked_within(0.3, lambda: classify(response, ""))
    checked_within(0.3, lambda: reply_in(hostile, NOW))


def test_the_page_has_every_category_as_the_rules_have_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "outbound.md").read_text()
    found = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \| (.+) \| (yes|mostly|) ?\|$", page, re.M)
    assert {row[0]: row[2] for row in found} == CATEGORIES
    for category, types, _, suppresses in found:
        rules = [rule for rule in RULES if rule.category == category]
        if rules:
            assert types.split(", ") == list(dict.fromkeys(rule.type for rule in rules))
            by_rules = {rule.suppresses for rule in rules}
            assert by_rules == {"yes": {True}, "mostly": {True, False}, "": {False}}[suppresses]


def test_the_example_of_the_page_is_a_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "outbound.md").read_text()
    [block] = [one for one in re.findall(r"```toml\n(.*?)```", page, re.S) if "bounces]]" in one]
    section = OutboundSection.model_validate(tomllib.loads(block)["outbound"])
    line = reply("550 5.7.1 Please ask our Postmaster")
    assert classify(line, "", section.bounces).category == "partner"
