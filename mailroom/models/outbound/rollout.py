"""Which tenants have the new queue model: `ENABLE_EMAIL_QUEUE_MODEL` (seed 004, section 5)."""

import hashlib

from mailroom.models.base import Frozen

ALL = 100.0
_WORDS = {"true": ALL, "1": ALL, "yes": ALL, "on": ALL}
_WORDS |= {"false": 0.0, "0": 0.0, "no": 0.0, "off": 0.0}


class QueueModel(Frozen):
    """`legacy`: /queue/legacy is served; `sender`: the envelope sender of what came without."""

    percentage: float = ALL
    legacy: bool = False
    sender: str | None = None

    @property
    def everybody(self) -> bool:
        return self.percentage >= ALL

    def refusal(self, tenant_id: str | None) -> str | None:
        """Why a tenant can't submit messages of the new model; None if it can."""
        if has_new_model(tenant_id, self.percentage):
            return None
        whose = f"The tenant {tenant_id[:100]}" if tenant_id else "Mail without a tenant"
        return (
            f"{whose} is not in the rollout of the new queue model "
            f"(ENABLE_EMAIL_QUEUE_MODEL is {self.percentage:g}%); use /queue/legacy, which "
            "ENABLE_LEGACY_QUEUE_ADAPTER=true opens, or raise the percentage."
        )


def has_new_model(tenant_id: str | None, percentage: float) -> bool:
    """Stable, and monotonic: who has it keeps it as the percentage grows. Mail without a tenant
    is in no bucket: it has the new model as soon as any tenant may."""
    if not tenant_id:
        return percentage > 0
    return bucket(tenant_id) < percentage


def bucket(tenant_id: str) -> float:
    """From 0 to below 100, the same on every machine and in every version."""
    digest = hashlib.sha256(f"email-queue-model/{tenant_id}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:6], "big") * 100 / 2**48


def percentage_of(text: str) -> float:
    """`true`, `false`, or a share of all tenants such as `10%`."""
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        percentage = float(word.removesuffix("%"))
    except ValueError:
        percentage = -1
    if not word.endswith("%") or not 0 <= percentage <= ALL:
        raise ValueError("it is true, false or a percentage such as 10%")
    return percentage
