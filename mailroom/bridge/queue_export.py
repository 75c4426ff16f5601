"""`/queue/export`: messages as a file, while they are read."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import field_validator

from mailroom.adapters import parquet
from mailroom.adapters.postgres.message_export import TooManyExports
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.bridge.queue_searching import Selecting, selection_of
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.formats import ExportFormat

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)


class Exporting(Selecting):
    format: ExportFormat = ExportFormat.CSV

    @field_validator("limit", "offset")
    @classmethod
    def _all_of_them(cls, given: int) -> int:
        raise ValueError("an export is of all messages that fit; leave it out")


@router.get("/export", response_class=StreamingResponse)
async def export(
    the: The, who: Operator, asked: Annotated[Exporting, Query()]
) -> StreamingResponse:
    """All messages that fit, as they are at one moment, in the order of `sort_by` and `sort_order`
    if one of them is given. A cell of CSV that a spreadsheet would run has an apostrophe in
    front."""
    if asked.format is ExportFormat.PARQUET and not parquet.is_there():
        raise Problem(HTTPStatus.NOT_IMPLEMENTED, parquet.MISSING)
    selection = await selection_of(the, asked)
    chunks = _chunks(the, asked.format, selection)
    try:
        # What is wrong with it shows before the answer has begun.
        first = await anext(chunks, b"")
    except TooManyExports as error:
        problem = Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error))
        problem.headers["Retry-After"] = "10"
        raise problem from error
    name = f'attachment; filename="messages.{asked.format}"'
    return StreamingResponse(
        _all(first, chunks),
        media_type=asked.format.media_type,
        headers={"Content-Disposition": name},
    )


def _chunks(
    the: Context, format: ExportFormat, selection: MessageSelection
) -> AsyncGenerator[bytes, None]:
    match format:
        case ExportFormat.CSV:
            return the.exports.csv(selection)
        case ExportFormat.JSONL:
            return the.exports.json_lines(selection)
        case ExportFormat.PARQUET:
            return parquet.parquet(the.exports.plain(selection, parquet.ROWS_BYTES))


async def _all(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        yield first
        async for chunk in chunks:
            yield chunk
