"""`/openapi.json`, with the types of the outbound queue that no route takes or gives by itself."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from mailroom.models.outbound.filters import QueueFilter
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.metrics import DomainHealthScore, QueueMetrics
from mailroom.models.outbound.operations import QueueOperation, QueueOperationResult
from mailroom.models.outbound.submission import NewMessage

PUBLISHED = (
    DomainHealthScore,
    MessageQueueItem,
    NewMessage,
    QueueFilter,
    QueueMetrics,
    QueueOperation,
    QueueOperationResult,
)


def described(app: FastAPI) -> dict[str, Any]:
    document = FastAPI.openapi(app)
    _, extra = models_json_schema(
        [(model, "validation") for model in PUBLISHED],
        ref_template="#/components/schemas/{model}",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in extra["$defs"].items():
        schemas.setdefault(name, schema)
    return document
