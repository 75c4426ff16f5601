"""What is kept before a migration: the input, and the messages that it replaces, with checksums
that `sha256sum -c` reads."""

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailroom.adapters.settings import Settings
from mailroom.cli.errors import Failure
from mailroom.cli.queue_records import digest_of

REPLACED, SUMS = "replaced.jsonl", "SHA256SUMS"


def backed_up(
    settings: Settings, file: Path, digest: str, replaced: Iterable[dict[str, Any]]
) -> Path:
    """The copy of the file, in a folder of this moment."""
    folder = _folder(settings, digest)
    copy = folder / file.name
    shutil.copy2(file, copy)
    if digest_of(copy) != digest:
        raise Failure(f"{file} was changed while it was read; try again.")
    kept = folder / REPLACED
    with kept.open("x", encoding="utf-8") as target:
        target.writelines(f"{json.dumps(message)}\n" for message in replaced)
    (folder / SUMS).write_text(f"{digest}  {copy.name}\n{digest_of(kept)}  {kept.name}\n")
    return copy


def _folder(settings: Settings, digest: str) -> Path:
    now = datetime.now(UTC)
    folder = settings.mailroom_data_dir / "migrations" / f"{now:%Y%m%dT%H%M%S.%fZ}-{digest[:8]}"
    # Old records name people: nobody else on this machine is to read them.
    folder.mkdir(mode=0o700, parents=True)
    return folder
