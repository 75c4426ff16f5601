"""An operation as somebody asks for it, checked."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from pydantic import ValidationError as Invalid

from mailroom.models.base import Frozen
from mailroom.models.durations import LONGEST, Duration
from mailroom.models.outbound.bulk import Scope, Whole
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.item import MessagePriority
from mailroom.models.outbound.operations import QueueOperation
from mailroom.models.outbound.scopes import SuspensionScope, compared
from mailroom.models.outbound.submission import Name
from mailroom.models.outbound.words import QueueOperationType

Op = QueueOperationType

_PAGING = {"limit", "offset", "sort_by", "sort_order"}
# All messages have as many, or more.
_NO_LESS = {"min_attempts": 0, "min_size_bytes": 0}


def _domain(given: str) -> str:
    return compared(SuspensionScope.DOMAIN, given)


def _in_future(until: datetime) -> datetime:
    if not timedelta(0) < until - datetime.now(UTC) <= LONGEST:
        raise ValueError(f"it has to be a moment to come, at most {LONGEST.days} days away")
    return until


class _Nothing(Frozen):
    """Of operations that need no more words."""


class _Rebinding(Frozen):
    queue_name: Name | None = None
    routing_domain: Annotated[Name, AfterValidator(_domain)] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.queue_name is None and self.routing_domain is None:
            raise ValueError("say whereto: queue_name, routing_domain, or both")
        return self


class _Raising(Frozen):
    priority: MessagePriority


class _Suspending(Frozen):
    """With one of these the whole queue, domain, campaign, tenant or pool is suspended."""

    until: Annotated[AwareDatetime, AfterValidator(_in_future)] | None = None
    lasting: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.until and self.lasting:
            raise ValueError("give until or for, not both")
        return self


_METADATA: dict[Op, type[Frozen]] = {
    Op.REBIND: _Rebinding,
    Op.SET_PRIORITY: _Raising,
    Op.SUSPEND: _Suspending,
}


_SCOPES = {
    "queue_name": Scope.QUEUE,
    "domain": Scope.DOMAIN,
    "campaign_id": Scope.CAMPAIGN,
    "tenant_id": Scope.TENANT,
    "pool_name": Scope.POOL,
}


class OperationRequest(QueueOperation):
    """`filter` means messages as a list of them does. `dry_run` only counts. `confirm`: also more
    than a thousand messages are meant."""

    filter: MessageSelection | None = None
    dry_run: bool = False
    confirm: bool = False

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.filter and (paging := _PAGING & self.filter.model_fields_set):
            names = ", ".join(sorted(paging))
            raise ValueError(f"filter: an operation has no pages; leave out {names}")
        if self.queue_name and self.filter and self.filter.queue_name:
            raise ValueError("queue_name: the filter has one, too; leave out one of both")
        if self.message_ids and (self.queue_name or self.filter):
            raise ValueError("message_ids: they stand alone, without queue_name and filter")
        if not self.message_ids and not self.criteria:
            raise ValueError(
                "nothing says which messages are meant: give queue_name, message_ids or a filter "
                "with a criterion"
            )
        self._ends_as_a_whole()
        return self

    def _ends_as_a_whole(self) -> None:
        words = self.words()
        whole = self.whole
        if whole and whole.scope is Scope.DOMAIN:
            try:
                _domain(whole.name)
            except ValueError as error:
                raise ValueError(f"filter.domain: {error}") from error
        if words != _Suspending() and self.operation is Op.SUSPEND and not whole:
            raise ValueError(
                "metadata: an end is for one queue, domain, campaign, tenant or pool as a whole; "
                "leave out everything else, or the end"
            )

    @property
    def criteria(self) -> dict[str, Any]:
        """The fields by which messages are chosen."""
        chosen = self.filter.model_dump(exclude=_PAGING, exclude_none=True) if self.filter else {}
        if self.queue_name is not None:
            chosen["queue_name"] = self.queue_name
        if "domain" not in chosen and len(chosen.get("domains", ())) == 1:
            [chosen["domain"]] = chosen.pop("domains")
        return {
            name: value
            for name, value in chosen.items()
            if value != [] and (name, value) not in _NO_LESS.items()
        }

    @property
    def selection(self) -> MessageSelection | None:
        """None where single messages are meant."""
        return None if self.message_ids else MessageSelection.model_validate(self.criteria)

    def words(self) -> Frozen:
        """`metadata`, checked."""
        shape = _METADATA.get(self.operation, _Nothing)
        try:
            return shape.model_validate(self.metadata or {})
        except Invalid as error:
            problem = error.errors()[0]
            field = ".".join(["metadata", *map(str, problem["loc"])])
            raise ValueError(f"{field}: {problem['msg']}") from error

    def settled(self) -> Self:
        """As it is carried out: names as they are compared, and a moment where it had a length."""
        words = self.words()
        if isinstance(words, _Suspending) and words.lasting:
            words = _Suspending(until=datetime.now(UTC) + words.lasting)
        known = words.model_dump(mode="json", by_alias=True, exclude_none=True)
        return self.model_copy(update={"metadata": known or None})

    @property
    def whole(self) -> Whole | None:
        """What a suspension by one name alone holds, with all that comes later. A queue needs no
        end for that; of others it says that the whole is meant."""
        if self.operation not in (Op.SUSPEND, Op.RESUME) or len(self.criteria) != 1:
            return None
        [(field, name)] = self.criteria.items()
        scope = _SCOPES.get(field)
        words = self.words()
        timed = isinstance(words, _Suspending) and (words.until or words.lasting)
        if scope is None or (self.operation is Op.SUSPEND and not timed and scope != Scope.QUEUE):
            return None
        until = words.until if isinstance(words, _Suspending) else None
        return Whole(scope=scope, name=name, until=until)
