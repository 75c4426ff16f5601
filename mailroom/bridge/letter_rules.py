"""Routing rules, and what they, or others, would make of a letter that nobody sends."""

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from pydantic import BaseModel, Field

from mailroom.bridge.agent_auth import AgentRoute, Overseer
from mailroom.bridge.auth import The
from mailroom.bridge.letters import Plan, plan_of
from mailroom.bridge.post_office import TooLong, Unsendable, sender_of
from mailroom.bridge.problems import Problem
from mailroom.models.agent_rules import MailRule
from mailroom.models.new_letter import NewLetter

# Before the routes that take any letter's ID.
router = APIRouter(prefix="/mail/rules", tags=["agent mail"], route_class=AgentRoute)

MOST_RULES = 1_000


class Rules(BaseModel):
    """As they stand in `mailroom.toml`, in the order in which they are tried."""

    rules: list[dict[str, Any]]


class Trial(NewLetter):
    """A letter as `POST /mail` takes it; `rules` instead of those that hold."""

    rules: tuple[MailRule, ...] | None = Field(default=None, max_length=MOST_RULES)


@router.get("")
async def rules(the: The, agent: Overseer) -> Rules:
    given = [
        rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for rule in the.agents.rules
    ]
    return Rules(rules=given)


@router.post("/dry-run")
async def dry_run(trial: Trial, the: The, agent: Overseer) -> Plan:
    """Who would get the letter, how, and by which rules."""
    office = the.office
    if trial.rules is not None:
        office = replace(office, agents=the.agents.model_copy(update={"rules": trial.rules}))
    try:
        sender = sender_of(trial.sender) if trial.sender else agent.name
        return plan_of(await office.routed(trial, sender, uuid4().hex, datetime.now(UTC)))
    except TooLong as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except Unsendable as error:
        nearest = list(error.nearest)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), nearest=nearest) from error
