"""A spool of a test's own, on the machine's disk."""

from pathlib import Path

import pytest

from mailroom.adapters.spool.spool import Spool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    return Spool(folder)
