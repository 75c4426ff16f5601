"""Signed links: those that show a draft (`GET /r/{token}`) expire and decide nothing; those that
unsubscribe (`/unsubscribe/{token}`) hold as long as the message is known."""

from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

from mailroom.models.email_reply import MailRef
from mailroom.models.outbound.verp import address_parts, message_of, verp_address

LINK_LIFE_SECONDS = 7 * 86_400


class SignedLinks:
    def __init__(self, secret: str, public_url: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="draft")
        self._unsubscribing = URLSafeSerializer(secret, salt="unsubscribe")
        self._public_url = public_url
        self._secret = secret

    def draft(self, mail: MailRef, revision: int) -> str:
        # The end of the hashed workflow ID: a text message has little room.
        token = self._signer.dumps([mail.workflow_id.rpartition("/")[2], revision])
        return f"{self._public_url}/r/{token}"

    def read(self, token: str) -> tuple[str, int] | None:
        """Hash of the workflow ID and revision; None if forged or older than 7 days."""
        try:
            workflow_hash, revision = self._signer.loads(token, max_age=LINK_LIFE_SECONDS)
        except (BadData, ValueError):
            return None
        return str(workflow_hash), int(revision)

    def unsubscribe(self, message: UUID) -> str:
        """No address is in it, not even a hidden one: logs of servers keep what is asked for."""
        return f"{self._public_url}/unsubscribe/{self._unsubscribing.dumps(message.hex)}"

    def read_unsubscribe(self, token: str) -> UUID | None:
        """The message whose recipient unsubscribes; None if forged."""
        try:
            return UUID(hex=self._unsubscribing.loads(token))
        except (AttributeError, BadData, TypeError, ValueError):
            return None

    def bounce_address(self, message: UUID, domain: str) -> str:
        """The envelope sender of a message, to which its bounces go."""
        return verp_address(message, domain, self._secret)

    def read_bounce_address(self, address: str, domain: str) -> UUID | None:
        """The message whose bounces go there; None of a forged one, and of any other."""
        return message_of(address, domain, self._secret)

    def is_forged_bounce_address(self, address: str, domain: str) -> bool:
        """Whether it has the form of one without being one."""
        known = self.read_bounce_address(address, domain)
        return known is None and address_parts(address, domain) is not None
