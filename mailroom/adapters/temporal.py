"""The one place that connects a Temporal client."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

CONNECT_ATTEMPTS = 30
START_ATTEMPTS, START_PAUSE = 6, 1.0
# What a server answers whose own workers are starting, each time after ten seconds of the SDK's own
# attempts ("Timeout expired" has CANCELLED).
STARTING = (
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
)


class TemporalUnavailable(Exception):
    """Temporal can't be reached, or has no room; what was asked was not done."""


async def connect(
    address: str,
    namespace: str,
    *,
    api_key: str | None = None,
    tls: bool = False,
    lazy: bool = False,
) -> Client:
    """A client, as soon as the server answers (at boot it may be a little behind us); a lazy one
    at once, which connects when it is used, and no worker can have."""
    for attempt in range(1, CONNECT_ATTEMPTS + 1):
        try:
            return await Client.connect(
                address,
                namespace=namespace,
                api_key=api_key,
                tls=tls,
                data_converter=pydantic_data_converter,
                lazy=lazy,
            )
        except RuntimeError as error:
            if attempt == CONNECT_ATTEMPTS:
                raise TemporalUnavailable(
                    f"Temporal can't be reached at {address}; start it or set TEMPORAL_ADDRESS."
                ) from error
            await asyncio.sleep(1)
    raise AssertionError("unreachable")


async def once_it_has_started(ask: Callable[[], Awaitable[None]]) -> None:
    """What may be asked twice, of a server that may be a little behind us: it answers on its port
    before it can look after what it keeps as workflows of its own, such as Schedules."""
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            return await ask()
        except RPCError as error:
            if error.status not in STARTING:
                raise
            if attempt == START_ATTEMPTS:
                raise TemporalUnavailable(
                    f"Temporal does not answer ({error.message}); look at its log."
                ) from error
            await asyncio.sleep(START_PAUSE)
    raise AssertionError("unreachable")


async def add_search_attributes(client: Client, keys: Iterable[SearchAttributeKey[Any]]) -> None:
    """Registers ours; those that are there already stay."""
    for key in keys:
        try:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace,
                    search_attributes={
                        key.name: IndexedValueType.ValueType(key.indexed_value_type)
                    },
                )
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
