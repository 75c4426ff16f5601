"""Bodies by SHA-256, in a local folder or an object store (obstore)."""

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from mailroom.ports import Permanent


class ObstoreBlobs:
    """Content-addressed: a blob is written once and never changed."""

    def __init__(self, store: ObjectStore, root: Path | None = None) -> None:
        self._store = store
        self._root = root

    @classmethod
    def at(cls, folder: Path, url: str | None = None) -> "ObstoreBlobs":
        """In the object store at `url` (s3://, gs://, az://), else in `folder`."""
        if url:
            return cls(from_url(url))
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder)

    async def put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = _path(sha256)
        with suppress(AlreadyExistsError):
            await obstore.put_async(self._store, path, data, mode="create")
        # obstore renames into place but leaves durability to the operating system. A blob that
        # exists may have been written by somebody who has not come to this line yet.
        if self._root:
            await asyncio.to_thread(_sync, self._root / path)
        return sha256

    async def get(self, sha256: str) -> bytes:
        try:
            result = await obstore.get_async(self._store, _path(sha256))
        except (NotFoundError, FileNotFoundError) as error:
            raise Permanent(
                f"The stored text {sha256[:12]} is gone from the blob store."
            ) from error
        return bytes(await result.bytes_async())


def _path(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _sync(file: Path) -> None:
    for path in (file, file.parent, file.parent.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
