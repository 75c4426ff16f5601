"""The one registry of search attributes. No addresses, no subjects: they are never encrypted."""

from temporalio.common import SearchAttributeKey

MAIL_KIND = SearchAttributeKey.for_keyword("MailKind")
MAIL_STATE = SearchAttributeKey.for_keyword("MailState")
MAIL_QUEUE = SearchAttributeKey.for_keyword("MailQueue")
MAIL_PRIORITY = SearchAttributeKey.for_int("MailPriority")
MAIL_ATTEMPTS = SearchAttributeKey.for_int("MailAttempts")
MAIL_OWNER = SearchAttributeKey.for_keyword("MailOwner")
MAIL_TENANT = SearchAttributeKey.for_keyword("MailTenant")

ALL = (
    MAIL_KIND,
    MAIL_STATE,
    MAIL_QUEUE,
    MAIL_PRIORITY,
    MAIL_ATTEMPTS,
    MAIL_OWNER,
    MAIL_TENANT,
)
