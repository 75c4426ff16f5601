"""Agents that a person in front of a browser watches and writes to."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from stack.process import Stack


@dataclass
class Agent:
    """An agent that talks to the stack by HTTP; nobody else has its address."""

    stack: Stack
    address: str
    sessions: list[str]

    async def come(self) -> str:
        """Registers a session."""
        new = {"address": self.address, "daemon_id": "daemon-1"}
        answer = await self.stack.client.post("/sessions", json=new)
        self.sessions.append(answer.raise_for_status().json()["session_id"])
        return self.sessions[-1]

    async def go(self) -> None:
        for session in self.sessions:
            await self.stack.client.delete(f"/sessions/{session}")
        self.sessions.clear()

    async def take(self) -> list[str]:
        """Confirms what was pushed to the latest session; the subjects."""
        path = f"/sessions/{self.sessions[-1]}"
        events = (await self.stack.client.get(f"{path}/events?wait=30")).raise_for_status().json()
        ids = {"event_ids": [event["event_id"] for event in events]}
        (await self.stack.client.post(f"{path}/confirm", json=ids)).raise_for_status()
        return [event["message"]["subject"] for event in events]

    async def gets(self, subject: str, body: str = "Please.", **more: Any) -> str:
        """The ID of a letter to it, of which it is known what becomes."""
        letter = {"to": self.address, "subject": subject, "body": body, **more}
        answer = await self.stack.client.post("/mail?wait=30", json=letter)
        return str(answer.raise_for_status().json()["id"])

    async def status_of(self, letter: str) -> str:
        answer = await self.stack.client.get(f"/mail/{letter}")
        return str(answer.raise_for_status().json()["status"])


async def agent_on(stack: Stack, under: str = "rig") -> Agent:
    """Somebody who is known and offline."""
    agent = Agent(stack, f"{under}/{uuid4().hex[:10]}", [])
    await agent.come()
    await agent.go()
    return agent
