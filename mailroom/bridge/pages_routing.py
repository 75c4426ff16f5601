"""Routing rules, and what they would make of a letter that nobody sends."""

import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.letters import Plan, plan_of
from mailroom.bridge.pages_agent_words import conditions, effects
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.post_office import Unsendable, sender_of
from mailroom.models.agent_addresses import OVERSEER
from mailroom.models.agent_mail import MOST_ADDRESS, MOST_SUBJECT, Priority
from mailroom.models.new_letter import NewLetter

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class Trial(BaseModel):
    """A letter that is only thought of."""

    sender: str = Field(default=OVERSEER, alias="from", max_length=MOST_ADDRESS)
    to: str = Field(default="", max_length=MOST_ADDRESS)
    subject: str = Field(default="", max_length=MOST_SUBJECT)
    priority: Priority = Priority.NORMAL


@router.get("/agents/rules")
async def rules_page(
    request: Request, trial: Annotated[Trial, Query()], the: The, who: Operator
) -> Response:
    plan, refused = None, None
    if trial.to:
        try:
            plan = await _plan(the, trial)
        except Unsendable as error:
            refused = str(error)
    shown = {
        "rules": [(rule.name, conditions(rule), effects(rule)) for rule in the.agents.rules],
        "trial": trial,
        "plan": plan,
        "refused": refused,
        "priorities": list(Priority),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
    return render(request, "rules.html", who, shown, status)


async def _plan(the: Context, trial: Trial) -> Plan:
    """As `POST /mail?dry_run=true` answers. Raises `Unsendable`."""
    try:
        new = NewLetter(to=trial.to, subject=trial.subject, priority=trial.priority)
    except ValidationError as error:
        raise Unsendable("It is no letter as it is.") from error
    sender = sender_of(trial.sender)
    # By its ID a letter is assigned to an arm of an experiment.
    routed = await the.office.routed(new, sender, secrets.token_hex(16), datetime.now(UTC))
    return plan_of(routed)
