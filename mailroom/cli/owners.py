"""The owners, and their tokens."""

import asyncio
from typing import Any

from pydantic import BaseModel

from mailroom.cli.client import bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, show


class Owner(BaseModel):
    """The fields of an item of `/owners` that are shown."""

    id: str
    name: str
    addresses: list[str]
    phone: str | None
    token: str


def list_owners(output: Output) -> None:
    owners = asyncio.run(_owners())
    if output is Output.JSON:
        print_json(owners)
        return
    table = plain_table("ID", "Name", "Addresses", "Phone")
    for owner in map(Owner.model_validate, owners):
        table.add_row(owner.id, one_line(owner.name), "\n".join(owner.addresses), owner.phone or "")
    show(table)


def show_token(wanted: str) -> None:
    for owner in map(Owner.model_validate, asyncio.run(_owners())):
        if owner.id == wanted:
            return answer(owner.token)
    raise Failure(
        f"There is no owner {wanted}; `mailroom owner list` shows them.", ExitCode.NOT_THERE
    )


async def _owners() -> list[dict[str, Any]]:
    async with bridge() as to:
        owners: list[dict[str, Any]] = await to.get("/owners")
        return owners
