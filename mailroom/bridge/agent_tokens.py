"""An agent's own token, for the overseer to hand on."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel

from mailroom.bridge.agent_auth import AgentRoute, Overseer, agent_token
from mailroom.bridge.auth import The
from mailroom.models.agent_addresses import address_of

router = APIRouter(tags=["sessions"], route_class=AgentRoute)


class AgentToken(BaseModel):
    """It follows from the operator's token and the address, and changes with that token."""

    address: str
    token: str


@router.get("/agents/token")
async def token(
    the: The, agent: Overseer, address: Annotated[str, AfterValidator(address_of), Query()]
) -> AgentToken:
    return AgentToken(address=address, token=agent_token(the, address))
