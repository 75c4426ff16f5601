"""The owners of this Mailroom, and the token that each of them logs in with."""

from fastapi import APIRouter
from pydantic import BaseModel

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The, owner_token
from mailroom.bridge.context import Context
from mailroom.models.owner import Owner

router = APIRouter(tags=["owners"], route_class=ApiRoute)


class OwnerShown(BaseModel):
    """`token` shows this owner's mail and nobody else's."""

    id: str
    name: str
    addresses: tuple[str, ...]
    phone: str | None
    token: str


@router.get("/owners")
async def owners(the: The, who: Operator) -> list[OwnerShown]:
    """For the operator only."""
    return [_shown(the, owner) for owner in the.owners.values()]


def _shown(the: Context, owner: Owner) -> OwnerShown:
    return OwnerShown(
        id=owner.id,
        name=owner.name,
        addresses=owner.addresses,
        phone=owner.phone,
        token=owner_token(the, owner.id),
    )
