"""The options of a filter, for every command that means messages by what they have in common."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from mailroom.cli.errors import ExitCode, Failure
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueSortField,
    QueueState,
    SortOrder,
)

if TYPE_CHECKING:
    from mailroom.models.outbound.filters import MessageSelection

PANEL = "Which messages"
_TIMES = {"created_after", "created_before", "scheduled_after", "scheduled_before"}
_LISTS = {"status", "queue_state", "domains", "tags"}


@dataclass(frozen=True)
class Selected:
    """What was typed: `fields` of a MessageSelection as JSON has them, and a saved filter."""

    fields: Mapping[str, Any]
    saved: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        """As lists over HTTP take them."""
        return {**self.fields, **({"filter": self.saved} if self.saved else {})}

    def selection(self) -> "MessageSelection":
        """The fields, checked here; a saved filter is the bridge's to add."""
        from pydantic import ValidationError  # noqa: PLC0415

        from mailroom.models.outbound.filters import MessageSelection  # noqa: PLC0415

        try:
            return MessageSelection.model_validate(dict(self.fields))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise Failure(
                f"{name}: {first['msg'].removeprefix('Value error, ')}.", ExitCode.USAGE
            ) from error


def _option(name: str, help: str) -> Any:
    return typer.Option(f"--{name}", help=help, rich_help_panel=PANEL)


def _options(
    *,
    status: Annotated[
        list[MessageQueueStatus] | None, _option("status", "Only these; may be repeated.")
    ] = None,
    queue_name: Annotated[str | None, _option("queue", "Only of this queue.")] = None,
    queue_state: Annotated[
        list[QueueState] | None, _option("queue-state", "Of queues in these states.")
    ] = None,
    domains: Annotated[
        list[str] | None, _option("domain", "Only to this domain; may be repeated.")
    ] = None,
    recipient: Annotated[str | None, _option("recipient", "Only to this address.")] = None,
    sender: Annotated[str | None, _option("sender", "Only from this envelope sender.")] = None,
    routing_domain: Annotated[
        str | None, _option("routing-domain", "Only what goes through this domain.")
    ] = None,
    campaign_id: Annotated[str | None, _option("campaign", "Only of this campaign.")] = None,
    tenant_id: Annotated[str | None, _option("tenant", "Only of this tenant.")] = None,
    pool_name: Annotated[str | None, _option("pool", "Only of this pool of addresses.")] = None,
    created_after: Annotated[
        str | None, _option("created-after", "`2h ago`, or 2026-03-02T18:00+01:00.")
    ] = None,
    created_before: Annotated[str | None, _option("created-before", "Likewise.")] = None,
    scheduled_after: Annotated[
        str | None, _option("scheduled-after", "`in 2h` or the like, or a time.")
    ] = None,
    scheduled_before: Annotated[str | None, _option("scheduled-before", "Likewise.")] = None,
    search_query: Annotated[
        str | None,
        _option("search", "Words, or how they begin, in recipient, sender and subject."),
    ] = None,
    tags: Annotated[
        list[str] | None, _option("tag", "Only with this tag; may be repeated: with all of them.")
    ] = None,
    min_attempts: Annotated[int | None, _option("min-attempts", "Tried so often or more.")] = None,
    max_attempts: Annotated[int | None, _option("max-attempts", "Tried so often or less.")] = None,
    bounce_type: Annotated[
        BounceType | None, _option("bounce-type", "Only refused in this way.")
    ] = None,
    min_size_bytes: Annotated[int | None, _option("min-size", "Of so many bytes or more.")] = None,
    max_size_bytes: Annotated[int | None, _option("max-size", "Of so many bytes or less.")] = None,
    priority: Annotated[int | None, _option("with-priority", "Only of this priority.")] = None,
    sort_by: Annotated[QueueSortField | None, _option("sort", "By what to sort.")] = None,
    sort_order: Annotated[SortOrder | None, _option("order", "Which way to sort.")] = None,
    saved: Annotated[
        str | None, _option("filter", "A saved filter; other options go before what it says.")
    ] = None,
) -> None:
    """The signature is all that is used."""


def selecting(*, leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Any]:
    """Gives a command these options but those in `leave_out`; it takes them as `selected`.

    @selecting(leave_out=("sort_by", "sort_order"))
    def export(*, selected: Selected, output: ...) -> None:
    """

    def given_to(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters.values()
        options = inspect.signature(_options).parameters.values()
        ours = [each for each in options if each.name not in leave_out]
        kept = [each for each in own if each.name != "selected"]
        names = {each.name for each in ours}

        def run(**typed: Any) -> None:
            given = {name: typed.pop(name) for name in names}
            command(selected=selected_of(given), **typed)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([*kept, *ours])  # type: ignore[attr-defined]
        hints = get_type_hints(command, include_extras=True)
        hints |= get_type_hints(_options, include_extras=True)
        run.__annotations__ = {one.name: hints[one.name] for one in (*kept, *ours)}
        return run

    return given_to


def selected_of(typed: Mapping[str, Any]) -> Selected:
    given = {name: _value(name, value) for name, value in typed.items() if value not in (None, [])}
    saved = given.pop("saved", None)
    return Selected(given, saved)


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        from mailroom.cli.queue_moments import moment_of  # noqa: PLC0415

        return moment_of(value).isoformat()
    return [str(one) for one in value] if name in _LISTS else value
