"""The types of seed 004 are published."""

import httpx
import pytest

from mailroom.bridge.openapi import PUBLISHED


@pytest.fixture
async def document(queue_api: httpx.AsyncClient) -> dict[str, object]:
    found: dict[str, object] = (await queue_api.get("/openapi.json")).json()
    return found


async def test_every_type_is_published_with_all_its_fields(document: dict[str, object]) -> None:
    schemas = document["components"]["schemas"]  # type: ignore[index]
    for model in PUBLISHED:
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields)


async def test_every_reference_leads_somewhere(document: dict[str, object]) -> None:
    schemas = document["components"]["schemas"]  # type: ignore[index]

    def references(part: object) -> list[str]:
        if isinstance(part, list):
            return [one for each in part for one in references(each)]
        if not isinstance(part, dict):
            return []
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [one for each in part.values() for one in references(each)]

    found = references(document)
    assert found
    assert {one.rpartition("/")[2] for one in found} <= set(schemas)
