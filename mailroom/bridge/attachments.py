"""Attachments of a mail: their names and sizes, and each as a file to keep."""

import asyncio
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.bridge.workflows import the_mail
from mailroom.models import attachments
from mailroom.models.attached import AttachedFile, Attachment
from mailroom.models.attachments import BINARY, MOST
from mailroom.ports import Permanent

router = APIRouter(tags=["workflow"], route_class=ApiRoute)

Number = Annotated[int, Path(ge=1, le=MOST, description="its place in the mail")]

# A stranger's file on our address: kept as a file, never shown, and nothing in it runs.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Listed(BaseModel):
    number: int
    name: str
    size: int


@router.get("/workflow/{message_id:path}/attachments")
async def listed(message_id: str, the: The, who: Who) -> list[Listed]:
    """What is attached to the mail, the first 20 files."""
    found = await attachments_of(the, await the_mail(the, who, message_id))
    return [Listed(number=n, **dict(one)) for n, one in enumerate(found, 1)]


@router.get("/workflow/{message_id:path}/attachments/{number}", response_class=Response)
async def one(message_id: str, number: Number, the: The, who: Who) -> Response:
    """One attachment, as a file."""
    return await download(the, await the_mail(the, who, message_id), number)


async def attachments_of(the: Context, row: WorkflowState) -> tuple[Attachment, ...]:
    """None once the mail has been deleted."""
    try:
        raw = await the.blobs.get(row.blob)
    except Permanent:
        return ()
    return await asyncio.to_thread(attachments.attachments, raw)


async def download(the: Context, row: WorkflowState, number: int) -> Response:
    try:
        raw = await the.blobs.get(row.blob)
    except Permanent as error:
        raise Problem(HTTPStatus.GONE, "The mail has been deleted.") from error
    found = await asyncio.to_thread(attachments.attached_file, raw, number)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"The mail has no attachment number {number}.")
    return _as_file(found)


def _as_file(found: AttachedFile) -> Response:
    named = {"Content-Disposition": content_disposition(found.name)}
    return Response(found.data, media_type=BINARY, headers=HEADERS | named)


def content_disposition(name: str) -> str:
    """RFC 6266 §4.3 and appendix D: a plain name for old programs, the whole one by RFC 8187."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
