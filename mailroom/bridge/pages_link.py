"""`/r/{token}`: a draft and its mail behind a signed link. No login, and nothing to decide."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_letter import letter
from mailroom.bridge.pages_route import PageRoute, sentence
from mailroom.ports import Permanent

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# The address is the key, so it goes to nobody: not to search engines, not as a referrer.
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
NO_LINK = "This link is not one of ours, or it is older than a week."
GONE = "What this link showed has been deleted."


@router.get("/r/{token}")
async def linked(request: Request, token: str, the: The) -> Response:
    response = await _linked(request, token, the)
    response.headers.update(HEADERS)
    return response


async def _linked(request: Request, token: str, the: Context) -> Response:
    found = the.links.read(token)
    if found is None:
        return sentence(request, HTTPStatus.NOT_FOUND, NO_LINK)
    mail, revision = found
    row = await the.views.by_workflow(f"email-reply/{mail}")
    draft = await _draft(the, row, revision) if row else None
    if row is None or draft is None:
        return sentence(request, HTTPStatus.GONE, GONE)
    shown = {"row": row, "draft": draft, "revision": revision, "letter": await letter(the, row)}
    return render(request, "link.html", None, shown)


async def _draft(the: Context, row: WorkflowState, revision: int) -> str | None:
    blob = await the.views.draft_blob(row, revision)
    if blob is None:
        return None
    try:
        return (await the.blobs.get(blob)).decode()
    except Permanent:
        return None
