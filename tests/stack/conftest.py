"""A stack for all tests that leave it alive; those that kill have one of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack.mailbox import Mailbox, mailbox_in
from stack.process import Stack, stack_in


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """`mailroom dev --no-samples`: `url`, `token`, `smtp_host`, `smtp_port`, `data_dir`, and
    `client`, an `httpx.AsyncClient` with the token."""
    async with stack_in(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with mailbox_in(tmp_path / "stack") as running:
        yield running
