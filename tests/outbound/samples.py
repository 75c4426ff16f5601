"""Mail that comes back, in the forms that common servers use. All names in it are made up."""

ORIGINAL = "<20260601.abc123@mail.example.com>"

_HEADERS = f"""\
Message-ID: {ORIGINAL}
From: Shop <news@example.com>
To: kate@example.net
Subject: Weekly news
Date: Mon, 1 Jun 2026 10:00:00 +0000
"""


def dsn(
    status: str,
    *,
    subject: str = "Undelivered Mail Returned to Sender",
    returned: str = f"Content-Type: message/rfc822\n\n{_HEADERS}\nHello!\n",
    kind: str = "message/delivery-status",
    report_type: str = "; report-type=delivery-status",
    message_id: str = "<report.1@mx.example.net>",
) -> bytes:
    """RFC 3464: a letter, the status, what was sent."""
    return f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: news@example.com
Subject: {subject}
Auto-Submitted: auto-replied
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: multipart/report{report_type}; boundary="B"

--B
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--B
Content-Type: {kind}

{status}
--B
{returned}
--B--
""".replace("\n", "\r\n").encode("utf-8", "surrogateescape")


POSTFIX = dsn(
    """\
Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4Yxyz12345
X-Postfix-Sender: rfc822; news@example.com
Arrival-Date: Mon,  1 Jun 2026 10:00:01 +0000 (UTC)

Final-Recipient: rfc822; kate@example.net
Original-Recipient: rfc822;kate@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 <kate@example.net>: Recipient address
    rejected: User unknown in virtual mailbox table
"""
)

EXIM = dsn(
    """\
Reporting-MTA: dns; mail.example.net

Action: failed
Final-Recipient: rfc822;kate@example.net
Status: 5.0.0
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 Unrouteable address
""",
    subject="Mail delivery failed: returning message to sender",
    returned=f"Content-Type: text/rfc822-headers\n\nReturn-path: <news@example.com>\n{_HEADERS}",
)

SENDMAIL = dsn(
    """\
Reporting-MTA: dns; mail.example.net
Received-From-MTA: DNS; mail.example.com
Arrival-Date: Mon, 1 Jun 2026 10:00:01 GMT

Final-Recipient: RFC822; kate@example.net
Action: failed
Status: 5.2.2
Diagnostic-Code: SMTP; 552 5.2.2 <kate@example.net>... Mailbox is full / Blocks limit exceeded
Last-Attempt-Date: Mon, 1 Jun 2026 10:00:02 GMT
""",
    subject="Returned mail: see transcript for details",
)

EXCHANGE = dsn(
    """\
Reporting-MTA: dns;AM0PR01MB0001.eurprd01.prod.exchangelabs.com
Received-From-MTA: dns;mail.example.com
Arrival-Date: Mon, 1 Jun 2026 10:00:01 +0000

Original-Recipient: rfc822;kate@example.net
Final-Recipient: rfc822;kate@example.net
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient kate@example.net not
 found by SMTP address lookup
""",
    subject="Undeliverable: Weekly news",
)

GMAIL = dsn(
    """\
Reporting-MTA: dns; googlemail.com
Arrival-Date: Mon, 01 Jun 2026 03:00:01 -0700 (PDT)
X-Original-Message-ID: <20260601.abc123@mail.example.com>

Final-Recipient: rfc822; kate@example.net
Action: failed
Status: 5.7.1
Remote-MTA: dns; mx.example.net. (192.0.2.9, the server for the domain example.net.)
Diagnostic-Code: smtp; 550 5.7.1 Service unavailable, Client host [192.0.2.7] blocked using Spamhaus
Last-Attempt-Date: Mon, 01 Jun 2026 03:00:02 -0700 (PDT)
""",
    subject="Delivery Status Notification (Failure)",
)

MERGED = dsn(
    """\
Reporting-MTA: dns; mail.example.net
Final-Recipient: rfc822; kate@example.net
Action: Failed (permanently)
Status: 5.1.1
""",
    report_type="",
)

DELAYED = dsn(
    """\
Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; kate@example.net
Action: delayed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mail.example.net[192.0.2.9]:25: Connection timed out
Will-Retry-Until: Sat,  6 Jun 2026 10:00:01 +0000 (UTC)
""",
    subject="Delayed Mail (still being retried)",
)

DELIVERED = dsn(
    """\
Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; kate@example.net
Action: delivered
Status: 2.0.0
""",
    subject="Successful Mail Delivery Report",
)

RELAYED = dsn(
    """\
Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; kate@example.net
Action: relayed
Status: 2.0.0
"""
)

SEVERAL = dsn(
    """\
Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; list-member@example.org
Action: delivered
Status: 2.0.0

Final-Recipient: rfc822; kate@example.net
Action: failed
Status: 5.2.1
Diagnostic-Code: smtp; 550 5.2.1 This mailbox is disabled
"""
)

# RFC 6533.
INTERNATIONAL = dsn(
    """\
Reporting-MTA: dns; mx.example.net

Original-Recipient: utf-8; käthe@example.net
Final-Recipient: utf-8; käthe@example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <käthe@example.net>: unbekannter Empfänger, user unknown
""",
    kind="message/global-delivery-status",
    returned=f"Content-Type: message/global-headers\n\n{_HEADERS}",
)

QMAIL = f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
To: news@example.com
Subject: failure notice
Date: 1 Jun 2026 10:00:01 -0000
Message-ID: <report.2@mx.example.net>

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<kate@example.net>:
192.0.2.9 does not like recipient.
Remote host said: 550 5.1.1 User unknown
Giving up on 192.0.2.9.

--- Below this line is a copy of the message.

{_HEADERS}
Hello!
""".replace("\n", "\r\n").encode()

VACATION = b"""\
Return-Path: <>
From: Kate <kate@example.net>
To: news@example.com
Subject: Out of office: Weekly news
Auto-Submitted: auto-replied
Message-ID: <vacation.1@mx.example.net>

I am at the sea until Monday.
"""


def arf(
    fields: str,
    *,
    returned: str = f"Content-Type: message/rfc822\n\n{_HEADERS}\nHello!\n",
    message_id: str = "<complaint.1@example.net>",
) -> bytes:
    """RFC 5965."""
    return f"""\
From: <feedback@example.net>
To: <fbl@example.com>
Subject: FW: Weekly news
Message-ID: {message_id}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B"

--B
Content-Type: text/plain

This is an email abuse report for an email message.

--B
Content-Type: message/feedback-report

{fields}
--B
{returned}
--B--
""".replace("\n", "\r\n").encode()


ABUSE = arf(
    """\
Feedback-Type: abuse
User-Agent: Yahoo!-Mail-Feedback/2.0
Version: 0.1
Original-Mail-From: <news@example.com>
Original-Rcpt-To: kate@example.net
Received-Date: Mon, 1 Jun 2026 10:30:00 PDT
Reported-Domain: example.com
"""
)

NOT_SPAM = arf("Feedback-Type: not-spam\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n")
