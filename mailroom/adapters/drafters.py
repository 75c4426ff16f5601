"""Who writes the drafts: an AI where one is configured, else templates."""

import httpx

from mailroom.adapters.openai import OpenAIDrafter
from mailroom.adapters.reply_generator import GeneratorDrafter
from mailroom.adapters.settings import BadConfiguration, ConfigFile, Settings
from mailroom.adapters.templates import TemplateDrafter
from mailroom.ports import Drafter


def drafts_by_ai(settings: Settings) -> bool:
    return bool(settings.ai_base_url or settings.ai_reply_generator_url)


def drafter_of(settings: Settings, config: ConfigFile, http: httpx.AsyncClient) -> Drafter:
    check_drafter(settings)
    if settings.ai_base_url:
        model, key = settings.ai_model or "", ai_key(settings)
        return OpenAIDrafter(http, settings.ai_base_url, model, key)
    if settings.ai_reply_generator_url:
        return GeneratorDrafter(http, settings.ai_reply_generator_url)
    return TemplateDrafter(config.templates)


def fallback_of(settings: Settings, config: ConfigFile) -> Drafter | None:
    """Who drafts once the AI has failed at every attempt."""
    wanted = config.drafts.fallback == "templates" and drafts_by_ai(settings)
    return TemplateDrafter(config.templates) if wanted else None


def check_drafter(settings: Settings) -> None:
    if settings.ai_base_url and settings.ai_reply_generator_url:
        raise BadConfiguration(
            "AI_BASE_URL and AI_REPLY_GENERATOR_URL are both set; drafts come from one: unset the "
            "other."
        )
    if settings.ai_base_url and not settings.ai_model:
        raise BadConfiguration("AI_MODEL is not set; set it to a model of AI_BASE_URL.")
    ai_key(settings)


def ai_key(settings: Settings) -> str | None:
    key = settings.ai_api_key.get_secret_value().strip() if settings.ai_api_key else ""
    # What no header may have would be shown in the error that says so.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BadConfiguration("AI_API_KEY has characters that no key has; copy it again.")
    return key or None
