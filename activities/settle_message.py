"""Writes down a step of an outbound message that delivers nothing."""

from dataclasses import dataclass

from temporalio import activity

from mailroom.models.outbound.message import Settled
from mailroom.models.outbound.message import SettleMessage as Step
from mailroom.ports.outbound import MessageStore


@dataclass(frozen=True)
class SettleMessage:
    store: MessageStore

    @activity.defn
    async def settle_message(self, step: Step) -> Settled:
        return await self.store.settle(step)
