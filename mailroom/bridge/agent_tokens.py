"""`GET /agents/token`: what an agent is given, so that it writes as itself and as nobody else."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel

from mailroom.bridge.agent_auth import AgentRoute, Overseer, agent_token
from mailroom.bridge.auth import The
from mailroom.models.agent_addresses import address_of

router = APIRouter(tags=["agent mail"], route_class=AgentRoute)


class AgentToken(BaseModel):
    address: str
    token: str


@router.get("/agents/token")
async def token(
    the: The, agent: Overseer, address: Annotated[str, AfterValidator(address_of), Query()]
) -> AgentToken:
    """The same whenever it is asked; it follows from the operator's and changes with it."""
    return AgentToken(address=address, token=agent_token(the, address))
