"""Check of whoever writes the drafts. Nothing is drafted, and nothing is paid for."""

import httpx
from pydantic import BaseModel, ValidationError

from mailroom.adapters.drafters import ai_key, check_drafter
from mailroom.adapters.http import http_client
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.cli.findings import Finding, failed, ok, warning

CHECK = "drafts"
SECONDS = 5.0


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: tuple[_Model, ...]


async def drafter(settings: Settings) -> Finding:
    try:
        check_drafter(settings)
    except BadConfiguration as error:
        return failed(CHECK, str(error), "Correct it in the environment or .env.")
    if settings.ai_base_url:
        return await _endpoint(settings, settings.ai_base_url)
    if settings.ai_reply_generator_url:
        return await _generator(settings.ai_reply_generator_url)
    return ok(CHECK, "come from templates")


async def _generator(url: str) -> Finding:
    answered = await _answer(url, {}, "AI_REPLY_GENERATOR_URL")
    if isinstance(answered, Finding):
        return answered
    return ok(CHECK, f"{_shown(url)} answers")  # whatever it answers to a GET, it is there


async def _endpoint(settings: Settings, url: str) -> Finding:
    key = ai_key(settings)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answered = await _answer(f"{url}/models", headers, "AI_BASE_URL")
    if isinstance(answered, Finding):
        return answered
    if answered.status_code in (401, 403):
        mend = "Correct AI_API_KEY."
        return failed(CHECK, f"{_shown(url)} refused the key ({answered.status_code})", mend)
    if answered.status_code in (404, 405):
        # Not every endpoint has this list.
        return ok(CHECK, f"{_shown(url)} answers; it lists no models")
    if not answered.is_success:
        mend = "Correct AI_BASE_URL, or wait until it is well."
        return failed(CHECK, f"{_shown(url)} answered {answered.status_code}", mend)
    return _with_model(settings.ai_model or "", _shown(url), answered)


def _with_model(model: str, url: str, answered: httpx.Response) -> Finding:
    try:
        known = [one.id for one in _Models.model_validate_json(answered.content).data]
    except ValidationError:
        mend = "Correct AI_BASE_URL; most end in /v1."
        return warning(CHECK, f"{url} answers, but with no list of models", mend)
    if model not in known:
        some = ", ".join(known[:5])
        mend = f"Set AI_MODEL to one of them: {some}." if some else "Load one, or correct AI_MODEL."
        return warning(CHECK, f"{url} doesn't list the model {model}", mend)
    return ok(CHECK, f"{url} answers, and has {model}")


async def _answer(url: str, headers: dict[str, str], setting: str) -> httpx.Response | Finding:
    try:
        async with http_client(SECONDS) as http:
            return await http.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = str(error) or type(error).__name__
        mend = f"Start it, or correct {setting}."
        return failed(CHECK, f"{_shown(url)} can't be reached ({problem})", mend)


def _shown(url: str) -> str:
    """Without a name and a password that stand in it."""
    try:
        return str(httpx.URL(url).copy_with(userinfo=b""))
    except httpx.InvalidURL:
        return "the address"
