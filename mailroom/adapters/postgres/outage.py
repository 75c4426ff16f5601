"""PostgreSQL being away is no failure of the step that met it: such a step is told apart."""

from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from mailroom.ports import StoreAway


class StoreOutages(Interceptor):
    """Every step raises `StoreAway` where SQLAlchemy says that the server is not there."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Translating(next)


class _Translating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await self.next.execute_activity(input)
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise StoreAway("PostgreSQL can't be reached right now.") from error
