"""`mailroom doctor`: who submits mail of which queue model."""

from collections.abc import Iterator

from mailroom.adapters.settings import Settings
from mailroom.cli.findings import Finding, ok, warning

CHECK = "queue model"


def rollout(settings: Settings) -> Iterator[Finding]:
    """Nothing is said where all have the new one, and the old one is gone."""
    model = settings.queue_model
    if model.legacy:
        yield ok(CHECK, f"{model.percentage:g}% of tenants have the new one; the old one is served")
    elif not model.everybody:
        yield warning(
            CHECK,
            f"ENABLE_EMAIL_QUEUE_MODEL is {model.percentage:g}%, and the other tenants can't "
            "submit at all",
            "Set ENABLE_LEGACY_QUEUE_ADAPTER=true, or ENABLE_EMAIL_QUEUE_MODEL=true.",
        )
