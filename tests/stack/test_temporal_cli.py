"""A mail driven by Temporal's own command line, with the lines that the README shows."""

import asyncio
import os
import shlex
from pathlib import Path

from house import cache
from world import mail

from mailroom.local.toolchain import temporal_cli
from stack.process import Stack, until

LIST, STATUS, EDIT, APPROVE = README_LINES = (
    """temporal workflow list --query 'MailState="awaiting_user"'""",
    """temporal workflow query --workflow-id ID --name status""",
    """temporal workflow signal --workflow-id ID --name command --input '"2 make it warmer"'""",
    """temporal workflow update execute --workflow-id ID --name decide --input '"1"'""",
)
DESCRIBE = "temporal workflow describe --workflow-id ID"
METADATA = "temporal workflow metadata --workflow-id ID"


def test_the_readme_shows_these_lines() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = [line for line in readme.splitlines() if line.startswith("temporal workflow")]
    assert shown == list(README_LINES)


async def typed(stack: Stack, line: str, workflow_id: str = "") -> str:
    """What the line prints, typed with the workflow's ID in place of `ID`."""
    program, *words = shlex.split(line)
    assert program == "temporal"
    process = await asyncio.create_subprocess_exec(
        await temporal_cli(cache=cache()),
        *(workflow_id if word == "ID" else word for word in words),
        env={**os.environ, "TEMPORAL_ADDRESS": stack.temporal_address},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_from_the_list_to_the_outbox(stack: Stack, marker: str) -> None:
    message_id = f"<{marker}@example.com>"
    raw = mail(sender=f"{marker}@example.com", subject=f"Lunch {marker}", message_id=message_id)
    workflow_id = (await stack.send(raw)).rpartition(" ")[2]
    row = await stack.reach(message_id, "awaiting_user")

    async def listed() -> bool:
        return workflow_id in await typed(stack, LIST)

    await until(listed, "the mail in the list")
    assert f"John Doe <{marker}@example.com>: Lunch {marker}" in await typed(
        stack, DESCRIBE, workflow_id
    )
    details = await typed(stack, METADATA, workflow_id)
    assert "awaiting user" in details
    assert f"revision 1, code `{row['code']}`" in details
    assert str(row["ai_reply_text"]).splitlines()[0] in details
    assert '"state":"awaiting_user"' in await typed(stack, STATUS, workflow_id)
    await typed(stack, EDIT, workflow_id)

    async def edited() -> bool:
        return '"revision":2' in await typed(stack, STATUS, workflow_id)

    await until(edited, "the second revision")
    await stack.reach(message_id, "awaiting_user")
    assert "verdict:accepted" in await typed(stack, APPROVE, workflow_id)
    sent = await stack.reach(message_id, "reply_sent")
    assert sent["user_edit_instructions"] == "make it warmer"
    outbox = (await stack.client.get("/dev/outbox")).json()
    [reply] = [left for left in outbox if left["in_reply_to"] == message_id]
    assert reply["body"].split() == str(sent["ai_reply_text"]).split()
    assert sent["ai_reply_text"] != row["ai_reply_text"]
