"""Which agent asks: the overseer, an agent with its own token, or one of its sessions.

Tokens follow from the operator's: nothing is looked up, and a new operator's token ends them all.
"""

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from itsdangerous import BadData, URLSafeSerializer

from mailroom.bridge.api_route import bounded
from mailroom.bridge.auth import caller
from mailroom.bridge.context import Context, context_of
from mailroom.bridge.problems import Problem
from mailroom.models.agent_addresses import OVERSEER

AGENT_PREFIX, SESSION_PREFIX = "agent.", "session."
CACHED = 10_000
STATE = "agent_caller"


@dataclass(frozen=True)
class AgentCaller:
    """`address` is None for the overseer, who may act as anybody. A session's token also says
    which session, and of which daemon."""

    address: str | None = None
    session_id: str | None = None
    daemon_id: str | None = None

    @property
    def overseer(self) -> bool:
        return self.address is None

    @property
    def name(self) -> str:
        return self.address or OVERSEER

    def is_allowed(self, *addresses: str) -> bool:
        """Whether one of the addresses is the caller's."""
        return self.overseer or self.address in addresses

    def check(self, *addresses: str) -> None:
        if not self.is_allowed(*addresses):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"This token is {self.name}'s; it is good for no other address.",
            )


def agent_token(context: Context, address: str) -> str:
    return AGENT_PREFIX + _signer(context.secrets.token, "agent").dumps(address)


def session_token(context: Context, address: str, session: str, daemon: str) -> str:
    signer = _signer(context.secrets.token, "agent-session")
    return SESSION_PREFIX + signer.dumps([address, session, daemon])


async def agent_caller(request: Request) -> AgentCaller:
    known = getattr(request.state, STATE, None)
    if isinstance(known, AgentCaller):
        return known
    found = await _caller(request)
    setattr(request.state, STATE, found)
    return found


async def _caller(request: Request) -> AgentCaller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and token.startswith((AGENT_PREFIX, SESSION_PREFIX)):
        found = _read(context_of(request).secrets.token, token)
        if found is None:
            raise _unauthorized()
        return found
    person = await caller(request)
    if not person.operator:
        raise Problem(
            HTTPStatus.FORBIDDEN, "Letters are for agents and the operator; this token is neither."
        )
    return AgentCaller()


@lru_cache(CACHED)
def _read(secret: str, token: str) -> AgentCaller | None:
    try:
        if token.startswith(AGENT_PREFIX):
            return AgentCaller(_signer(secret, "agent").loads(token.removeprefix(AGENT_PREFIX)))
        signed = token.removeprefix(SESSION_PREFIX)
        return AgentCaller(*_signer(secret, "agent-session").loads(signed))
    except BadData:
        return None


@lru_cache(8)
def _signer(secret: str, purpose: str) -> URLSafeSerializer:
    key = hmac.new(secret.encode(), purpose.encode(), "sha256").digest()
    return URLSafeSerializer(key, salt=purpose)


def _unauthorized() -> Problem:
    problem = Problem(HTTPStatus.UNAUTHORIZED, "This token is not one of this Mailroom's agents.")
    problem.headers = {"WWW-Authenticate": "Bearer"}
    return problem


class AgentRoute(APIRoute):
    """As `ApiRoute`: who asks is known before a body is read, and bodies have a limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            limit = context_of(request).limits.max_message_bytes
            limited = Request(request.scope, bounded(request.receive, limit))
            await agent_caller(limited)
            return await handle(limited)

        return guarded


async def overseer(agent: Annotated[AgentCaller, Depends(agent_caller)]) -> AgentCaller:
    if not agent.overseer:
        raise Problem(
            HTTPStatus.FORBIDDEN, "This is the overseer's to do; use the operator's token."
        )
    return agent


Agent = Annotated[AgentCaller, Depends(agent_caller)]
Overseer = Annotated[AgentCaller, Depends(overseer)]
