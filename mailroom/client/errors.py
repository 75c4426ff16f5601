"""What goes wrong when letters are routed, by seed 002's names. Every message is a sentence."""

from http import HTTPStatus


class OrchestratorRoutingError(Exception):
    """General: what was asked for did not happen. Of the others all are kinds of it."""


class OrchestratorOfflineError(OrchestratorRoutingError):
    """The recipient is offline, and this client has `offline_queue.enabled` off: nothing was
    sent. Raised by `route_message`."""


class NoActiveSessionError(OrchestratorRoutingError):
    """This client has no session of that address, or it is gone and can't be registered again.
    Raised by `events`, `unregister_session` and `update_session_activity`."""


class Unreachable(OrchestratorRoutingError):
    """The bridge did not answer, or can't take this now. The same request may pass later; a
    message keeps its ID, so that it is sent once however often it is tried."""


class Refused(OrchestratorRoutingError):
    """The bridge refused this request, with a sentence."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status

    @property
    def of_caller(self) -> bool:
        """Because of the token, not of what was asked for."""
        return self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
