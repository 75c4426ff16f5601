"""Bodies by SHA-256, in a local folder or an object store (obstore)."""

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import obstore
from cachetools import LRUCache
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from mailroom.ports import Permanent, Transient

# What was just stored is read again by the next step: from memory, if it is small.
REMEMBERED_BYTES = 4 * 1024 * 1024
LARGEST_REMEMBERED = 256 * 1024


class ObstoreBlobs:
    """Content-addressed: a blob is written once and never changed."""

    def __init__(self, store: ObjectStore, root: Path | None = None) -> None:
        self._store = store
        self._root = root
        self._recent: LRUCache[str, bytes] = LRUCache(REMEMBERED_BYTES, getsizeof=len)
        self._durable_folders: set[Path] = set()

    @classmethod
    def at(cls, folder: Path, url: str | None = None) -> "ObstoreBlobs":
        """In the object store at `url` (s3://, gs://, az://), else in `folder`."""
        if url:
            return cls(from_url(url))
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder)

    async def put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        await asyncio.to_thread(self._put, sha256, data)
        self._remember(sha256, data)
        return sha256

    async def get(self, sha256: str) -> bytes:
        if not sha256:
            raise Permanent("This text has been removed.")
        if (recent := self._recent.get(sha256)) is not None:
            return recent
        try:
            result = await obstore.get_async(self._store, _path(sha256))
        except (NotFoundError, FileNotFoundError) as error:
            raise Permanent(
                f"The stored text {sha256[:12]} is gone from the blob store."
            ) from error
        data = bytes(await result.bytes_async())
        self._remember(sha256, data)
        return data

    async def discard(self, sha256: str) -> None:
        self._recent.pop(sha256, None)
        with suppress(NotFoundError, FileNotFoundError):
            await obstore.delete_async(self._store, _path(sha256))

    def _put(self, sha256: str, data: bytes) -> None:
        path = _path(sha256)
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            pass
        except BaseError as error:
            raise Transient("The blob store can't be written.") from error
        # obstore renames into place but leaves durability to the operating system. A blob that
        # exists may have been written by somebody who has not come to this line yet.
        if self._root:
            self._make_durable(self._root, path)

    def _make_durable(self, root: Path, path: str) -> None:
        file = root / path
        _sync(file)
        _sync(file.parent)
        if file.parent not in self._durable_folders:
            _sync(root)
            self._durable_folders.add(file.parent)

    def _remember(self, sha256: str, data: bytes) -> None:
        if len(data) <= LARGEST_REMEMBERED:
            self._recent[sha256] = data


def _path(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
