"""What is kept for how long, and what the next run removes."""

from fastapi import APIRouter

from mailroom.adapters.postgres.retention import Prospect
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.models.retention import Kept

router = APIRouter(tags=["privacy"], route_class=ApiRoute)


@router.get("/retention")
async def retention(the: The, who: Operator) -> dict[Kept, Prospect]:
    """For the operator only; removes nothing."""
    return await the.retention.prospect(the.periods)
