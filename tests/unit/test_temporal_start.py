"""Temporal answers on its port before it can look after its Schedules."""

from dataclasses import dataclass

import pytest
from temporalio.service import RPCError, RPCStatusCode

from mailroom.adapters import temporal
from mailroom.adapters.temporal import TemporalUnavailable, once_it_has_started


@dataclass
class Server:
    """It does not answer so many times, or says something else."""

    starting: int = 0
    status: RPCStatusCode = RPCStatusCode.CANCELLED
    asked: int = 0

    async def ask(self) -> None:
        self.asked += 1
        if self.asked <= self.starting:
            raise RPCError("Timeout expired", self.status, b"")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "START_PAUSE", 0)


@pytest.mark.parametrize("status", temporal.STARTING)
async def test_a_server_that_is_starting_is_asked_again(status: RPCStatusCode) -> None:
    server = Server(starting=3, status=status)
    await once_it_has_started(server.ask)
    assert server.asked == 4


async def test_one_that_never_answers_is_told_in_a_sentence() -> None:
    server = Server(starting=100)
    with pytest.raises(TemporalUnavailable) as told:
        await once_it_has_started(server.ask)
    assert str(told.value) == "Temporal does not answer (Timeout expired); look at its log."
    assert server.asked == temporal.START_ATTEMPTS


async def test_what_is_wrong_for_good_is_asked_once() -> None:
    server = Server(starting=1, status=RPCStatusCode.PERMISSION_DENIED)
    with pytest.raises(RPCError):
        await once_it_has_started(server.ask)
    assert server.asked == 1
